"""SQLite past SQLAlchemy: the driver's own connection, each statement committing by itself.

SQLAlchemy's way to begin, to write and to commit takes as long as several debits.
"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from bridge.domain.errors import UnavailableError
from bridge.store.turns import Turns


class Pen:
    """A connection that is made when there is something to do. One thread at a time may use it.

    To read and to write raise sqlite3.Error; then nothing was written.
    """

    def __init__(
        self, connect: Callable[[], sqlite3.Connection], turns: Turns, patience_s: int
    ) -> None:
        self._connect = connect
        self._turns = turns
        self._patience_s = patience_s
        self._connection: sqlite3.Connection | None = None

    def read(self, query: str, *parameters: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        return self._open().execute(query, parameters).fetchall()

    def write(self, statement: str, parameters: Sequence[Any]) -> None:
        """Execute a statement when no other thread writes; UnavailableError if that takes long."""
        if not self._turns.take(self._patience_s):
            raise UnavailableError(f"other threads wrote for {self._patience_s} seconds")
        try:
            self._open().execute(statement, parameters)
        finally:
            self._turns.end()

    def close(self) -> None:
        """Give up the connection; another is made when there is more to do."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection
