"""SQLite databases in a directory."""

import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

SQLITE = "sqlite"


class Files:
    """SQLite databases in a directory."""

    kind = SQLITE
    version = f"SQLite {sqlite3.sqlite_version}"

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def path(self, name: str) -> Path:
        """Return the file of a database."""
        return self._directory / f"{name}.db"

    def url(self, name: str) -> str:
        """Return the SQLAlchemy URL of a database."""
        return f"sqlite:///{self.path(name)}"

    def create(self, name: str, template: str | None = None) -> None:
        """Make a database; an empty one makes itself."""
        if template is not None:
            shutil.copy(self.path(template), self.path(name))

    def drop(self, name: str) -> None:
        """Remove a database and what lies beside it."""
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.path(name)}{suffix}").unlink(missing_ok=True)

    def rows(self, name: str, query: str) -> Sequence[Sequence[Any]]:
        """Run a query in a connection of its own."""
        with closing(sqlite3.connect(self.path(name), isolation_level=None)) as connection:
            return connection.execute(query).fetchall()

    def back_up(self, name: str, path: Path) -> None:
        """Write an online backup in one step, since one in several begins anew at every write."""
        with (
            closing(sqlite3.connect(self.path(name))) as source,
            closing(sqlite3.connect(path)) as to,
        ):
            source.backup(to)

    def stored_bytes(self, name: str) -> int:
        """Return the size of the file, in which entries are nearly everything."""
        self.rows(name, "PRAGMA wal_checkpoint(PASSIVE)")
        return self.path(name).stat().st_size

    def logged_bytes(self) -> None:
        """Return None: the log is written over and over, and nobody counts."""

    def cpu_s(self) -> float:
        """Return 0: SQLite works within the process that uses it."""
        return 0.0
