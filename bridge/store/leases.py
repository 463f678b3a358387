"""Leases: the right to do something alone, until a time, so that a dead holder blocks nobody."""

import contextlib
import threading
from collections.abc import Iterator

from sqlalchemy import delete, text

from bridge.domain.clock import SECOND, Clock, Instant
from bridge.domain.errors import LeaseHeldError
from bridge.store import tables
from bridge.store.database import Database

LEASES = tables.table(tables.Lease)

_TAKE = text(
    "INSERT INTO leases (name, holder, expires_at) VALUES (:name, :holder, :until)"
    " ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at"
    " WHERE leases.expires_at <= :now OR leases.holder = excluded.holder"
)


class Leases:
    """Takes and renews leases for one holder, e.g. a process.

    A holder that was killed and started again takes its own leases over at once, so what keeps two
    threads of it apart is kept here.
    """

    def __init__(self, database: Database, clock: Clock, holder: str) -> None:
        self._database = database
        self._clock = clock
        self.holder = holder
        self._door = threading.Lock()
        self._held: set[str] = set()
        self._taken_at: dict[str, Instant] = {}

    def take(self, name: str, duration_s: int) -> None:
        """Take a lease for some seconds, or anew; LeaseHeldError where somebody else has it."""
        now = self._clock()
        values = {"name": name, "holder": self.holder, "now": now}
        with self._database.write() as tx:
            taken = tx.execute(_TAKE, values | {"until": now + duration_s * SECOND})
            if not taken.rowcount:
                raise _held_by("another process", name, duration_s)
        self._taken_at[name] = now

    def renew(self, name: str, duration_s: int) -> None:
        """Take a lease anew if a third of its time is over; LeaseHeldError where it was lost.

        It may be asked for at every page, and is written now and then.
        """
        passed = self._clock() - self._taken_at.get(name, 0)
        if not 0 <= passed < duration_s * SECOND // 3:
            self.take(name, duration_s)

    def release(self, name: str) -> None:
        """Give a lease back, if it is still ours."""
        ours = (LEASES.c.name == name, LEASES.c.holder == self.holder)
        with self._database.write() as tx:
            tx.execute(delete(LEASES).where(*ours))

    @contextlib.contextmanager
    def held(self, name: str, duration_s: int) -> Iterator[None]:
        """Hold a lease for the block; LeaseHeldError at its begin where somebody else has it."""
        with self._door:
            if name in self._held:
                raise _held_by("another run of this process", name, duration_s)
            self._held.add(name)
        try:
            self.take(name, duration_s)
            try:
                yield
            finally:
                self.release(name)
        finally:
            with self._door:
                self._held.discard(name)


def _held_by(whom: str, name: str, duration_s: int) -> LeaseHeldError:
    return LeaseHeldError(
        f"{whom} holds the lease {name!r}; it ends its run or its lease expires within "
        f"{duration_s} seconds, then try again"
    )
