"""Freshness: a storefront that is not read any more is told of once, and so is its return."""

from collections.abc import Mapping

from bridge.domain.clock import SECOND, Instant, isoformat
from bridge.domain.event import EventType, Happened
from bridge.store import cursors, outbox
from bridge.store.cursors import State
from bridge.sync.context import Context

POLLS_MISSED_MAX = 10
SILENCE_MIN_S = 900
"""A storefront is stale where so many polls in a row, and so many seconds, brought nothing."""


def look(context: Context, poll_intervals_s: Mapping[str, int]) -> None:
    """Tell which of the storefronts, by name, became stale, and which are read again.

    One whose crediting is stopped is stale at once: nobody gets what was paid there.
    """
    now = context.clock()
    for name, interval_s in poll_intervals_s.items():
        patience = max(POLLS_MISSED_MAX * interval_s, SILENCE_MIN_S) * SECOND
        with context.database.read() as tx:
            state = cursors.state(tx, name)
        if _is_stale(state, now - patience) != (state.stale_since is not None):
            _tell(context, state, now)


def _is_stale(state: State, patience_ends: Instant) -> bool:
    """Tell whether it was not read since then; one that was never asked is only new."""
    last = state.succeeded_at or state.failing_since
    return state.stopped_at is not None or (last is not None and last < patience_ends)


def _tell(context: Context, state: State, now: Instant) -> None:
    """Note and tell the change, unless another process did."""
    fresh = state.stale_since is not None
    with context.database.write() as tx:
        if fresh and cursors.mark_fresh(tx, state.name):
            outbox.add(tx, [_fact(EventType.STOREFRONT_RECOVERED, state, state.stale_since, now)])
        elif not fresh and cursors.mark_stale(tx, state.name, now):
            outbox.add(tx, [_fact(EventType.STOREFRONT_STALE, state, now, now)])


def _fact(said: EventType, state: State, stale_since: Instant | None, now: Instant) -> Happened:
    data = {
        "storefront": state.name,
        "stale_since": None if stale_since is None else isoformat(stale_since),
        "succeeded_at": None if state.succeeded_at is None else isoformat(state.succeeded_at),
        "because": state.stopped_because or state.failure,
    }
    return Happened(said, "", now, data)
