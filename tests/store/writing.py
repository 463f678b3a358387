"""A file to write words in."""

import sqlite3
from contextlib import closing
from pathlib import Path

ADD = "INSERT INTO words VALUES (?)"


def blank(path: Path) -> Path:
    """Make a file without words, each of which may be written once."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL").fetchall()
        connection.execute("CREATE TABLE words (word TEXT NOT NULL UNIQUE)")
    return path


def opened(file: Path, kind: type[sqlite3.Connection] = sqlite3.Connection) -> sqlite3.Connection:
    """Return a connection as pens have them: it never waits, and any thread may use it."""
    return sqlite3.connect(
        file, isolation_level=None, timeout=0, check_same_thread=False, factory=kind
    )


def words(file: Path) -> list[str]:
    """Return the words in the order they were written."""
    with closing(sqlite3.connect(file)) as connection:
        return [word for (word,) in connection.execute("SELECT word FROM words ORDER BY rowid")]
