"""The sandbox answers the recorded requests as the real storefront did: keys, types and values.

Each case seeds a sandbox to match, replays the recorded request and compares. Ids, keys, addresses
and the exact seconds of stamps differ by nature; all else must be equal.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from bridge.domain.clock import SECOND, parse
from bridge.sandbox import (
    BOM,
    CRITICAL_ERROR,
    MAINTENANCE,
    PHP_NOTICE,
    UNAUTHORIZED,
    Fault,
    Sandbox,
    redirect,
)
from tests.recordings import body, load, names

ADA = {
    "first_name": "Ada",
    "last_name": "Lovelace",
    "address_1": "1 rue X",
    "city": "Paris",
    "postcode": "75001",
    "country": "FR",
    "email": "ada@example.com",
    "phone": "0100000000",
}
BY_NATURE_DIFFERENT = {"id", "number", "order_key", "parent_id", "product_id"}
META_BY_NATURE_DIFFERENT = {"_wp_trash_meta_time", "_refunded_item_id"}
HEADERS = ("Content-Type", "Allow", "X-WP-Total", "X-WP-TotalPages")

Seed = Callable[[Sandbox], str]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(plays_https=True) as sandbox:
        yield sandbox


def replay(sandbox: Sandbox, name: str, path: str = "") -> requests.Response:
    """Send the recorded request, to another path where the ids differ."""
    request = load(name)["request"]
    parts = urlsplit(request["url"])
    wanted = f"/wp-json/wc/v3{path}" if path else parts.path
    return requests.request(
        request["method"],
        f"{sandbox.url}{wanted}?{parts.query}",
        data=request["body"],
        headers={"Content-Type": "application/json"},
        auth=(sandbox.consumer_key, sandbox.consumer_secret),
        timeout=10,
    )


def comparable(value: Any) -> Any:
    """Keep what both must agree on; of the rest, only that it is there and of which type."""
    if isinstance(value, dict):
        same = value.get("key") in META_BY_NATURE_DIFFERENT
        return {
            name: type(inner)
            if name in BY_NATURE_DIFFERENT or (same and "value" in name)
            else comparable(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [comparable(inner) for inner in value]
    if isinstance(value, str):
        value = re.sub(r"https?://127\.0\.0\.1:\d+", "SITE", value)
        value = re.sub(r"/\d+(?=/|$)", "/N", re.sub(r"wc_order_\w{13}", "KEY", value))
        return re.sub(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$", "STAMP", value)
    return value


def assert_same(answer: requests.Response, name: str) -> None:
    recorded = load(name)["response"]
    assert answer.status_code == recorded["status"]
    assert comparable(answer.json()) == comparable(json.loads(recorded["body_raw"]))
    for header in HEADERS:
        assert answer.headers.get(header) == recorded["headers"].get(header), header


def ordered(**fields: Any) -> Seed:
    """Seed one order of the 50.00 product, as most recordings have it, and ask for it."""

    def seed(sandbox: Sandbox) -> str:
        line = {"line_items": [{"product_id": 12, "quantity": 1}]}
        return f"/orders/{sandbox.place_order(**{'billing': ADA} | line | fields)}"

    return seed


def then(seed: Seed, act: Callable[[Sandbox, int], object], suffix: str = "") -> Seed:
    """Seed, and do one thing more to the order."""

    def both(sandbox: Sandbox) -> str:
        path = seed(sandbox)
        act(sandbox, sandbox.order_ids()[-1])
        return f"{path}{suffix}"

    return both


def nothing(sandbox: Sandbox) -> str:
    """Seed nothing, and ask as recorded."""
    return ""


def _refund_lines(sandbox: Sandbox, order_id: int) -> None:
    line = sandbox.order_json(order_id)["line_items"][0]["id"]
    for amount in ("10.00", "15.50"):
        part = [{"id": line, "refund_total": amount}]
        sandbox.refund(order_id, amount, reason=f"r{amount}", lines=part)


def _refund_all(sandbox: Sandbox, order_id: int) -> None:
    sandbox.set_status(order_id, "refunded")


def _three_refunds(sandbox: Sandbox) -> str:
    then(ordered(), _refund_all)(sandbox)
    then(ordered(), _refund_lines)(sandbox)
    return "/refunds"


def _refund_to_delete(sandbox: Sandbox) -> str:
    order_id = sandbox.place_order("100.00")
    return f"/orders/{order_id}/refunds/{sandbox.refund(order_id, '10.00', reason='part')}"


def _hundred_with_ten_back(sandbox: Sandbox) -> str:
    order_id = sandbox.place_order("100.00")
    return f"/orders/{order_id}/refunds"


def _auto_completing(sandbox: Sandbox) -> str:
    product_id = sandbox.add_product("Deposit for acme", "DEPOSIT:acme", downloadable=True)
    lines = [{"product_id": product_id, "quantity": 5}]
    return then(ordered(status="pending", line_items=lines), _paid("ch_1054"))(sandbox)


def _paid(transaction_id: str) -> Callable[[Sandbox, int], object]:
    return lambda sandbox, order_id: sandbox.pay(order_id, transaction_id)


TAGGED_LINES = [
    {"product_id": 12, "quantity": 1, "meta_data": [{"key": "_tenant_id", "value": "acme"}]},
    {"product_id": 12, "quantity": 2, "meta_data": [{"key": "_tenant_id", "value": "globex"}]},
]


def _costing(total: str) -> list[dict[str, Any]]:
    return [{"product_id": 12, "quantity": 1, "subtotal": total, "total": total}]


def _fee(total: str, name: str) -> list[dict[str, Any]]:
    return [{"name": name, "total": total, "tax_status": "none"}]


CASES: dict[str, Seed] = {
    "order-completed-JPY-5000": ordered(currency="JPY", line_items=_costing("5000")),
    "order-completed-KWD-12.345": ordered(currency="KWD", line_items=_costing("12.345")),
    "order-payment_complete-fee-line-only": then(
        ordered(status="pending", line_items=[], fee_lines=_fee("20.00", "Deposit")),
        _paid("ch_1056"),
    ),
    "order-completed-USD-50.00": ordered(currency="USD"),
    "order-completed-partially-refunded": then(ordered(), _refund_lines),
    "order-completed-tagged-on-line-items": ordered(tenant=None, line_items=TAGGED_LINES),
    "order-completed-untagged": ordered(tenant=None),
    "order-status-trash": then(ordered(), Sandbox.trash),
    "rest-get-trashed-order": then(ordered(), Sandbox.trash),
    "rest-order-trash-request": ordered(),
    "rest-order-trash-twice": then(ordered(), Sandbox.trash),
    "rest-order-delete-force": then(ordered(), Sandbox.trash),
    "rest-put-on-trashed-order": then(ordered(), Sandbox.trash),
    "rest-get-deleted-order-404": then(ordered(), Sandbox.delete_forever),
    "rest-set-status-trash": ordered(),
    "rest-orders-statuses": nothing,
    "rest-create-refund-partial": _hundred_with_ten_back,
    "rest-create-refund-full": _hundred_with_ten_back,
    "rest-create-refund-too-much": then(ordered(), _refund_all, "/refunds"),
    "rest-create-refund-api_refund-default": then(ordered(), _refund_lines, "/refunds"),
    "rest-list-order-refunds": then(ordered(), _refund_lines, "/refunds"),
    "rest-list-all-refunds": _three_refunds,
    "rest-delete-refund": _refund_to_delete,
    "error-400-broken-json": nothing,
    "error-400-invalid-param": nothing,
    "error-400-invalid-status": nothing,
    "error-404-nonnumeric-id": nothing,
    "error-404-order": nothing,
    "error-404-route": nothing,
    "error-404-wrong-version": nothing,
    "rest-create-order-empty-body-201": nothing,
    "rest-create-pending-fee-line-nobilling": nothing,
    "rest-create-pending-guest-noemail-old": nothing,
    "rest-create-pending-guest-with-email": nothing,
    "rest-create-pending-line-price-override": nothing,
    "rest-create-pending-negative-fee": nothing,
    "rest-create-pending-order": nothing,
    "rest-create-pending-registered": nothing,
    "rest-create-pending-set_paid": nothing,
    "rest-webhook-create-order.created": nothing,
    "rest-webhook-create-order.deleted": nothing,
    "rest-webhook-create-order.restored": nothing,
    "rest-webhook-create-order.updated": nothing,
    "rest-webhook-create-unreachable": nothing,
    "order-payment_complete-virtual-only": then(ordered(status="pending"), _paid("ch_1052")),
    "order-payment_complete-virtual+downloadable": _auto_completing,
    **{
        name: ordered(status=name.removeprefix("order-status-"))
        for name in names("order-status-")
        if not name.endswith("trash")
    },
}


@pytest.mark.parametrize("name", CASES)
def test_a_recorded_request_is_answered_as_it_was_recorded(sandbox: Sandbox, name: str) -> None:
    assert_same(replay(sandbox, name, CASES[name](sandbox)), name)


def test_a_storefront_without_decimals_answers_as_recorded() -> None:
    name = "order-completed-storeJPY-decimals0-5000"
    with Sandbox(plays_https=True, decimals=0, currency="JPY") as sandbox:
        path = ordered(line_items=_costing("5000"))(sandbox)
        assert_same(replay(sandbox, name, path), name)


# Every PUT that was recorded on order 17, with its second; some statuses were set more than once.
LIFE = (
    (8, "on-hold"),
    (10, "processing"),
    (12, "completed"),
    (14, "processing"),
    (16, "cancelled"),
    (18, "completed"),
    (20, "refunded"),
    (23, "completed"),
    (25, "pending"),
    (27, "failed"),
    (29, "completed"),
)
RECORDED_AT = (8, 14, 16, 20, 25, 27, 29)


def test_a_long_life_leaves_the_recorded_stamps_and_refunds_to_the_second() -> None:
    minute = parse("2026-11-22T15:39:00Z")
    now = [minute + 5 * SECOND]
    with Sandbox(plays_https=True, clock=lambda: now[0]) as sandbox:
        replay(sandbox, "rest-create-pending-order")
        for second, status in LIFE:
            now[0] = minute + second * SECOND
            answer = replay(sandbox, f"rest-set-status-{status}").json()
            if second in RECORDED_AT:
                recorded = body(f"rest-set-status-{status}")
                differing = {name for name in recorded if answer[name] != recorded[name]}
                assert differing == {"order_key", "payment_url", "_links"}, second


def test_a_list_has_the_recorded_rows_and_paging_headers(sandbox: Sandbox) -> None:
    for _ in range(2081):
        ordered(status="pending")(sandbox)
    answer = replay(sandbox, "rest-orders-one")
    assert_same(answer, "rest-orders-one")
    recorded = load("rest-orders-one")["response"]["headers"]["Link"]
    assert comparable(answer.headers["Link"]) == comparable(recorded)


def test_a_page_of_a_hundred_has_the_recorded_number_of_rows_and_pages(sandbox: Sandbox) -> None:
    name = "rest-orders-page1-modified-asc"
    for _ in range(1184):
        ordered()(sandbox)
    answer = replay(sandbox, name)
    recorded = load(name)["response"]["headers"]
    assert len(answer.json()) == len(body(name)) == 100
    assert answer.headers["X-WP-TotalPages"] == recorded["X-WP-TotalPages"] == "12"
    assert comparable(answer.headers["Link"]) == comparable(recorded["Link"])


@pytest.mark.parametrize(
    ("name", "key", "secret"),
    [
        ("error-401-no-auth", "", ""),
        ("error-401-bad-key", "ck_unknown", "cs_wrong"),
        ("error-401-bad-secret", None, "cs_wrong"),
    ],
)
def test_wrong_credentials_behind_tls_are_refused_as_recorded(
    sandbox: Sandbox, name: str, key: str | None, secret: str
) -> None:
    key = sandbox.consumer_key if key is None else key
    auth = (key, secret) if key else None
    answer = requests.get(f"{sandbox.url}/wp-json/wc/v3/orders", auth=auth, timeout=10)
    assert_same(answer, name)


def test_basic_auth_over_plain_http_is_refused_as_recorded() -> None:
    with Sandbox() as sandbox:
        name = "error-401-basic-over-http"
        assert_same(replay(sandbox, name), name)


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        (MAINTENANCE, "error-503-maintenance"),
        (CRITICAL_ERROR, "error-500-php-fatal"),
        (BOM, "error-200-bom-before-json"),
        (PHP_NOTICE, "error-200-php-notice-before-json"),
        (UNAUTHORIZED, "error-401-no-auth"),
        (redirect("/wp-json/wc/v3/orders/"), "error-plain-permalinks-wp-json"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_fault_looks_like_the_recorded_one(sandbox: Sandbox, fault: Fault, name: str) -> None:
    sandbox.faults.switch_on(fault, times=1)
    url = f"{sandbox.url}/wp-json/wc/v3/orders"
    credentials = (sandbox.consumer_key, sandbox.consumer_secret)
    answer = requests.get(url, auth=credentials, timeout=10, allow_redirects=False)
    recorded = load(name)["response"]
    assert answer.status_code == recorded["status"]
    for header in ("Content-Type", "Retry-After"):
        assert answer.headers.get(header) == recorded["headers"].get(header)
    assert answer.text[:2] == recorded["body_raw"][:2]
    assert requests.get(url, auth=credentials, timeout=10).json() == []
