"""A pen tells of whatever was not written, and never stands in the way of other writers."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from bridge.store.pen import Pen
from bridge.store.turns import Turns
from tests.store.writing import ADD, blank, opened, words


class Weak(sqlite3.Connection):
    """A connection that cannot take anything back, as where the disk does not answer."""

    def rollback(self) -> None:
        raise sqlite3.OperationalError("disk I/O error")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return blank(tmp_path / "words.db")


def pen_for(file: Path, kind: type[sqlite3.Connection] = sqlite3.Connection) -> Pen:
    return Pen(partial(opened, file, kind), 1, Turns())


@pytest.fixture
def pen(file: Path) -> Iterator[Pen]:
    with closing(pen_for(file)) as pen:
        yield pen


def test_what_is_committed_is_written_and_what_is_given_up_is_not(file: Path, pen: Pen) -> None:
    pen.begin()
    assert pen.write(ADD, [["kept"], ["too"]]) == 2
    pen.commit()
    pen.begin()
    pen.write(ADD, [["given up"]])
    assert pen.read("SELECT count(*) FROM words") == [(3,)]
    pen.give_up()
    assert words(file) == ["kept", "too"]


def test_a_commit_of_what_was_lost_meanwhile_is_refused(file: Path, pen: Pen) -> None:
    pen.begin()
    pen.write(ADD, [["lost"]])
    pen.close()
    with pytest.raises(sqlite3.OperationalError, match="no transaction is active"):
        pen.commit()
    assert words(file) == []


def test_who_cannot_take_something_back_holds_up_nobody(file: Path, pen: Pen) -> None:
    with closing(pen_for(file, Weak)) as weak:
        weak.begin()
        weak.write(ADD, [["given up"]])
        weak.give_up()
        pen.begin()
        pen.write(ADD, [["kept"]])
        pen.commit()
        weak.begin()
        weak.write(ADD, [["later"]])
        weak.commit()
    assert words(file) == ["kept", "later"]
