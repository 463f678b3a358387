import json
from typing import Any

import pytest

from bridge.domain.clock import parse as instant
from bridge.domain.order import Line, Order, Refund, RefundLine, Unreadable, key_digest
from bridge.store import snapshot
from bridge.storefront import parse
from tests.recordings import body, load, names

SHOPPER = ("Ada", "Lovelace", "ada@example.com", "rue X", "75001")


def read(row: Any, tag_key: str = "_tenant_id") -> Order | Unreadable:
    return parse.order(row, "main", tag_key, fetched_at=0)


def readable(row: Any, tag_key: str = "_tenant_id") -> Order:
    order = read(row, tag_key)
    assert isinstance(order, Order)
    return order


def row(**fields: Any) -> dict[str, Any]:
    return {**body("order-status-completed"), **fields}


@pytest.mark.parametrize("name", names("order-"))
def test_every_recorded_order_is_readable_and_holds_nothing_of_the_shopper(name: str) -> None:
    order = readable(body(name))

    kept = snapshot.take(order).decode()
    assert not [text for text in SHOPPER if text in kept]
    assert snapshot.restore(kept, 0) == order


def test_an_order_is_read_field_by_field() -> None:
    order = readable(body("order-completed-partially-refunded"))

    assert order == Order(
        storefront="main",
        id=26,
        key=key_digest("wc_order_wuksDd8z574TZ"),
        status="completed",
        currency="EUR",
        total="50.00",
        total_tax="0.00",
        payment_method="bacs",
        has_transaction_id=False,
        created_at=instant("2026-11-22T15:42:09Z"),
        modified_at=instant("2026-11-22T15:42:09Z"),
        paid_at=instant("2026-11-22T15:42:09Z"),
        completed_at=instant("2026-11-22T15:42:09Z"),
        tags=("acme",),
        lines=(Line(7, "product", "Deposit 50", 12, "DEPOSIT-50", "50.00", "0.00", ()),),
        refunds=(Refund(27, "-10.00", None), Refund(28, "-15.50", None)),
        fetched_at=0,
    )


def test_tags_on_lines_stay_with_their_lines() -> None:
    order = readable(body("order-completed-tagged-on-line-items"))

    assert order.tags == ()
    assert [line.tags for line in order.lines] == [("acme",), ("globex",)]


def test_fee_lines_are_lines_without_a_product() -> None:
    order = readable(body("order-payment_complete-fee-line-only"))

    assert [(line.kind, line.product_id, line.sku) for line in order.lines] == [("fee", 0, "")]


def test_every_value_under_the_tag_key_is_a_tag_whatever_its_type_but_null_and_nothing() -> None:
    values = [7, None, "acme", "", {"a": 1}, "acme", ["b"]]
    metas = [{"key": "_tenant_id", "value": value} for value in values]

    order = readable(row(meta_data=[*metas, {"key": "_other", "value": "globex"}]))

    assert sorted(order.tags, key=str) == sorted([7, "acme", "acme", {"a": 1}, ["b"]], key=str)


def test_the_order_in_which_woocommerce_lists_things_does_not_show() -> None:
    name = "order-completed-multiline-coupon-tax-shipping-fee"
    metas = [{"key": "_tenant_id", "value": value} for value in ("acme", "globex")]
    refunds = [{"id": 1, "total": "-1.00"}, {"id": 2, "total": "-2.00"}]
    one = body(name) | {"meta_data": metas, "refunds": refunds}
    other = {key: value[::-1] if isinstance(value, list) else value for key, value in one.items()}

    assert readable(one) == readable(other)
    assert len(readable(one).lines) > 1


def test_amounts_stay_what_the_storefront_wrote_even_when_it_is_odd() -> None:
    order = readable(row(total="12,34", total_tax=1.5))

    assert (order.total, order.total_tax) == ("12,34", 1.5)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"id": "63"}, "id"),
        ({"id": True}, "id"),
        ({"id": 0}, "id"),
        ({"id": 2**63}, "id"),
        ({"status": None}, "status"),
        ({"currency": 978}, "currency"),
        ({"order_key": ["x"]}, "order_key"),
        ({"date_created_gmt": None}, "date_created_gmt"),
        ({"date_created_gmt": "2026-11-22T15:39:05Z"}, "date_created_gmt"),
        ({"date_created_gmt": "2026-11-22 15:39:05"}, "date_created_gmt"),
        ({"date_modified_gmt": "2026-02-30T00:00:00"}, "date_modified_gmt"),
        ({"date_modified_gmt": "٢٠٢٦-11-22T15:39:05"}, "date_modified_gmt"),
        ({"date_paid_gmt": ""}, "date_paid_gmt"),
        ({"date_completed_gmt": 1}, "date_completed_gmt"),
        ({"meta_data": {}}, "meta_data"),
        ({"meta_data": ["x"]}, "meta_data"),
        ({"line_items": None}, "line_items"),
        ({"fee_lines": [{"id": 1, "total": "1", "meta_data": []}]}, "total_tax"),
        ({"refunds": [{"total": "-1.00"}]}, "id"),
        ({"refunds": [{"id": 5}]}, "total"),
    ],
)
def test_an_odd_field_makes_the_order_unreadable_and_is_named(
    fields: dict[str, Any], named: str
) -> None:
    unreadable = read(row(**fields))

    assert isinstance(unreadable, Unreadable)
    assert named in unreadable.why.split()
    assert unreadable.id == (0 if "id" in fields else row()["id"])


@pytest.mark.parametrize("missing", parse.FIELDS.split(","))
def test_a_missing_field_makes_the_order_unreadable(missing: str) -> None:
    assert isinstance(
        read({key: value for key, value in row().items() if key != missing}), Unreadable
    )


@pytest.mark.parametrize("junk", [None, 7, "order", [], {"code": "x", "message": "y"}])
def test_what_is_no_order_at_all_is_unreadable(junk: Any) -> None:
    assert isinstance(read(junk), Unreadable)


def test_orders_read_as_a_page_are_what_they_are_one_by_one() -> None:
    recorded = [body(name) for name in names("order-")]
    page = parse.rows(json.dumps(recorded))
    assert page is not None
    assert [read(row) for row in page] == [read(row) for row in recorded]
    assert [parse.row_id(row) for row in page] == [parse.row_id(row) for row in recorded]


@pytest.mark.parametrize(
    "odd", ["{}", '{"code":"x"}', "[7]", '[{"id":7}]', "", "<p>", "[" * 100_000]
)
def test_what_is_no_page_of_orders_as_documented_is_not_read_as_one(odd: str) -> None:
    assert parse.rows(odd) is None


@pytest.mark.parametrize(
    "fields", [{"status": "\ud800"}, {"total": float("nan")}, {"total": float("inf")}]
)
def test_what_is_no_unicode_and_no_number_makes_the_order_unreadable(
    fields: dict[str, Any],
) -> None:
    text = json.dumps([row(), row(**fields)])
    assert parse.rows(text) is None
    first, second = (read(one) for one in json.loads(text))
    assert isinstance(first, Order)
    assert isinstance(second, Unreadable)
    assert second.id == row()["id"]


def test_refunds_take_their_lines_from_the_long_form_and_their_total_from_the_order() -> None:
    order = readable(body("order-completed-partially-refunded"))

    assert parse.refunds(body("rest-list-order-refunds"), order) == (
        Refund(27, "-10.00", (RefundLine(7, "-10.00", "0.00"),)),
        Refund(28, "-15.50", (RefundLine(7, "-15.50", "0.00"),)),
    )


def test_a_refund_that_only_one_reading_shows_is_kept() -> None:
    order = readable(body("order-completed-partially-refunded"))
    rows = body("rest-list-order-refunds")
    rows[0] |= {"id": 99, "line_items": []}

    assert parse.refunds(rows, order) == (
        Refund(27, "-10.00", (RefundLine(7, "-10.00", "0.00"),)),
        Refund(28, "-15.50", None),
        Refund(99, "-15.50", ()),
    )


@pytest.mark.parametrize("name", [name for name in names("webhook-") if "ping" not in name])
def test_a_recorded_webhook_names_its_order(name: str) -> None:
    delivery = load(name)
    named = body(name)

    hint = parse.hint(delivery["body_raw"].encode())

    assert hint == (named["arg"] if "arg" in named else named["id"])


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"webhook_id=2",
        b"[]",
        b"null",
        b"17",
        b"{}",
        b'{"id":"17"}',
        b'{"id":true}',
        b'{"id":-1}',
        b'{"id":17.0}',
        b'{"id":9223372036854775808}',
        b'{"action":"woocommerce_order_status_completed"}',
        b'{"action":"x","arg":{"id":17},"id":17}',
        b'{"code":"woocommerce_rest_cannot_view","data":{"status":401}}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_junk_in_a_webhook_is_no_hint(junk: bytes) -> None:
    assert parse.hint(junk) is None
