"""SQLite past SQLAlchemy: the driver's own connection, which waits for nobody unless told to.

SQLAlchemy's way to begin, to write and to commit takes as long as several debits.
"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from bridge.store.turns import Turns


class Pen:
    """A connection for one database transaction after the other.

    Its patience is how many seconds it may wait for other writers. One thread at a time may use it.
    To begin, read, write and commit raise sqlite3.Error; then nothing was written.
    """

    def __init__(
        self, connect: Callable[[], sqlite3.Connection], patience_s: int, turns: Turns
    ) -> None:
        self._connect = connect
        self._patience_s = patience_s
        self._turns = turns
        self._connection: sqlite3.Connection | None = None
        self._begun = False

    def begin(self, *, patiently: bool = False) -> None:
        """Begin to write; where somebody else writes, fail at once unless it is done patiently."""
        patience_s = self._patience_s if patiently else 0
        if not self._turns.take(patience_s):
            raise sqlite3.OperationalError("another thread writes")
        try:
            self._open().execute(f"PRAGMA busy_timeout = {patience_s * 1000}")
            self._open().execute("BEGIN IMMEDIATE")
        except BaseException:
            self._turns.end()
            raise
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
        self._end()

    def give_up(self) -> None:
        """Take back what was begun and not committed."""
        if self._begun:
            try:
                self._open().rollback()
            except sqlite3.Error:
                self.close()  # which takes it back, too
            self._end()

    def close(self) -> None:
        """Give up the connection; another is made when there is more to write."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        self._end()

    def _end(self) -> None:
        if self._begun:
            self._begun = False
            self._turns.end()

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection
