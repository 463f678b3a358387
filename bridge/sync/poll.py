"""The poll: fetch what changed since the cursor, settle it, move the cursor last."""

from collections import Counter

import structlog

from bridge.domain.clock import SECOND, Instant
from bridge.store import cursors
from bridge.sync.context import LEASE_S, Context, Counts, Source
from bridge.sync.fetch import complete, failures_noted, note_broken
from bridge.sync.settle import settle

log = structlog.get_logger()


def poll(context: Context, source: Source) -> Counts:
    """Settle what changed since the last poll; returns orders by verdict.

    Raises LeaseHeldError where another process polls this storefront, StorefrontStoppedError where
    an admin must look first, and the storefront's errors. The cursor moves only after the whole
    window is committed, so a poll that ends half-way is simply done again.
    """
    lease = f"poll:{source.name}"
    with context.leases.held(lease, LEASE_S), failures_noted(context, source):
        counts: Counts = Counter()
        since = until = _since(context, source)
        for page in source.client.changed(since):
            counts += settle(context, source.policy, complete(source, page.orders), "poll").counts
            counts["broken"] += note_broken(context, source, page)
            until = page.until
            context.go_on(lease)
        with context.database.write() as tx:
            cursors.succeeded(tx, source.name, context.clock(), cursor=until)
    log.debug("polled", storefront=source.name, **counts)
    return +counts


def _since(context: Context, source: Source) -> Instant:
    """Begin at the cursor less the overlap: WooCommerce stamps an order before it commits it.

    A cursor that lies before `import_from` still counts: bridge was away for long, or that setting
    was changed, and what happened in between must not be passed over.
    """
    with context.database.read() as tx:
        cursor = cursors.state(tx, source.name).cursor
    if cursor is None:
        return source.import_from
    since = cursor - source.poll_overlap_s * SECOND
    return since if cursor < source.import_from else max(since, source.import_from)
