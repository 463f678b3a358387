"""Checkpoints of SQLite's log: moved out of the way of whoever commits.

SQLite: the commit that fills the log copies it into the database file, and waits for both to be on
disk; a checkpoint on another connection does the same while commits go on.
"""

import contextlib
import threading
from collections.abc import Iterator

import structlog

from bridge.domain.errors import UnavailableError
from bridge.store.database import Database

log = structlog.get_logger()

PAUSE_S = 0.05
"""Seconds between two checkpoints, at least."""


@contextlib.contextmanager
def kept_up(database: Database) -> Iterator[None]:
    """Checkpoint an SQLite database after each write until the block ends; others need none."""
    if not database.is_sqlite:
        yield
        return
    stopping = threading.Event()
    thread = threading.Thread(target=_work, args=(database, stopping), name="checkpoints")
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        database.written.set()
        thread.join()


def _work(database: Database, stopping: threading.Event) -> None:
    while not stopping.wait(PAUSE_S):
        database.written.wait()
        # First, so that a write during the checkpoint asks for the next one.
        database.written.clear()
        try:
            database.checkpoint()
        except UnavailableError as error:
            log.debug("checkpoint failed, a commit will make it", error=str(error))
