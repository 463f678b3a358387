"""The sum check finds every way in which a ledger can differ from what was answered."""

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from bench import checks
from bench.checks import (
    Books,
    SumCheckError,
    debits,
    problems,
    read,
    read_told,
    require,
    require_told,
)
from bench.homes import Files
from bench.installation import TEMPLATE, prepare
from bench.load import AMOUNT, FUNDS, TENANTS, Sample

KEY = "tenant_id, idempotency_key"
PLACE = "tenant_id, currency, version"
BEFORE = Books(
    debits=10, debited=10 * AMOUNT, wallets_differing=0, wallets_negative=0, keys_twice=0
)


def after(count: int) -> Books:
    """Books in order, with so many more debits."""
    return BEFORE._replace(debits=10 + count, debited=(10 + count) * AMOUNT)


def test_books_that_hold_what_was_answered_are_right() -> None:
    assert problems(BEFORE, after(100), Sample(debits=100, seconds=1)) == []


def test_debits_in_flight_at_the_end_may_be_in_the_books() -> None:
    sample = Sample(debits=100, seconds=1, in_flight_max=32)
    assert problems(BEFORE, after(132), sample) == []
    assert problems(BEFORE, after(133), sample)


def test_an_answered_debit_that_is_not_in_the_books_is_found() -> None:
    [problem] = problems(BEFORE, after(99), Sample(debits=100, seconds=1, in_flight_max=32))
    assert "100 debits were answered" in problem
    assert "99 entries were made" in problem


def test_a_debit_of_another_amount_is_found() -> None:
    books = after(100)
    [problem] = problems(BEFORE, books._replace(debited=books.debited + 1), Sample(100, 1))
    assert "add up" in problem


def test_a_balance_that_was_told_otherwise_than_it_is_is_found() -> None:
    def rows(_query: str) -> list[tuple[str, int]]:
        return [("acme", 30), ("beta", 0)]

    require_told(rows, {"acme": 30, "beta": 0}.__getitem__)
    with pytest.raises(SumCheckError, match="beta has 0, but was told 1"):
        require_told(rows, {"acme": 30, "beta": 1}.__getitem__)


@pytest.mark.parametrize(
    "field",
    [
        *("wallets_differing", "wallets_negative", "keys_twice"),
        *("entries_untold", "events_missing"),
    ],
)
def test_what_may_never_be_is_found_whenever_it_came_about(field: str) -> None:
    wrong = {field: 1}
    assert problems(BEFORE._replace(**wrong), after(1)._replace(**wrong), Sample(1, 1))


def test_wrong_books_end_the_bench() -> None:
    with pytest.raises(SumCheckError, match="bridge, hot"):
        require("bridge, hot", BEFORE, after(1), Sample(2, 1))


@pytest.fixture
def ledger() -> sqlite3.Connection:
    """A ledger without any constraint: one tenant, funded, with one debit."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(f"""
        CREATE TABLE wallets (tenant_id, balance);
        CREATE TABLE entries (tenant_id, idempotency_key, amount);
        INSERT INTO wallets VALUES ('acme', {100 - AMOUNT});
        INSERT INTO entries VALUES ('acme', 'funds', 100), ('acme', 'one', {-AMOUNT});
    """)
    return connection


def books(ledger: sqlite3.Connection) -> Books:
    with closing(ledger):
        return read(lambda query: ledger.execute(query).fetchall(), KEY)


def test_a_ledger_is_added_up_from_its_tables(ledger: sqlite3.Connection) -> None:
    assert books(ledger) == Books(1, AMOUNT, 0, 0, 0)


def test_a_key_that_made_two_entries_is_found(ledger: sqlite3.Connection) -> None:
    ledger.execute(f"INSERT INTO entries VALUES ('acme', 'one', {-AMOUNT})")
    assert books(ledger).keys_twice == 1


def test_a_balance_that_is_not_the_sum_of_its_entries_is_found(ledger: sqlite3.Connection) -> None:
    ledger.execute("UPDATE wallets SET balance = balance + 1")
    assert books(ledger).wallets_differing == 1


def test_a_balance_below_zero_is_found(ledger: sqlite3.Connection) -> None:
    ledger.execute("UPDATE wallets SET balance = -1")
    assert books(ledger).wallets_negative == 1


def told(home: Files, change: str) -> Books:
    """Add up a fresh installation whose funds are told as events, changed so."""
    prepare(home)
    with closing(sqlite3.connect(home.path(TEMPLATE))) as database, database:
        database.executescript(f"""
            DELETE FROM outbox;
            INSERT INTO events (seq, size, published_at, type, {PLACE}, occurred_at, data)
            SELECT row_number() OVER (), 1, 0, 'wallet.credited', {PLACE}, 0, '' FROM entries;
            {change};
        """)
    return read_told(partial(home.rows, TEMPLATE), "tenant_id, caller, idempotency_key")


@pytest.mark.parametrize(
    ("change", "untold", "missing"),
    [
        ("", 0, 0),
        ("DELETE FROM events WHERE seq = 1000", 1, 0),
        ("DELETE FROM events WHERE seq = 7", 1, 1),
        (
            f"INSERT INTO events SELECT 1001, 1, 0, type, {PLACE}, 0, '' FROM events WHERE seq = 7",
            1,
            0,
        ),
    ],
)
def test_an_entry_that_is_not_exactly_one_event_is_found(
    tmp_path: Path, change: str, untold: int, missing: int
) -> None:
    assert told(Files(tmp_path), change) == Books(
        0, 0, 0, 0, 0, entries_untold=untold, events_missing=missing
    )


def test_who_publishes_nothing_is_not_waited_for_in_vain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "STUCK_S", 0)
    home = Files(tmp_path)
    prepare(home)
    with pytest.raises(SumCheckError, match="nothing was published"):
        read_told(partial(home.rows, TEMPLATE), KEY)


def test_a_fresh_installation_has_its_funds_and_no_debits(tmp_path: Path) -> None:
    home = Files(tmp_path)
    prepare(home)
    rows = partial(home.rows, TEMPLATE)
    assert read(rows, "tenant_id, caller, idempotency_key") == Books(0, 0, 0, 0, 0)
    assert rows("SELECT count(*), sum(balance) FROM wallets") == [(TENANTS, TENANTS * FUNDS)]
    assert debits(rows) == 0
