"""A file to write words in, and a pen that is held up."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

from bridge.store.pen import Pen

ADD = "INSERT INTO words VALUES (?)"


def blank(path: Path) -> Path:
    """Make a file without words, each of which may be written once."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL").fetchall()
        connection.execute("CREATE TABLE words (word TEXT NOT NULL UNIQUE)")
    return path


def opened(file: Path, patience_s: int = 0) -> sqlite3.Connection:
    """Return a connection as pens have them: it begins nothing, and any thread may use it."""
    return sqlite3.connect(file, isolation_level=None, timeout=patience_s, check_same_thread=False)


def words(file: Path) -> list[str]:
    """Return the words in the order they were written."""
    with closing(sqlite3.connect(file)) as connection:
        return [word for (word,) in connection.execute("SELECT word FROM words ORDER BY rowid")]


class Guided(Pen):
    """A pen that writes within a block of somebody else's."""

    def __init__(self, whole: Pen, within: Callable[[], AbstractContextManager[None]]) -> None:
        vars(self).update(vars(whole))
        self._within = within

    def write(self, statement: str, parameters: Sequence[Any]) -> None:
        with self._within():
            super().write(statement, parameters)
