"""Ingest: follow the hints that are due. A hint says which order to fetch, and nothing more."""

import contextlib
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter

from bridge.domain.errors import BridgeError
from bridge.store import cursors, inbox
from bridge.store.inbox import Hint
from bridge.sync.context import Context, Counts, Source
from bridge.sync.fetch import by_id, complete, failures_noted
from bridge.sync.settle import settle

HINTS_MAX = 100
"""Hints followed at once: what one request can fetch."""


def ingest(context: Context, source: Source) -> Counts:
    """Fetch and settle the orders that due hints name; returns orders by verdict.

    A hint is removed after its order is committed; if the storefront fails, it comes back later.
    Ends early when the process is going down: what is left waits for the next ingest.
    """
    counts: Counts = Counter()
    while not context.stopping() and (hints := _claim(context, source)):
        with failures_noted(context, source), _put_back_if_it_fails(context, hints):
            for way, group in groupby(sorted(hints, key=attrgetter("way")), attrgetter("way")):
                counts += _follow(context, source, way, [hint.order_id for hint in group])
        with context.database.write() as tx:
            inbox.done(tx, hints)
            cursors.succeeded(tx, source.name, context.clock())
    return counts


def _claim(context: Context, source: Source) -> list[Hint]:
    with context.database.read() as tx:
        if not inbox.due(tx, source.name, context.clock()):
            return []
    with context.database.write() as tx:
        return inbox.claim(tx, source.name, context.clock(), HINTS_MAX)


def _follow(context: Context, source: Source, way: str, order_ids: list[int]) -> Counts:
    existing, vanished = by_id(context, source, order_ids)
    arrived = [*complete(source, existing), *vanished]
    return settle(context, source.policy, arrived, way).counts


@contextlib.contextmanager
def _put_back_if_it_fails(context: Context, hints: list[Hint]) -> Iterator[None]:
    try:
        yield
    except BridgeError:
        with context.database.write() as tx:
            inbox.put_back(tx, hints, context.clock())
        raise
