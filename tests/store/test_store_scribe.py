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
from bridge.store.turns import Turns
from tests.store.writing import ADD, blank, opened, words

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
    return blank(tmp_path / "words.db")


def pen_for(file: Path, patience_s: int) -> Scratchy:
    return Scratchy(partial(opened, file), patience_s, Turns())


@pytest.fixture
def pen(file: Path) -> Scratchy:
    return pen_for(file, patience_s=WAIT_S)


def add(*said: str) -> Work:
    def work(pen: Pen) -> None:
        for word in said:
            pen.write(ADD, [[word]])

    return work


def answers(
    pen: Pen, works: Sequence[Work], meanwhile: Callable[[], object] = lambda: None
) -> list[str]:
    """Ask for work at one moment, do something, and return how each ended, in that order."""

    async def asked() -> list[str]:
        scribe, ended, all_ended = Scribe(pen), list[str](), asyncio.Event()

        def end(number: int, error: Exception | None) -> None:
            ended.append(f"{number}: {type(error).__name__ if error else 'written'}")
            if len(ended) == len(works):
                all_ended.set()

        scribe.open()
        for number, work in enumerate(works):
            scribe.ask(work, partial(end, number))
        await asyncio.sleep(0.05)
        meanwhile()
        await asyncio.wait_for(all_ended.wait(), WAIT_S)
        scribe.close()
        return ended

    return asyncio.run(asked())


def test_work_is_committed_in_the_order_it_was_asked(file: Path, pen: Scratchy) -> None:
    works = [add("a"), add("b", "c"), add("d")]
    assert answers(pen, works) == ["0: written", "1: written", "2: written"]
    assert words(file) == ["a", "b", "c", "d"]


def test_work_that_fails_leaves_nothing_and_spoils_no_other(file: Path, pen: Scratchy) -> None:
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
