"""Forgetting what was kept long enough: runs, visits, events and what became of them."""

from collections.abc import Callable

from bridge.domain.clock import DAY
from bridge.store import attempts, events, lanes, portal, runs
from bridge.store.database import Connection
from bridge.wiring import Wiring

ROWS_MAX = 5000
"""Rows of a table forgotten in one database transaction: others wait meanwhile."""


def prune(wiring: Wiring, stopping: Callable[[], bool]) -> None:
    """Forget what is old, as the configuration says. Entries are kept for ever."""
    now = wiring.clock()
    with wiring.database.write() as tx:
        runs.prune(tx, now - wiring.config.daemon.runs_kept_days * DAY)
        portal.prune(tx, now)
    before = now - wiring.config.events.kept_days * DAY
    endpoints = [one.endpoint for one in wiring.subscribers]

    def forget_events(tx: Connection) -> int:
        # None that an endpoint is still to be told of.
        return events.prune(tx, before, lanes.undelivered(tx, endpoints), ROWS_MAX)

    def forget_attempts(tx: Connection) -> int:
        return attempts.prune(tx, before, ROWS_MAX)

    for forget in (forget_events, forget_attempts):
        while not stopping() and _written(wiring, forget) >= ROWS_MAX:
            pass
    with wiring.database.write() as tx:
        lanes.prune(tx, endpoints)


def _written(wiring: Wiring, forget: Callable[[Connection], int]) -> int:
    with wiring.database.write() as tx:
        return forget(tx)
