"""Many rows in one statement arrive as they were, whatever is in them, on both databases."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from bridge.domain.wallet import Wallet
from bridge.store import bulk, tables
from bridge.store.database import Connection, Database
from bridge.store.orders import Seen

ORDERS = tables.table(tables.Order)
WALLETS = tables.table(tables.Wallet)
EFFECTS = tables.table(tables.Effect)

INT64_MAX = 2**63 - 1
INT64_MIN = -(2**63)
NUMBERS = [0, 1, -1, 2**53 + 1, INT64_MAX, INT64_MIN]
TEXTS = [
    *("", " ", "'", '"', "''; DROP TABLE wallets; --", "\\", "\\\\n", "\\u0041", "\n\r\t\x01\x7f"),
    *("{}", "{a}", "%s", "%(a)s", "%", ":name", "?", "?1", "$1", "$$", "null", "[1]", '{"a": 1}'),
    *("caf\u00e9", "\u6771\u4eac", "\u202e\u200b\ufeff", "\U0001f4b6", "\uffff", "e\u0301"),
]
OCTETS = [b"", b"\0", bytes(range(256)), b"\\x41", b"'", b"=="]


def order(order_id: int, text: str = "", octets: bytes = b"", number: int | None = None) -> Seen:
    """An order with this in all its columns that take such."""
    return Seen(
        "main",
        order_id,
        fingerprint=text,
        digest=octets,
        snapshot=text,
        because=text,
        created_at=number or 0,
        changed_at=number or 0,
        backward_since=number,
    )


ODD = [
    *(order(n, text=text) for n, text in enumerate(TEXTS, 100)),
    *(order(n, octets=octets) for n, octets in enumerate(OCTETS, 200)),
    *(order(n, number=number) for n, number in enumerate(NUMBERS, 300)),
    order(INT64_MAX),
    order(INT64_MIN),
]

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
numbers = st.integers(INT64_MIN, INT64_MAX)
any_order = st.builds(order, numbers, texts, st.binary(max_size=40), st.none() | numbers)
any_orders = st.lists(any_order, unique_by=lambda row: row.order_id, max_size=5)


def stored(tx: Connection) -> list[Seen]:
    return list(map(Seen._make, tx.execute(select(ORDERS).order_by(ORDERS.c.order_id))))


def in_order(rows: Sequence[Seen]) -> list[Seen]:
    return sorted(rows, key=lambda row: row.order_id)


def test_rows_arrive_as_they_were(database: Database) -> None:
    with database.write() as tx:
        bulk.insert(tx, ORDERS, ODD)
        assert stored(tx) == in_order(ODD)


def test_rows_are_written_over(database: Database) -> None:
    with database.write() as tx:
        bulk.insert(tx, ORDERS, [order(row.order_id, "before", b"before", 7) for row in ODD])
        bulk.update(tx, ORDERS, ODD)
        assert stored(tx) == in_order(ODD)


def test_any_rows_arrive_and_are_written_over(database: Database) -> None:
    with database.write() as tx:

        @settings(max_examples=60)
        @given(any_orders, st.data())
        def there_and_back(inserted: list[Seen], data: st.DataObject) -> None:
            tx.execute(delete(ORDERS))
            bulk.insert(tx, ORDERS, inserted)
            assert stored(tx) == in_order(inserted)
            updated = [data.draw(any_order)._replace(order_id=row.order_id) for row in inserted]
            bulk.update(tx, ORDERS, updated)
            assert stored(tx) == in_order(updated)

        there_and_back()


def test_an_update_leaves_other_rows_alone_and_makes_none(database: Database) -> None:
    kept = [Wallet("acme", "USD", 1), Wallet("beta", "EUR", 2)]
    with database.write() as tx:
        bulk.insert(tx, WALLETS, [*kept, Wallet("acme", "EUR", 3)])
        bulk.update(tx, WALLETS, [Wallet("acme", "EUR", -4), Wallet("nobody", "EUR", 5)])
        found = set(map(Wallet._make, tx.execute(select(WALLETS))))
    assert found == {*kept, Wallet("acme", "EUR", -4)}


def test_no_rows_are_no_statement() -> None:
    nowhere: Any = None
    bulk.insert(nowhere, WALLETS, [])
    bulk.insert(nowhere, WALLETS, [], "ON CONFLICT DO NOTHING")
    bulk.update(nowhere, WALLETS, [])


def test_a_row_that_is_there_fails_all_unless_told_otherwise(database: Database) -> None:
    old, new = Wallet("acme", "EUR", 1), Wallet("beta", "EUR", 2)
    with database.write() as tx:
        bulk.insert(tx, WALLETS, [old])
    with pytest.raises(IntegrityError), database.write() as tx:
        bulk.insert(tx, WALLETS, [new, Wallet("acme", "EUR", 9)])
    with database.read() as tx:
        assert list(tx.execute(select(WALLETS))) == [old]
    with database.write() as tx:
        bulk.insert(tx, WALLETS, [new, Wallet("acme", "EUR", 9)], "ON CONFLICT DO NOTHING")
        assert set(tx.execute(select(WALLETS))) == {old, new}


def test_a_conflict_may_take_what_was_brought(database: Database) -> None:
    clause = (
        "ON CONFLICT (tenant_id, currency, storefront, order_id, effect)"
        " DO UPDATE SET amount = excluded.amount"
    )
    deposit, refund = (("acme", "EUR", "main", 1, name) for name in ("deposit", "refund/7"))
    with database.write() as tx:
        bulk.insert(tx, EFFECTS, [(*deposit, 100, 1)])
        bulk.insert(tx, EFFECTS, [(*deposit, INT64_MIN, 9), (*refund, -5, 1)], clause)
        found = set(tx.execute(select(EFFECTS)))
    assert found == {(*deposit, INT64_MIN, 1), (*refund, -5, 1)}


@pytest.mark.parametrize("number", [INT64_MAX + 1, INT64_MIN - 1, 2**80])
def test_a_number_that_does_not_fit_is_refused(database: Database, number: int) -> None:
    with pytest.raises(Exception, match=r"(?i)range|large|big"), database.write() as tx:
        bulk.insert(tx, WALLETS, [Wallet("acme", "EUR", number)])


def test_text_that_is_none_is_refused(database: Database) -> None:
    with pytest.raises(UnicodeEncodeError), database.write() as tx:
        bulk.insert(tx, WALLETS, [Wallet("acme", "\ud800")])
