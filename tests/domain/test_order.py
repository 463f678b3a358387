import json
from typing import Any

import pytest

from bridge.domain.order import Order, Refund, RefundLine, digest
from tests.examples import line, order, refunded

FULL = order(
    tags=("acme", 7, {"b": 1, "a": [None, 2.5]}, ["x"]),
    lines=(line(1, tags=("acme", {"k": "v"})), line(2, total=17.99, seals=("seal", 7))),
    refunds=(
        *refunded("10.00"),
        Refund(102, "-5.00", ()),
        Refund(103, "-1.00", (RefundLine(1, "-1.00", "0.00"),)),
    ),
    seals=("seal", {"a": [1]}),
)


def test_a_snapshot_keeps_everything_but_when_it_was_fetched() -> None:
    again = Order.from_snapshot(FULL.snapshot(), fetched_at=7)
    assert again == FULL._replace(fetched_at=7)
    assert again.snapshot() == FULL.snapshot()


OTHERS: dict[str, Any] = {
    "storefront": "eu",
    "id": 64,
    "key": "wc_order_64",
    "status": "processing",
    "currency": "USD",
    "total": "50.01",
    "total_tax": "0.01",
    "payment_method": "cod",
    "has_transaction_id": True,
    "created_at": 1,
    "modified_at": 2,
    "paid_at": None,
    "completed_at": None,
    "tags": (),
    "lines": (),
    "refunds": (),
    "seals": (),
}


@pytest.mark.parametrize(("field", "value"), OTHERS.items(), ids=OTHERS)
def test_a_snapshot_changes_with_every_field(field: str, value: Any) -> None:
    assert FULL._replace(**{field: value}).snapshot() != FULL.snapshot()


def test_every_field_but_one_is_in_that_table() -> None:
    assert {*OTHERS, "fetched_at"} == set(Order._fields)


def test_a_snapshot_is_ascii_whatever_the_storefront_wrote() -> None:
    text = order(tags=("\u202eacme\x00", "ü", "\ud800")).snapshot()
    assert text.isascii()
    assert json.loads(text)["tags"] == ["\u202eacme\x00", "ü", "\ud800"]


def test_the_fingerprint_is_the_key_and_the_time_of_creation() -> None:
    first = order()
    assert first._replace(status="trash", total="1.00").fingerprint == first.fingerprint
    assert first._replace(key="wc_order_other").fingerprint != first.fingerprint
    assert first._replace(created_at=first.created_at + 1).fingerprint != first.fingerprint


def test_a_digest_is_32_bytes_and_tells_texts_apart() -> None:
    assert len(digest("a")) == 32
    assert digest("a") == digest("a") != digest("b")
