"""The numbers on the wall: gauges for Prometheus, and the line that the service manager shows."""

from collections.abc import Sequence

from bridge import metrics
from bridge.domain.clock import SECOND, Instant
from bridge.store import attempts, cursors, inbox, lanes, orders, outbox, renewals
from bridge.store.cursors import State
from bridge.store.database import Connection


def measure(
    tx: Connection, storefronts: Sequence[str], endpoints: Sequence[str], now: Instant
) -> str:
    """Set the gauges, and return the summary."""
    waiting = inbox.waiting(tx)
    metrics.inbox_waiting.set(waiting)
    held = orders.held_by_storefront(tx)
    for name in storefronts:
        metrics.orders_held.labels(name).set(held.get(name, 0))
    states = [cursors.state(tx, name) for name in storefronts]
    return "; ".join(
        (
            _storefronts(states, now),
            f"{waiting} hints waiting, {sum(held.values())} orders held",
            _renewals(tx, now),
            _events(tx, endpoints, now),
        )
    )


def _storefronts(states: Sequence[State], now: Instant) -> str:
    for state in states:
        seconds = (state.succeeded_at or 0) / SECOND
        metrics.storefront_last_success_timestamp_seconds.labels(state.name).set(seconds)
    failing = sum(state.failing_since is not None for state in states)
    stopped = sum(state.stopped_at is not None for state in states)
    ages = [(now - state.succeeded_at) // SECOND for state in states if state.succeeded_at]
    return (
        f"{len(states)} storefronts ({failing} failing, {stopped} stopped), "
        f"read {max(ages, default=0)} s ago"
    )


def _renewals(tx: Connection, now: Instant) -> str:
    late_s = _age_s(renewals.oldest(tx), now)
    metrics.renewals_late_seconds.set(late_s)
    return f"renewals {late_s} s late" if late_s else "renewals on time"


def _events(tx: Connection, endpoints: Sequence[str], now: Instant) -> str:
    metrics.outbox_oldest_seconds.set(_age_s(outbox.waiting(tx)[1], now))
    behind = {standing.endpoint: standing.behind for standing in lanes.standings(tx)}
    dead = attempts.dead_by_endpoint(tx)
    for name in endpoints:
        metrics.lanes_behind.labels(name).set(behind.get(name, 0))
        metrics.dead_letters.labels(name).set(dead.get(name, 0))
    return f"{sum(dead.get(name, 0) for name in endpoints)} dead letters"


def _age_s(instant: Instant | None, now: Instant) -> int:
    return 0 if instant is None else max(0, now - instant) // SECOND
