"""SQLite past SQLAlchemy: the driver's own connection, which waits for nobody unless told to.

SQLAlchemy's way to begin, to write and to commit takes as long as several debits.
"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any


class Pen:
    """A connection for one database transaction after the other.

    Its patience is how many seconds it may wait for other writers. One thread at a time may use it.
    To begin, read, write and commit raise sqlite3.Error; then nothing was written.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], patience_s: int) -> None:
        self._connect = connect
        self._patience_s = patience_s
        self._connection: sqlite3.Connection | None = None
        self._begun = False

    def begin(self, *, patiently: bool = False) -> None:
        """Begin to write; where somebody else writes, fail at once unless it is done patiently."""
        patience_ms = self._patience_s * 1000 if patiently else 0
        self._open().execute(f"PRAGMA busy_timeout = {patience_ms}")
        self._open().execute("BEGIN IMMEDIATE")
        self._begun = True

    def read(self, query: str, *parameters: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        return self._open().execute(query, parameters).fetchall()

    def write(self, statement: str, rows: Sequence[Sequence[Any]]) -> int:
        """Execute a statement for each row, after `begin`; returns how many rows were changed."""
        return self._open().executemany(statement, rows).rowcount

    def commit(self) -> None:
        """Commit what was begun, in any thread."""
        try:
            # Not the driver's own, which says nothing where there is nothing to commit any more.
            self._open().execute("COMMIT")
        except sqlite3.Error:
            self.give_up()
            raise
        self._begun = False

    def give_up(self) -> None:
        """Take back what was begun and not committed."""
        if self._begun:
            self._begun = False
            try:
                self._open().rollback()
            except sqlite3.Error:
                self.close()  # which takes it back, too

    def close(self) -> None:
        """Give up the connection; another is made when there is more to write."""
        connection, self._connection, self._begun = self._connection, None, False
        if connection is not None:
            connection.close()

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection
