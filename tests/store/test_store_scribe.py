"""What a scribe is asked is done in order, whole or not at all, and never holds up the loop."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from bridge.store.pen import Pen
from bridge.store.scribe import Scribe, Work

WAIT_S = 30
"""How long a test waits for what must come."""


class Scratchy(Pen):
    """A pen whose next commit fails, when it is told to."""

    failing = False

    def commit(self) -> None:
        if self.failing:
            self.failing = False
            self.give_up()
            raise sqlite3.OperationalError("disk I/O error")
        super().commit()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "words.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL").fetchall()
        connection.execute("CREATE TABLE words (word TEXT NOT NULL UNIQUE)")
    return path


def pen_for(file: Path, patience_s: int) -> Scratchy:
    def connect() -> sqlite3.Connection:
        return sqlite3.connect(file, isolation_level=None, timeout=0, check_same_thread=False)

    return Scratchy(connect, patience_s)


@pytest.fixture
def pen(file: Path) -> Scratchy:
    return pen_for(file, patience_s=WAIT_S)


def add(*words: str) -> Work:
    def work(pen: Pen) -> None:
        for word in words:
            pen.write("INSERT INTO words VALUES (?)", [[word]])

    return work


def words(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return [word for (word,) in connection.execute("SELECT word FROM words ORDER BY rowid")]


def answers(
    pen: Pen, jobs: Sequence[Work], meanwhile: Callable[[], object] = lambda: None
) -> list[str]:
    """Ask for jobs at one moment, do something, and return how each ended, in that order."""

    async def asked() -> list[str]:
        scribe, ended, all_ended = Scribe(pen), list[str](), asyncio.Event()

        def end(number: int, error: Exception | None) -> None:
            ended.append(f"{number}: {type(error).__name__ if error else 'written'}")
            if len(ended) == len(jobs):
                all_ended.set()

        scribe.open()
        for number, job in enumerate(jobs):
            scribe.ask(job, partial(end, number))
        await asyncio.sleep(0.05)
        meanwhile()
        await asyncio.wait_for(all_ended.wait(), WAIT_S)
        scribe.close()
        return ended

    return asyncio.run(asked())


def test_jobs_are_committed_in_the_order_they_were_asked(file: Path, pen: Scratchy) -> None:
    jobs = [add("a"), add("b", "c"), add("d")]
    assert answers(pen, jobs) == ["0: written", "1: written", "2: written"]
    assert words(file) == ["a", "b", "c", "d"]


def test_a_job_that_fails_leaves_nothing_and_spoils_no_other(file: Path, pen: Scratchy) -> None:
    ended = answers(pen, [add("a"), add("b", "a"), add("c")])
    assert sorted(ended) == ["0: written", "1: IntegrityError", "2: written"]
    assert words(file) == ["a", "c"]


def test_a_commit_that_fails_is_told_and_leaves_nothing(file: Path, pen: Scratchy) -> None:
    pen.failing = True
    assert answers(pen, [add("a"), add("b")]) == ["0: OperationalError", "1: written"]
    assert words(file) == ["b"]


def test_while_somebody_else_writes_the_loop_goes_on_and_then_all_is_written_in_order(
    file: Path, pen: Scratchy
) -> None:
    """Here the event loop itself lets the other writer go."""
    with closing(sqlite3.connect(file, isolation_level=None)) as stranger:
        stranger.execute("BEGIN IMMEDIATE")
        stranger.execute("INSERT INTO words VALUES ('before')")
        ended = answers(pen, [add("a"), add("b")], lambda: stranger.execute("COMMIT"))
    assert ended == ["0: written", "1: written"]
    assert words(file) == ["before", "a", "b"]


def test_whoever_writes_for_too_long_is_not_waited_for_any_longer(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as stranger:
        stranger.execute("BEGIN IMMEDIATE")
        assert answers(pen_for(file, patience_s=0), [add("a")]) == ["0: OperationalError"]
    assert words(file) == []
