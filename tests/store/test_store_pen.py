"""A pen writes whole statements or nothing, and never stands in the way of other writers."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from bridge.domain.errors import UnavailableError
from bridge.store.pen import Pen
from bridge.store.turns import Turns
from tests.store.writing import ADD, blank, opened, words


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return blank(tmp_path / "words.db")


@pytest.fixture
def turns() -> Turns:
    return Turns()


@pytest.fixture
def pen(file: Path, turns: Turns) -> Iterator[Pen]:
    with closing(Pen(partial(opened, file), turns, patience_s=0)) as pen:
        yield pen


def test_what_is_written_is_committed_at_once(file: Path, pen: Pen) -> None:
    pen.write(ADD, ["kept"])
    assert words(file) == ["kept"]
    assert pen.read("SELECT count(*) FROM words WHERE word = ?", "kept") == [(1,)]


def test_a_statement_that_fails_leaves_nothing_and_holds_up_nobody(file: Path, pen: Pen) -> None:
    pen.write(ADD, ["kept"])
    with pytest.raises(sqlite3.IntegrityError):
        pen.write("INSERT INTO words VALUES (?), (?)", ["half", "kept"])
    with closing(opened(file)) as stranger:
        stranger.execute(ADD, ["strange"])
    pen.write(ADD, ["later"])
    assert words(file) == ["kept", "strange", "later"]


def test_while_another_thread_writes_nothing_is_written(file: Path, pen: Pen, turns: Turns) -> None:
    assert turns.take(0)
    with pytest.raises(UnavailableError, match="other threads"):
        pen.write(ADD, ["too early"])
    turns.end()
    pen.write(ADD, ["kept"])
    assert words(file) == ["kept"]


def test_one_that_was_closed_is_opened_again(file: Path, pen: Pen) -> None:
    pen.write(ADD, ["kept"])
    pen.close()
    pen.write(ADD, ["too"])
    assert words(file) == ["kept", "too"]
