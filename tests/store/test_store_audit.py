"""`bridge verify`: right books are found right, and whatever was tampered with is named."""

from typing import Any, NamedTuple

import pytest
from sqlalchemy import text

from bridge.store import audit
from bridge.store.database import Database
from tests.store.drafting import adjustment, debit, effect, hold, posted, problems


def fill(database: Database) -> None:
    """Two tenants' books with something of everything."""
    posted(database, adjustment(1000), debit(300), hold(200), debit(50))
    posted(database, effect(500, order_id=7), effect(-100, order_id=7, effect="refund/3"))
    posted(database, effect(400, order_id=7, effect="hold/dispute"))
    posted(database, adjustment(10, tenant_id="other", currency="USD"))


def tamper(database: Database, statement: str) -> None:
    """Change the books as somebody with access to the database could."""
    with database.write() as tx:
        if database.is_sqlite:
            for event in ("update", "delete"):
                tx.execute(text(f"DROP TRIGGER entries_no_{event}"))
        else:
            tx.execute(text("ALTER TABLE entries DISABLE TRIGGER USER"))
        assert tx.execute(text(statement)).rowcount, "the statement should hit something"


def test_right_books_have_no_problems(database: Database) -> None:
    fill(database)
    with database.read() as tx:
        verified = audit.verify(tx)
    assert verified == audit.Audit(wallets=2, entries=8, problems=[])


def test_empty_books_and_empty_wallets_are_right(database: Database) -> None:
    assert problems(database) == []
    posted(database, effect(5))
    with database.write() as tx:
        tx.execute(
            text("INSERT INTO wallets SELECT tenant_id, 'USD', 0, 0, 0, :h FROM tenants"),
            {"h": bytes(32)},
        )
    assert problems(database) == []


def test_books_are_right_whatever_order_the_tenants_names_have_elsewhere(
    database: Database,
) -> None:
    """The tables are read side by side, byte by byte: a dictionary's order would mix wallets up."""
    for tenant_id in ("a", "B", "a-b", "aB", "_", "~", "10", "9"):
        for currency in ("EUR", "USD"):
            place: dict[str, Any] = {"tenant_id": tenant_id, "currency": currency}
            posted(database, adjustment(1000, **place), hold(200, **place))
            posted(database, effect(500, order_id=7, **place))
    assert problems(database) == []


class Case(NamedTuple):
    """What was done, and what an audit must say of it."""

    statement: str
    found: str


ONE = "tenant_id = 'acme' AND version = "
CASES = {
    "an amount": Case(
        f"UPDATE entries SET amount = -30 WHERE {ONE} 2", "entry acme.EUR.2 was changed"
    ),
    "an amount, its balance and the wallet's": Case(
        f"UPDATE entries SET amount = amount + 1, balance_after = balance_after + 1 WHERE {ONE} 7",
        "entry acme.EUR.7 was changed",
    ),
    "a description": Case(
        f"UPDATE entries SET description = 'gift' WHERE {ONE} 2", "entry acme.EUR.2 was changed"
    ),
    "a time": Case(
        f"UPDATE entries SET occurred_at = 0 WHERE {ONE} 5", "entry acme.EUR.5 was changed"
    ),
    "a hash": Case(
        f"UPDATE entries SET hash = request_digest WHERE {ONE} 2", "entry acme.EUR.2 was changed"
    ),
    "an entry moved to another tenant": Case(
        f"UPDATE entries SET tenant_id = 'other', currency = 'EUR' WHERE {ONE} 7",
        "entry other.EUR.7 follows version 0: entries are missing",
    ),
    "an entry removed in the middle": Case(
        f"DELETE FROM entries WHERE {ONE} 4",
        "entry acme.EUR.5 follows version 3: entries are missing",
    ),
    "the first entry removed": Case(
        f"DELETE FROM entries WHERE {ONE} 1",
        "entry acme.EUR.2 follows version 0: entries are missing",
    ),
    "the last entry removed": Case(
        f"DELETE FROM entries WHERE {ONE} 7", "wallet acme.EUR differs from its last entry"
    ),
    "the only entry removed": Case(
        "DELETE FROM entries WHERE tenant_id = 'other'",
        "wallet other.USD differs from its last entry",
    ),
    "a wallet's balance": Case(
        "UPDATE wallets SET balance = balance + 1 WHERE tenant_id = 'other'",
        "wallet other.USD differs from its last entry",
    ),
    "what a wallet holds": Case(
        "UPDATE wallets SET held = 0 WHERE tenant_id = 'acme'",
        "wallet acme.EUR differs from its last entry",
    ),
    "a wallet removed": Case(
        "DELETE FROM wallets WHERE tenant_id = 'other'",
        "wallet other.USD differs from its last entry",
    ),
    "an effect's amount": Case(
        "UPDATE effects SET amount = 900 WHERE effect = 'deposit'",
        "wallet acme.EUR: the effects of its orders differ",
    ),
    "an effect's number of entries": Case(
        "UPDATE effects SET posts = 0 WHERE effect = 'refund/3'",
        "wallet acme.EUR: the effects of its orders differ",
    ),
    "an effect on a wallet that does not exist": Case(
        "INSERT INTO effects SELECT 'ghost', 'EUR', storefront, 8, effect, amount, posts"
        " FROM effects WHERE effect = 'deposit'",
        "wallet ghost.EUR: the effects of its orders differ",
    ),
    "an effect removed": Case(
        "DELETE FROM effects WHERE effect = 'deposit'",
        "wallet acme.EUR: the effects of its orders differ",
    ),
    "an effect on a wallet with no orders": Case(
        "INSERT INTO effects SELECT 'other', 'USD', storefront, 8, effect, amount, posts"
        " FROM effects WHERE effect = 'deposit'",
        "wallet other.USD: the effects of its orders differ",
    ),
    "an open hold removed": Case(
        "DELETE FROM open_holds", "wallet acme.EUR: its open holds differ"
    ),
    "an open hold invented": Case(
        "INSERT INTO open_holds VALUES ('other', 'USD', 1, 0)",
        "wallet other.USD: its open holds differ",
    ),
    "an open hold on a wallet that does not exist": Case(
        "INSERT INTO open_holds SELECT 'ghost', currency, version, expires_at FROM open_holds",
        "wallet ghost.EUR: its open holds differ",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_tampering_is_found_and_named(database: Database, case: Case) -> None:
    fill(database)
    tamper(database, case.statement)
    assert [problem for problem in problems(database) if problem.startswith(case.found)]


def test_tampering_with_one_wallet_accuses_no_other(database: Database) -> None:
    fill(database)
    tamper(database, CASES["an amount"].statement)
    assert not [problem for problem in problems(database) if "other" in problem]


def test_the_totals_are_the_other_side_of_the_wallets(database: Database) -> None:
    fill(database)
    with database.read() as tx:
        books = audit.totals(tx)
    assert books == {"EUR": {"plans": -650, "storefront:main": -400}, "USD": {"plans": -10}}
