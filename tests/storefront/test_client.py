import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import vcr

from bridge.domain.clock import MINUTE, parse, utc_now
from bridge.domain.errors import ConfigurationError
from bridge.domain.order import Order, Refund, RefundLine, Unreadable
from bridge.sandbox import CRITICAL_ERROR, Request, Sandbox
from bridge.storefront.client import Client, Webhook
from bridge.storefront.errors import (
    OrderGoneError,
    StorefrontAnswerError,
    StorefrontOverloadedError,
    StorefrontRefusedError,
)
from bridge.storefront.parse import order as parse_order
from tests.recordings import body

CASSETTES = Path(__file__).parents[1] / "cassettes"


def never(_seconds: float) -> None:
    raise AssertionError("nothing here is worth another attempt")


@pytest.fixture
def real(request: pytest.FixtureRequest) -> Iterator[Client]:
    """A client of the real storefront, as far as a recording of it goes (by path, not by query)."""
    cassette = str(CASSETTES / f"{request.param}.yaml")
    url = "http://127.0.0.1:8088" if request.param.startswith("http-") else "https://127.0.0.1:8443"
    client = Client("real", url, "ck", "cs", clock=utc_now, tag_key="_tenant_id", sleep=never)
    with vcr.use_cassette(
        cassette, record_mode="none", match_on=["method", "host", "port", "path"]
    ):
        yield client
    client.close()


def recorded(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("real", [name], indirect=True)


def order_of(client: Client, order_id: int) -> Order:
    order = client.order(order_id)
    assert isinstance(order, Order)
    return order


@pytest.mark.parametrize("real", ["https-order-get-one", "http-order-get-one"], indirect=True)
def test_a_real_order_is_read_over_https_and_over_http(real: Client) -> None:
    order = order_of(real, 17)

    assert (order.status, order.total, order.tags) == ("completed", "50.00", ("acme",))
    assert order.refunds == (Refund(18, "-50.00", None),)


@recorded("https-order-404")
def test_a_real_order_deleted_for_good_is_none(real: Client) -> None:
    assert real.order(99999999) is None


@recorded("https-401-bad-key")
def test_a_real_refusal_of_the_key_says_to_check_the_key(real: Client) -> None:
    with pytest.raises(StorefrontRefusedError, match="consumer key"):
        real.ping()


@recorded("https-orders-400")
def test_a_real_400_is_not_tried_again(real: Client) -> None:
    with pytest.raises(StorefrontAnswerError, match="400 rest_invalid_param"):
        real.ping()


@recorded("https-orders-empty")
def test_a_real_empty_list_proves_that_all_is_well_and_tells_the_time(real: Client) -> None:
    skew_s = real.ping()

    assert skew_s == pytest.approx((parse("2026-11-22T16:15:11Z") - utc_now()) / 1e6, abs=60)


@recorded("https-orders-paged-modified_after")
def test_a_real_page_of_changed_orders_is_read(real: Client) -> None:
    page = next(real.changed(parse("2026-11-22T15:30:00Z")))

    assert len(page.orders) == 7
    assert all(isinstance(order, Order) for order in page.orders)
    assert page.until == pytest.approx(parse("2026-11-22T16:15:11Z"), abs=MINUTE)


@recorded("https-refunds-of-order")
def test_real_refund_lines_are_attributed(real: Client) -> None:
    order = parse_order(body("order-completed-partially-refunded"), "real", "_tenant_id", 0)
    assert isinstance(order, Order)

    assert real.with_refund_lines(order).refunds == (
        Refund(27, "-10.00", (RefundLine(7, "-10.00", "0.00"),)),
        Refund(28, "-15.50", (RefundLine(7, "-15.50", "0.00"),)),
    )


def test_the_request_names_the_fields_it_wants_and_none_is_the_shoppers(
    client: Client, sandbox: Sandbox
) -> None:
    client.order(sandbox.place_order(billing={"email": "ada@example.com"}))

    fields = sandbox.requests[-1].params["_fields"].split(",")
    assert "line_items" in fields
    assert not {"billing", "shipping", "customer_note", "customer_ip_address"} & set(fields)


def test_a_trashed_order_is_still_an_order(client: Client, sandbox: Sandbox) -> None:
    order_id = sandbox.place_order()
    sandbox.trash(order_id)

    assert order_of(client, order_id).status == "trash"


def test_an_order_was_fetched_when_the_question_was_asked(client: Client, sandbox: Sandbox) -> None:
    before = utc_now()

    order = order_of(client, sandbox.place_order())

    assert before <= order.fetched_at <= utc_now()


def test_many_orders_come_with_few_requests_wherever_they_are(
    client: Client, sandbox: Sandbox
) -> None:
    ids = [sandbox.place_order() for _ in range(130)]
    sandbox.trash(ids[3])
    sandbox.delete_forever(ids[4])

    found = client.orders([*ids, ids[0]])

    assert set(found) == set(ids)
    assert [one for one in ids if found[one] is None] == [ids[4]]
    trashed = found[ids[3]]
    assert isinstance(trashed, Order)
    assert trashed.status == "trash"
    assert len(sandbox.requests) == 4


def test_one_broken_order_among_many_is_unreadable_and_the_others_are_not(
    client: Client, sandbox: Sandbox
) -> None:
    ids = [sandbox.place_order() for _ in range(20)]
    sandbox.faults.broken_orders.add(ids[7])

    found = client.orders(ids)

    assert [one for one in ids if not isinstance(found[one], Order)] == [ids[7]]
    broken = found[ids[7]]
    assert isinstance(broken, Unreadable)
    assert "500" in broken.why


def test_a_storefront_that_fails_on_everything_makes_no_order_unreadable(
    client: Client, sandbox: Sandbox
) -> None:
    ids = [sandbox.place_order() for _ in range(20)]
    sandbox.faults.switch_on(CRITICAL_ERROR)

    with pytest.raises(StorefrontOverloadedError):
        client.orders(ids)

    assert len(sandbox.requests) < 10


def test_no_order_wanted_is_no_request_made(client: Client, sandbox: Sandbox) -> None:
    assert client.orders([]) == {}
    assert not sandbox.requests


def test_refund_lines_are_read_for_products_and_fees(client: Client, sandbox: Sandbox) -> None:
    order_id = sandbox.place_order(
        line_items=[{"product_id": 11, "subtotal": "30.00", "total": "30.00"}],
        fee_lines=[{"name": "Deposit", "total": "20.00", "tax_status": "none"}],
    )
    lines = order_of(client, order_id).lines
    sandbox.refund(
        order_id,
        "7.00",
        lines=[
            {"id": lines[0].id, "refund_total": "4.00"},
            {"id": lines[1].id, "refund_total": "3.00"},
        ],
    )
    sandbox.refund(order_id, "1.00")

    attributed, amount_only = client.with_refund_lines(order_of(client, order_id)).refunds

    assert attributed.lines is not None
    assert {(line.line_id, line.total) for line in attributed.lines} == {
        (lines[0].id, "-4.00"),
        (lines[1].id, "-3.00"),
    }
    assert amount_only.lines == ()


def test_an_order_without_refunds_is_not_asked_for_them(client: Client, sandbox: Sandbox) -> None:
    order = order_of(client, sandbox.place_order())

    assert client.with_refund_lines(order) is order
    assert len(sandbox.requests) == 1


def test_refund_lines_of_an_order_deleted_since_are_an_error_of_their_own(
    client: Client, sandbox: Sandbox
) -> None:
    order_id = sandbox.place_order()
    sandbox.refund(order_id, "1.00")
    order = order_of(client, order_id)
    sandbox.delete_forever(order_id)

    with pytest.raises(OrderGoneError):
        client.with_refund_lines(order)


def test_webhooks_are_listed_with_their_status(client: Client, sandbox: Sandbox) -> None:
    webhook = sandbox.add_webhook("http://127.0.0.1:9/hook", "order.updated", "secret")

    assert client.webhooks() == [
        Webhook(webhook.id, "order.updated", "active", "http://127.0.0.1:9/hook")
    ]


def test_a_page_size_woocommerce_refuses_is_refused_at_once(connect: Callable[..., Client]) -> None:
    with pytest.raises(ConfigurationError, match="page_size_max"):
        connect(page_size_max=101)


def test_requests_share_one_connection(client: Client, sandbox: Sandbox) -> None:
    threads: set[threading.Thread] = set()
    sandbox.on_request = lambda _request: threads.add(threading.current_thread())

    for _ in range(3):
        client.ping()

    assert len(threads) == 1


def test_a_client_serves_several_threads_at_once(client: Client, sandbox: Sandbox) -> None:
    """Each of the requests waits on the storefront until all of them are there."""
    together = threading.Barrier(4, timeout=10)
    ids = [sandbox.place_order() for _ in range(4)]
    found: dict[int, Any] = {}

    def meet(_request: Request) -> None:
        together.wait()

    def fetch(order_id: int) -> None:
        found[order_id] = client.order(order_id)

    sandbox.on_request = meet
    threads = [threading.Thread(target=fetch, args=(order_id,)) for order_id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {order_id: order.id for order_id, order in found.items()} == {one: one for one in ids}
