"""Orders, refunds and the trash, where a recording does not show it: what stays, what is silent."""

from collections.abc import Iterator

import pytest

from bridge.domain.clock import MINUTE, parse
from bridge.sandbox import RefusedError, Sandbox
from tests.sandbox.asking import api, ids

NOON = parse("2026-11-01T12:00:00Z")


class Now:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.instant = NOON

    def __call__(self) -> int:
        return self.instant


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def sandbox(now: Now) -> Iterator[Sandbox]:
    with Sandbox(clock=now) as sandbox:
        yield sandbox


def test_posting_the_same_order_twice_makes_two(sandbox: Sandbox) -> None:
    fields = {"fee_lines": [{"name": "Deposit", "total": "5.00", "tax_status": "none"}]}
    first, second = (api(sandbox).post("orders", fields).json()["id"] for _ in range(2))
    assert ids(sandbox, orderby="id", order="asc") == [first, second]


def test_a_doubled_tag_in_a_post_keeps_the_last_and_numbers_become_text(sandbox: Sandbox) -> None:
    tags = [{"key": "_tenant_id", "value": "acme"}, {"key": "_tenant_id", "value": 123}]
    shown = api(sandbox).post("orders", {"meta_data": tags}).json()
    assert [meta["value"] for meta in shown["meta_data"]] == ["123"]


def test_controls_can_give_one_key_several_values_on_orders_and_lines(sandbox: Sandbox) -> None:
    order_id = sandbox.place_order(tenant=None)
    sandbox.set_tags(order_id, "acme", "globex")
    sandbox.set_line_tags(order_id, "initech")
    shown = sandbox.order_json(order_id)
    assert [meta["value"] for meta in shown["meta_data"]] == ["acme", "globex"]
    assert [meta["value"] for meta in shown["line_items"][0]["meta_data"]] == ["initech"]


def test_a_completed_orders_total_can_be_edited(sandbox: Sandbox) -> None:
    order_id = sandbox.place_order("50.00")
    sandbox.edit_total(order_id, "100.00")
    shown = sandbox.order_json(order_id)
    assert (shown["status"], shown["total"]) == ("completed", "100.00")


@pytest.mark.parametrize(
    ("gateway", "paid"), [("bacs", True), ("cod", False)], ids=["bank transfer", "cash on delivery"]
)
def test_processing_is_paid_unless_cash_is_due_on_delivery(
    sandbox: Sandbox, gateway: str, paid: bool
) -> None:
    order_id = sandbox.place_order(status="processing", payment_method=gateway)
    assert (sandbox.order_json(order_id)["date_paid_gmt"] is not None) == paid
    sandbox.set_status(order_id, "completed")
    assert sandbox.order_json(order_id)["date_paid_gmt"] is not None


def test_a_late_payment_brings_a_cancelled_order_back(sandbox: Sandbox) -> None:
    order_id = sandbox.place_order(status="pending")
    sandbox.set_status(order_id, "cancelled")
    sandbox.pay(order_id, "ch_late")
    assert sandbox.order_json(order_id)["status"] == "processing"


def test_a_payment_of_an_order_already_completed_changes_nothing(sandbox: Sandbox) -> None:
    order_id = sandbox.place_order()
    before = sandbox.order_json(order_id)
    sandbox.pay(order_id, "ch_twice")
    assert sandbox.order_json(order_id) == before


def test_going_back_from_refunded_keeps_the_refund(sandbox: Sandbox) -> None:
    order_id = sandbox.place_order("50.00")
    sandbox.set_status(order_id, "refunded")
    sandbox.set_status(order_id, "completed")
    sandbox.set_status(order_id, "refunded")
    assert [refund["total"] for refund in sandbox.order_json(order_id)["refunds"]] == ["-50.00"]


def test_refunds_that_add_up_to_the_total_make_the_order_refunded(sandbox: Sandbox) -> None:
    order_id = sandbox.place_order("50.00")
    sandbox.refund(order_id, "20.00")
    assert sandbox.order_json(order_id)["status"] == "completed"
    sandbox.refund(order_id)
    shown = sandbox.order_json(order_id)
    assert (shown["status"], len(shown["refunds"])) == ("refunded", 2)
    with pytest.raises(RefusedError, match="Invalid refund amount"):
        sandbox.refund(order_id, "0.01")


def test_deleting_a_refund_leaves_the_status_and_the_stamp(sandbox: Sandbox, now: Now) -> None:
    order_id = sandbox.place_order("50.00")
    refund_id = sandbox.refund(order_id)
    before = sandbox.order_json(order_id)
    now.instant += MINUTE
    answer = api(sandbox).delete(f"orders/{order_id}/refunds/{refund_id}", params={"force": "true"})
    assert answer.json()["amount"] == "50.00"
    assert sandbox.order_json(order_id) == before | {"refunds": []}


def test_a_refund_is_read_by_id_and_gone_when_deleted(sandbox: Sandbox) -> None:
    order_id = sandbox.place_order("50.00")
    refund_id = sandbox.refund(order_id, "5.00", reason="late")
    one = f"orders/{order_id}/refunds/{refund_id}"
    assert api(sandbox).get(one).json()["reason"] == "late"
    assert api(sandbox).get(f"orders/{refund_id}").status_code == 404
    assert api(sandbox).delete(one).status_code == 501
    sandbox.delete_refund(order_id, refund_id)
    assert api(sandbox).get(one).status_code == 404


def test_the_sandbox_card_can_be_refunded_through_its_gateway(sandbox: Sandbox) -> None:
    order_id = sandbox.place_order("50.00", payment_method="sandbox_card")
    answer = api(sandbox).post(f"orders/{order_id}/refunds", {"amount": "5.00"})
    assert (answer.status_code, answer.json()["refunded_payment"]) == (201, True)


def test_an_order_comes_back_from_the_trash_as_it_was(sandbox: Sandbox) -> None:
    order_id = sandbox.place_order()
    before = sandbox.order_json(order_id)
    sandbox.trash(order_id)
    assert ids(sandbox) == []
    sandbox.restore(order_id)
    assert sandbox.order_json(order_id) == before


@pytest.mark.parametrize(("legacy", "bumped"), [(False, True), (True, False)])
def test_a_tag_alone_bumps_the_stamp_but_not_under_legacy_storage(
    now: Now, legacy: bool, bumped: bool
) -> None:
    with Sandbox(clock=now, legacy_storage=legacy) as sandbox:
        order_id = sandbox.place_order(tenant=None)
        now.instant += MINUTE
        tag = {"meta_data": [{"key": "_tenant_id", "value": "acme"}]}
        api(sandbox).put(f"orders/{order_id}", tag)
        assert bool(ids(sandbox, modified_after="2026-11-01T12:00:30Z")) == bumped


def test_a_product_is_needed_for_a_line(sandbox: Sandbox) -> None:
    answer = api(sandbox).post("orders", {"line_items": [{"quantity": 1}]})
    assert answer.json()["code"] == "woocommerce_rest_required_product_reference"
    assert answer.status_code == 400
