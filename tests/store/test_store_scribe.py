"""What a scribe is asked is done in order, whole or not at all, and never holds up the loop."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from bridge.store.pen import Pen
from bridge.store.scribe import Scribe
from bridge.store.turns import Turns
from tests.store.writing import ADD, blank, opened, words

WAIT_S = 30
"""How long a test waits for what must come."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return blank(tmp_path / "words.db")


def pen_for(file: Path, patience_s: int = WAIT_S) -> Pen:
    return Pen(partial(opened, file, patience_s), Turns(), patience_s)


def answers(
    pen: Pen, asked: Sequence[str], meanwhile: Callable[[], object] = lambda: None
) -> list[str]:
    """Ask for words at one moment, do something, and return how each ended, in that order."""

    async def ended() -> list[str]:
        scribe, ended, all_ended = Scribe(pen, ADD), list[str](), asyncio.Event()

        def end(number: int, error: Exception | None) -> None:
            ended.append(f"{number}: {type(error).__name__ if error else 'written'}")
            if len(ended) == len(asked):
                all_ended.set()

        scribe.open()
        for number, word in enumerate(asked):
            scribe.ask([word], partial(end, number))
        await asyncio.sleep(0.05)
        meanwhile()
        await asyncio.wait_for(all_ended.wait(), WAIT_S)
        scribe.close()
        return ended

    return asyncio.run(ended())


def test_words_are_committed_in_the_order_they_were_asked(file: Path) -> None:
    assert answers(pen_for(file), "abc") == ["0: written", "1: written", "2: written"]
    assert words(file) == ["a", "b", "c"]


def test_one_that_fails_spoils_no_other(file: Path) -> None:
    assert answers(pen_for(file), "aab") == ["0: written", "1: IntegrityError", "2: written"]
    assert words(file) == ["a", "b"]


def test_while_somebody_else_writes_the_loop_goes_on_and_then_all_is_written_in_order(
    file: Path,
) -> None:
    """Here the event loop itself lets the other writer go."""
    with closing(sqlite3.connect(file, isolation_level=None)) as stranger:
        stranger.execute("BEGIN IMMEDIATE")
        stranger.execute("INSERT INTO words VALUES ('before')")
        ended = answers(pen_for(file), "ab", lambda: stranger.execute("COMMIT"))
    assert ended == ["0: written", "1: written"]
    assert words(file) == ["before", "a", "b"]


def test_whoever_writes_for_too_long_is_not_waited_for_any_longer(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as stranger:
        stranger.execute("BEGIN IMMEDIATE")
        assert answers(pen_for(file, patience_s=0), "a") == ["0: OperationalError"]
    assert words(file) == []
