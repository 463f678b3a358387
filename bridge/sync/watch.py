"""The watch: look at the orders of deposits under way, often, so that webhooks are no need."""

from collections import Counter

from bridge.domain.clock import MINUTE, Instant
from bridge.store import cursors, deposits
from bridge.store.deposits import Deposit
from bridge.sync.context import Context, Counts, Source
from bridge.sync.fetch import by_id, complete, failures_noted, note_broken
from bridge.sync.settle import settle

WATCH_MAX = 100
"""Deposits looked at together: what one request can fetch."""

LOOK_BACK: Instant = 5 * MINUTE
"""How far back orders are looked through for deposits whose order is not known, in microseconds."""


def watch(context: Context, source: Source) -> Counts:
    """Fetch and settle the orders of deposits whose turn it is; returns orders by verdict.

    Whoever claims a deposit says at once when it is due again: several processes share the work,
    and one that dies costs a deposit one interval.
    """
    claimed = _claim(context, source)
    if not claimed:
        return Counter()
    with failures_noted(context, source):
        counts = _placed(context, source, claimed)
        if any(deposit.order_id is None for deposit in claimed):
            counts += _recent(context, source)
    with context.database.write() as tx:
        cursors.succeeded(tx, source.name, context.clock())
    return +counts


def _claim(context: Context, source: Source) -> list[Deposit]:
    with context.database.read() as tx:
        if not deposits.due(tx, source.name, context.clock()):
            return []
    with context.database.write() as tx:
        return deposits.claim(tx, source.name, context.clock(), WATCH_MAX)


def _placed(context: Context, source: Source, claimed: list[Deposit]) -> Counts:
    order_ids = [deposit.order_id for deposit in claimed if deposit.order_id is not None]
    existing, vanished = by_id(context, source, order_ids)
    arrived = [*complete(source, existing), *vanished]
    return settle(context, source.policy, arrived, "watch").counts


def _recent(context: Context, source: Source) -> Counts:
    """Settle what changed lately. WooCommerce: a tag on a line cannot be searched for."""
    counts: Counts = Counter()
    for page in source.client.changed(context.clock() - LOOK_BACK):
        counts += settle(context, source.policy, complete(source, page.orders), "watch").counts
        counts["broken"] += note_broken(context, source, page)
    return counts
