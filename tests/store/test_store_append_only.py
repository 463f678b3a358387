"""Entries stay as they were written; both databases refuse anything else."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from bridge.store.database import Database
from tests.store.drafting import adjustment, balance, entries, posted


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET amount = amount + 1",
        "UPDATE entries SET description = 'another'",
        "UPDATE entries SET description = 'another' WHERE version = 2",
        "DELETE FROM entries",
        "DELETE FROM entries WHERE version = 1",
    ],
)
def test_entries_are_neither_changed_nor_removed(database: Database, statement: str) -> None:
    posted(database, adjustment(100), adjustment(50))
    before = entries(database)
    with pytest.raises(DBAPIError, match="append-only; post an adjustment"), database.write() as tx:
        tx.execute(text(statement))
    assert entries(database) == before


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_entries_are_not_replaced(database: Database) -> None:
    posted(database, adjustment(100))
    before = entries(database)
    replace = "INSERT OR REPLACE INTO entries SELECT * FROM entries"
    with pytest.raises(DBAPIError, match="append-only"), database.write() as tx:
        tx.execute(text(replace))
    assert entries(database) == before


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_entries_are_not_truncated(database: Database) -> None:
    posted(database, adjustment(100))
    with pytest.raises(DBAPIError, match="append-only"), database.write() as tx:
        tx.execute(text("TRUNCATE entries"))
    assert len(entries(database)) == 1


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"version": 2, "amount": 0}, id="an entry that moves nothing"),
        pytest.param({"version": 0}, id="a version before the first"),
        pytest.param({"idempotency_key": "other"}, id="a second entry of the same version"),
        pytest.param({"version": 2}, id="a second entry under the same key"),
        pytest.param({"version": 2, "idempotency_key": "k", "hash": None}, id="no hash"),
    ],
)
def test_the_database_itself_refuses(database: Database, values: dict[str, object]) -> None:
    [entry] = posted(database, adjustment(100))
    row = entry._asdict() | values
    columns, places = ", ".join(row), ", ".join(f":{name}" for name in row)
    with pytest.raises(IntegrityError), database.write() as tx:
        tx.execute(text(f"INSERT INTO entries ({columns}) VALUES ({places})"), row)
    assert balance(database) == 100


def test_the_database_itself_refuses_a_wallet_that_holds_less_than_nothing(
    database: Database,
) -> None:
    posted(database, adjustment(100))
    with pytest.raises(IntegrityError, match="wallets_held"), database.write() as tx:
        tx.execute(text("UPDATE wallets SET held = -1"))
