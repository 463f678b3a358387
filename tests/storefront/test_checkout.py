"""Orders that bridge itself starts: placed once, found again, cancelled unless paid."""

import json
from typing import Any

import pytest
import responses
from structlog.testing import capture_logs

from bridge.domain.clock import utc_now
from bridge.domain.crediting import VANISHED
from bridge.domain.signing import derived, unseal
from bridge.sandbox import (
    CRITICAL_ERROR,
    DROPPED,
    LOST_ANSWER,
    PHP_NOTICE,
    SILENT,
    Fault,
    Request,
    Sandbox,
    busy,
)
from bridge.storefront.checkout import Checkout, OrderForm, Placed, cart_link
from bridge.storefront.client import Client
from bridge.storefront.errors import StorefrontAnswerError, StorefrontUnavailableError
from tests.recordings import body
from tests.storefront.conftest import Connect

ORDERS = "https://store.example.com/wp-json/wc/v3/orders"
NAME = "depaaaaaaaaaaaaaaaaa"
RETURN = "https://billing.example.com/billing/return?deposit=" + NAME


def form(**fields: Any) -> OrderForm:
    """A form for acme's deposit of 50.00 EUR."""
    usual = OrderForm(NAME, "acme", 5000, "EUR", "content.mac", "_tenant_id", RETURN)
    return usual._replace(**fields)


def sent(sandbox: Sandbox) -> Any:
    return json.loads(sandbox.requests[-1].body)


def metadata(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in pairs]


def like_ours(**fields: Any) -> dict[str, Any]:
    """REST fields of an order that looks as if bridge had placed it."""
    usual = {
        "status": "pending",
        "payment_method": "",
        "fee_lines": [{"name": f"Deposit {NAME}", "total": "50.00", "tax_status": "none"}],
        "meta_data": metadata(("_bridge_deposit", "content.mac")),
    }
    return usual | fields


@pytest.fixture
def checkout(client: Client) -> Checkout:
    return client.checkout


def test_the_order_is_a_fee_with_the_deposits_name_no_tax_and_no_billing(
    checkout: Checkout, sandbox: Sandbox
) -> None:
    placed = checkout.place(form())

    assert sent(sandbox) == {
        "status": "pending",
        "currency": "EUR",
        "fee_lines": [{"name": f"Deposit {NAME}", "total": "50.00", "tax_status": "none"}],
        "meta_data": metadata(
            ("_tenant_id", "acme"), ("_bridge_deposit", "content.mac"), ("_bridge_return", RETURN)
        ),
    }
    order = sandbox.order_json(placed.order_id)
    assert placed.pay_url == order["payment_url"]
    assert (order["status"], order["total"], order["needs_payment"]) == ("pending", "50.00", True)


def test_an_order_without_a_way_back_says_nothing_of_one(
    checkout: Checkout, sandbox: Sandbox
) -> None:
    checkout.place(form(return_url="", tag_key="_tenant"))

    assert sent(sandbox)["meta_data"] == metadata(
        ("_tenant", "acme"), ("_bridge_deposit", "content.mac")
    )


@responses.activate
def test_the_answer_of_a_real_storefront_is_read() -> None:
    responses.post(ORDERS, json=body("rest-create-pending-fee-line-nobilling"), status=201)

    placed = away().place(form(amount=12345))

    assert placed == Placed(
        44,
        "https://127.0.0.1:8443/checkout/order-pay/44/"
        "?pay_for_order=true&key=wc_order_Dx0aNHJ9IF4Wz",
    )


def away() -> Checkout:
    """The checkout of a storefront that is not there; `responses` answers."""
    url = "https://store.example.com"
    return Client("main", url, "ck", "cs", clock=utc_now, tag_key="_tenant_id").checkout


@pytest.mark.parametrize(
    ("amount", "currency", "total"), [(5000, "JPY", "5000"), (1250, "KWD", "1.250")]
)
def test_the_amount_has_its_currencys_decimals(
    amount: int, currency: str, total: str, checkout: Checkout, sandbox: Sandbox
) -> None:
    checkout.place(form(amount=amount, currency=currency))

    assert sent(sandbox)["fee_lines"][0]["total"] == total


@pytest.mark.parametrize("finding", [False, True])
def test_an_order_whose_amount_the_storefront_rounded_is_cancelled_and_refused(
    connect: Connect, *, finding: bool
) -> None:
    with Sandbox(decimals=0) as sandbox:
        checkout = connect(
            url=sandbox.url,
            consumer_key=sandbox.consumer_key,
            consumer_secret=sandbox.consumer_secret,
        ).checkout
        if finding:
            fee = {"name": f"Deposit {NAME}", "total": "12.50", "tax_status": "none"}
            sandbox.place_order(**like_ours(fee_lines=[fee]))

        with pytest.raises(StorefrontAnswerError, match="decimals"):
            (checkout.find if finding else checkout.place)(form(amount=1250))

        [order_id] = sandbox.order_ids()
        assert sandbox.order_json(order_id)["status"] == "cancelled"


@pytest.mark.parametrize(
    "odd",
    [
        {"id": "44"},
        {"total": "123.46"},
        {"total": "1e2"},
        {"currency": "USD"},
        {"payment_url": "javascript:alert(1)"},
        {"payment_url": None},
        {"needs_payment": "yes"},
    ],
)
@responses.activate
def test_an_order_that_is_not_as_asked_is_never_given_to_a_tenant(odd: dict[str, Any]) -> None:
    answer = body("rest-create-pending-fee-line-nobilling") | odd
    responses.post(ORDERS, json=answer, status=201)
    responses.get(f"{ORDERS}/44", json=answer)
    cancelling = responses.put(f"{ORDERS}/44", json=answer | {"status": "cancelled"})

    with pytest.raises(StorefrontAnswerError, match=r"123\.45 EUR could not be placed"):
        away().place(form(amount=12345))

    assert cancelling.call_count == (0 if "id" in odd else 1)


@responses.activate
def test_an_answer_that_is_no_order_is_an_error() -> None:
    responses.post(ORDERS, json=[], status=201)

    with pytest.raises(StorefrontAnswerError, match="no order"):
        away().place(form())


@pytest.mark.parametrize(
    "fault",
    [CRITICAL_ERROR, DROPPED, LOST_ANSWER, PHP_NOTICE, SILENT, busy(1)],
    ids=["500", "dropped", "lost", "notice", "silent", "503"],
)
def test_nothing_is_placed_twice_by_itself(
    fault: Fault, connect: Connect, sandbox: Sandbox
) -> None:
    sandbox.faults.switch_on(fault, times=1)

    with pytest.raises(StorefrontUnavailableError):
        connect(read_timeout_s=0.3).checkout.place(form())

    assert [request.method for request in sandbox.requests] == ["POST"]


def test_an_order_whose_answer_was_lost_is_found_by_the_deposits_name(
    checkout: Checkout, sandbox: Sandbox
) -> None:
    sandbox.faults.switch_on(LOST_ANSWER, times=1)
    with pytest.raises(StorefrontUnavailableError):
        checkout.place(form())

    found = checkout.find(form())

    [order_id] = sandbox.order_ids()
    assert found == Placed(order_id, sandbox.order_json(order_id)["payment_url"])
    assert sandbox.requests[-1].params["search"] == NAME


@pytest.mark.parametrize(
    "other",
    [
        {"meta_data": metadata(("_bridge_deposit", "another.mac"))},
        {"meta_data": metadata(("_other", "content.mac"))},
        {"status": "cancelled"},
        {"status": "completed"},
        {"status": "on-hold"},
        {"fee_lines": [{"name": "Deposit", "total": "50.00", "tax_status": "none"}]},
    ],
)
def test_an_order_of_another_deposit_or_that_cannot_be_paid_is_not_found(
    other: dict[str, Any], checkout: Checkout, sandbox: Sandbox
) -> None:
    sandbox.place_order(**like_ours(**other))

    assert checkout.find(form()) is None


def test_of_two_orders_for_one_deposit_the_first_is_found(
    checkout: Checkout, sandbox: Sandbox
) -> None:
    first, _ = (sandbox.place_order(**like_ours()) for _ in range(2))

    found = checkout.find(form())

    assert found is not None
    assert found.order_id == first


@pytest.mark.parametrize("status", ["pending", "failed"])
def test_an_unpaid_order_is_cancelled(status: str, checkout: Checkout, sandbox: Sandbox) -> None:
    order_id = sandbox.place_order(**like_ours(status=status))

    assert checkout.cancel(order_id) == "cancelled"

    assert sandbox.order_json(order_id)["status"] == "cancelled"


@pytest.mark.parametrize("status", ["completed", "processing", "on-hold", "refunded", "cancelled"])
def test_an_order_that_is_paid_waits_for_a_bank_or_ended_is_left_alone(
    status: str, checkout: Checkout, sandbox: Sandbox
) -> None:
    order_id = sandbox.place_order(**like_ours(status=status))

    assert checkout.cancel(order_id) == status

    assert [request.method for request in sandbox.requests] == ["GET"]


def test_an_order_that_was_paid_once_is_left_alone_whatever_its_status(
    checkout: Checkout, sandbox: Sandbox
) -> None:
    order_id = sandbox.place_order(**like_ours(status="completed"))
    sandbox.set_status(order_id, "pending")

    assert checkout.cancel(order_id) == "pending"


def test_there_is_nothing_to_cancel_about_an_order_in_the_trash_or_deleted(
    checkout: Checkout, sandbox: Sandbox
) -> None:
    trashed, deleted = (sandbox.place_order(**like_ours()) for _ in range(2))
    sandbox.trash(trashed)
    sandbox.delete_forever(deleted)

    assert checkout.cancel(trashed) == "trash"
    assert checkout.cancel(deleted) == VANISHED


def test_an_order_paid_in_the_moment_of_its_cancellation_is_a_paid_one(
    checkout: Checkout, sandbox: Sandbox
) -> None:
    order_id = checkout.place(form()).order_id

    def pay_first(request: Request) -> None:
        if request.method == "PUT":
            sandbox.pay(order_id)

    sandbox.on_request = pay_first
    with capture_logs() as logs:
        assert checkout.cancel(order_id) == "completed"

    order = sandbox.order_json(order_id)
    assert order["status"] == "completed"
    assert order["date_paid_gmt"] is not None
    assert [log["event"] for log in logs] == ["checkout.paid_while_cancelled"]


@pytest.mark.parametrize("fault", [CRITICAL_ERROR, LOST_ANSWER], ids=["500", "lost"])
def test_cancelling_outlives_a_passing_fault(
    fault: Fault, checkout: Checkout, sandbox: Sandbox
) -> None:
    order_id = checkout.place(form()).order_id
    puts: list[Request] = []

    def strike_once(request: Request) -> None:
        if request.method == "PUT":
            puts.append(request)
            if len(puts) == 1:
                sandbox.faults.switch_on(fault, times=1)

    sandbox.on_request = strike_once
    assert checkout.cancel(order_id) == "cancelled"
    assert len(puts) == 2


def test_no_field_of_a_shopper_is_asked_for(checkout: Checkout, sandbox: Sandbox) -> None:
    checkout.find(form())
    checkout.cancel(checkout.place(form()).order_id)

    for request in sandbox.requests:
        fields = set(request.params["_fields"].split(","))
        assert "meta_data" in fields
        assert not {"billing", "shipping", "customer_note", "customer_ip_address"} & fields
    assert {request.method for request in sandbox.requests} == {"GET", "POST", "PUT"}


@pytest.mark.parametrize("url", ["https://store.example.com", "https://store.example.com/"])
def test_a_link_into_the_cart_carries_its_values_under_the_plugins_key(url: str) -> None:
    keys = derived(["a secret of thirty-two characters"], "deposit-link/main")

    address, _, link = cart_link(url, keys, "content.mac", "50.00", 1).partition("=")

    assert address == "https://store.example.com/?bridge_deposit"
    assert unseal(keys, link) == ["content.mac", "50.00", 1]
