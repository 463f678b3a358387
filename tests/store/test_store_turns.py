"""Turns: SQLite's writers within one process go one after another, in the order they came."""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from itertools import count

import pytest

from bridge.store import outbox
from bridge.store.database import Database
from bridge.store.turns import Turns
from tests.store.drafting import NOON
from tests.store.test_store_outbox import FACT

LONG_S = 30
SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@contextlib.contextmanager
def queued(turns: Turns, names: str) -> Iterator[list[str]]:
    """Threads that wait for a turn each, one behind the other; yields who had one, in order."""
    had: list[str] = []

    def wait(name: str) -> None:
        assert turns.take(LONG_S)
        had.append(name)
        turns.end()

    threads = [threading.Thread(target=wait, args=(name,)) for name in names]
    for number, thread in enumerate(threads, start=1):
        thread.start()
        while len(turns._waiting) < number:
            time.sleep(0.001)
    yield had
    for thread in threads:
        thread.join(LONG_S)


def test_a_turn_that_nobody_has_is_taken_at_once() -> None:
    turns = Turns()
    assert turns.take(0)
    assert not turns.take(0)
    turns.end()
    assert turns.take(0)


def test_who_waits_longest_is_next() -> None:
    turns = Turns()
    turns.take(0)
    with queued(turns, "abcdef") as had:
        turns.end()
    assert had == list("abcdef")
    assert turns.take(0)


def test_nobody_passes_by_who_waits() -> None:
    turns = Turns()
    turns.take(0)
    with queued(turns, "a") as had:
        assert not turns.take(0)
        assert had == []
        turns.end()
    assert had == ["a"]


def test_who_gave_up_waiting_is_passed_over() -> None:
    turns = Turns()
    turns.take(0)
    assert not turns.take(0.01)
    turns.end()
    assert turns.take(0)


def test_many_threads_have_one_turn_at_a_time() -> None:
    turns, inside = Turns(), count()
    most: list[int] = []

    def work() -> None:
        for _ in range(200):
            if turns.take(0.0005):
                before = next(inside)
                most.append(next(inside) - before)
                turns.end()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_S)
    assert set(most) == {1}
    assert turns.take(0)


@SQLITE
def test_a_pen_takes_its_turn_and_gives_it_back(database: Database) -> None:
    pen = database.pen()
    assert pen
    for row in ((NOON, "[]"), (NOON, None), (NOON, "[]")):
        with contextlib.suppress(sqlite3.IntegrityError):
            pen.write(outbox.INSERT["sqlite"], row)
        with database.write() as tx:
            outbox.add(tx, [FACT])
    with database.read() as tx:
        assert len(outbox.take(tx, 10).ids) == 5
