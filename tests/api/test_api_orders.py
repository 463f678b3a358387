import pytest

from bridge.domain.order import Order
from bridge.store.leases import Leases
from bridge.sync.context import Context, Policy
from bridge.sync.settle import settle
from tests.api.calling import Api, code, fields
from tests.examples import order, refunded


def see(api: Api, *orders: Order) -> None:
    """Let these orders have been seen by a poll, a minute after what was before."""
    api.clock.advance(60)
    context = Context(api.database, Leases(api.database, api.clock, "test"), api.clock)
    settle(context, Policy("main"), orders, "poll")


def test_an_order_is_explained_from_what_was_seen_to_its_entries(money: Api) -> None:
    see(money, order())
    see(money, order(refunds=refunded("20.00")))
    told = money.get("/v1/orders/main/63").json()
    entries = money.get("/v1/tenants/acme/entries").json()["data"]
    assert told["storefront"] == "main"
    assert told["order_id"] == 63
    assert told["verdict"] == "credited"
    assert told["reason"] == ""
    assert told["tenant_id"] == "acme"
    assert told["seen_at"] == "2026-11-22T12:00:00.000000Z"
    assert told["lines"] == [{"name": "order total", "amount": 5000}]
    assert told["effects"] == [
        {"effect": effect, "target": amount, "posted": amount, "drift": 0}
        | {"tenant_id": "acme", "currency": "EUR"}
        for effect, amount in (("deposit", 5000), ("refund/101", -2000))
    ]
    assert [(one["way"], one["status"], one["verdict"]) for one in told["sightings"]] == [
        ("poll", "completed", "credited")
    ] * 2
    assert told["entries"] == list(reversed(entries))


def test_a_held_order_says_which_rule_and_what_to_do(money: Api) -> None:
    see(money, order(tags=("acme", "globex")))
    told = money.get("/v1/orders/main/63").json()
    assert (told["verdict"], told["reason"]) == ("held", "tag_conflict")
    assert "leave one _tenant_id" in told["because"]
    assert told["entries"] == []
    [held] = money.get("/v1/orders").json()["data"]
    assert held["order_id"] == 63
    assert held["because"] == told["because"]


def test_held_orders_come_in_pages_newest_change_first(money: Api) -> None:
    for order_id in (1, 2, 3):
        see(money, order(id=order_id, tags=("a b",)), order(id=order_id + 10))
    first = money.get("/v1/orders", limit=2, storefront="main").json()
    second = money.get("/v1/orders", limit=2, cursor=first["next_cursor"]).json()
    assert [one["order_id"] for one in first["data"]] == [3, 2]
    assert [one["order_id"] for one in second["data"]] == [1]
    assert second["next_cursor"] is None
    assert money.get("/v1/orders", storefront="closed").json()["data"] == []


def test_an_order_that_was_never_seen_is_a_404_that_says_how_to_fetch_it(api: Api) -> None:
    answer = api.get("/v1/orders/main/63")
    assert code(answer) == (404, "not_found")
    assert "bridge reconcile --storefront main --order 63" in answer.json()["detail"]


def test_an_unknown_storefront_is_a_404_that_names_the_known_ones(api: Api) -> None:
    for answer in (api.get("/v1/orders/mian/63"), api.get("/v1/orders", storefront="mian")):
        assert code(answer) == (404, "storefront_not_found")
        assert "closed, main" in answer.json()["detail"]


@pytest.mark.parametrize("order_id", ["0", "-1", "x", "1.0", "1_0", "%D9%A1", str(2**63)])
def test_an_order_id_is_a_positive_64_bit_integer(api: Api, order_id: str) -> None:
    assert fields(api.get(f"/v1/orders/main/{order_id}")) == ["order_id"]


def test_only_held_orders_can_be_listed(api: Api) -> None:
    assert api.get("/v1/orders", verdict="held").status_code == 200
    assert fields(api.get("/v1/orders", verdict="credited")) == ["verdict"]
