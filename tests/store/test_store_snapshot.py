"""An order's state as text."""

from typing import Any

import pytest

from bridge.domain.order import Order, Refund, RefundLine
from bridge.store import snapshot
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
    again = snapshot.restore(snapshot.take(FULL).decode(), fetched_at=7)
    assert again == FULL._replace(fetched_at=7)
    assert snapshot.take(again) == snapshot.take(FULL)


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
    assert snapshot.take(FULL._replace(**{field: value})) != snapshot.take(FULL)


def test_every_field_but_one_is_in_that_table() -> None:
    assert {*OTHERS, "fetched_at"} == set(Order._fields)


def test_the_order_of_what_stands_in_a_tag_does_not_show() -> None:
    one, other = order(tags=({"a": 1, "b": 2},)), order(tags=({"b": 2, "a": 1},))
    assert snapshot.take(one) == snapshot.take(other)


def test_a_snapshot_holds_nothing_that_a_database_chokes_on() -> None:
    tags = ("\u202eacme\x00", "ü")
    text = snapshot.take(order(tags=tags)).decode()
    assert "\x00" not in text
    assert snapshot.restore(text, fetched_at=0).tags == tags
