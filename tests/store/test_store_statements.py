"""Statements, on both databases."""

import pytest
from sqlalchemy import Connection

from bridge.domain.clock import HOUR, Instant, parse
from bridge.domain.entry import EffectDraft
from bridge.domain.wallet import Wallet
from bridge.store import ledger, reports, statements
from bridge.store.database import Database

START: Instant = parse("2026-01-01T00:00:00Z")
NUMBER = 40


@pytest.fixture
def busy(database: Database) -> Database:
    """A database in which acme's wallet got 40 entries of 1.00, two in each hour."""
    with database.write() as tx:
        for n in range(NUMBER):
            now = START + n // 2 * HOUR
            draft = EffectDraft("acme", "EUR", "main", n + 1, "deposit", 100, now, "")
            ledger.post(tx, [draft], now)
    return database


def wallet(tx: Connection) -> Wallet:
    return reports.wallet(tx, "acme", "EUR")


@pytest.mark.parametrize(
    ("hours", "version"), [(-1, 0), (0, 0), (0.5, 2), (1, 2), (19, 38), (20, 40), (99, 40)]
)
def test_a_time_is_found_among_the_entries(busy: Database, hours: float, version: int) -> None:
    with busy.read() as tx:
        instant = START + int(hours * HOUR)
        assert statements.version_before(tx, wallet(tx), instant) == version


def test_a_wallet_without_entries_has_no_time_and_no_line(busy: Database) -> None:
    empty = Wallet("acme", "USD")
    with busy.read() as tx:
        assert statements.version_before(tx, empty, START) == 0
        assert statements.balance_line(tx, empty, 0, START, 10) == []
        assert statements.between(tx, empty, 0, 0, limit=10) == []


def test_entries_between_two_numbers_come_newest_first(busy: Database) -> None:
    with busy.read() as tx:
        found = statements.between(tx, wallet(tx), 5, 9, limit=3)
        assert [entry.version for entry in found] == [9, 8, 7]
        assert statements.balance_at(tx, wallet(tx), 7) == 700
        assert statements.balance_at(tx, wallet(tx), 0) == 0


def test_the_line_begins_with_what_was_there_and_ends_now(busy: Database) -> None:
    now = START + 100 * HOUR
    with busy.read() as tx:
        line = statements.balance_line(tx, wallet(tx), START + 10 * HOUR, now, 120)
    assert line[0] == (START + 10 * HOUR, 2000)
    assert line[-1] == (now, 4000)
    assert len(line) == 22


def test_a_young_wallets_line_begins_with_its_first_entry(busy: Database) -> None:
    with busy.read() as tx:
        line = statements.balance_line(tx, wallet(tx), 0, START + 100 * HOUR, 120)
    assert line[0] == (START, 100)


@pytest.mark.parametrize("points_max", [1, 2, 7, 39])
def test_a_line_has_no_more_steps_than_asked_for_and_ends_right(
    busy: Database, points_max: int
) -> None:
    with busy.read() as tx:
        line = statements.balance_line(tx, wallet(tx), 0, START + 100 * HOUR, points_max)
    assert len(line) == points_max + 1
    assert line[-1] == (START + 100 * HOUR, 4000)
    assert line == sorted(line)
