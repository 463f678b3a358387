"""Reconcile: compare a whole window of orders with the ledger, and repair or report the drift.

Some changes leave no trace that a poll could see (WooCommerce: deleted refunds, forced deletion),
so the sweep does this by itself from time to time.
"""

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import structlog

from bridge.domain.clock import SECOND, Instant
from bridge.domain.drift import Comparison, Finding, FindingKind
from bridge.domain.errors import (
    BridgeError,
    LeaseHeldError,
    NotFoundError,
    StorefrontStoppedError,
)
from bridge.domain.event import EventType, Happened
from bridge.domain.order import Order
from bridge.store import cursors, orders, outbox, runs
from bridge.store.database import Connection
from bridge.store.runs import Run
from bridge.sync.context import LEASE_S, Context, Counts, Source
from bridge.sync.fetch import by_id, complete, failures_noted, note_broken
from bridge.sync.settle import Arrived, Settled, compare, settle

log = structlog.get_logger()

VANISHED_MAX = 10
"""Orders that may be gone at once without an admin's word; beyond, no more than a tenth may be."""

VANISHED_IF_EMPTY_MAX = 4
"""The same where the storefront lists no order at all in the window."""

FETCH_MAX = 100
"""Orders fetched by id at once."""


class Report(NamedTuple):
    """A run's end: its id, orders by verdict, and everything that had drifted or is held."""

    run_id: str
    counts: Counts
    findings: list[Finding]


def start(context: Context, comparison: Comparison, kind: str = "reconcile") -> str:
    """Record that a reconciliation begins, and return its run's id."""
    with context.database.write() as tx:
        return runs.start(tx, comparison.storefront, kind, context.clock(), comparison._asdict())


def reconcile(
    context: Context, source: Source, comparison: Comparison, run_id: str | None = None
) -> Report:
    """Compare a window, or one order, and repair the drift unless `dry_run`.

    Raises LeaseHeldError where another process does so, StorefrontStoppedError where suspiciously
    many orders are gone, and the storefront's errors; the run then is on record as failed.
    """
    return _run(context, source, comparison, run_id or start(context, comparison), thorough=True)


def sweep(context: Context, source: Source) -> Report:
    """Compare the orders of the sweep's window, and repair the drift."""
    now = context.clock()
    since = max(now - source.sweep_window_s * SECOND, source.import_from)
    comparison = Comparison(source.name, since, now)
    run_id = start(context, comparison, "sweep")
    report = _run(context, source, comparison, run_id, thorough=False)
    with context.database.write() as tx:
        cursors.succeeded(tx, source.name, context.clock(), swept_at=now)
    return report


def abandon(context: Context, sources: Iterable[Source], age_s: int = LEASE_S) -> None:
    """Close the runs that a killed process left open, and tell of the drift that they found.

    One that began within `age_s` seconds may be about to take its lease. Where somebody reconciles
    the storefront now, open runs may be his.
    """
    for source in sources:
        until = context.clock() - age_s * SECOND
        with context.database.read() as tx:
            found = runs.unfinished(tx, source.name, until)
        if found:
            with contextlib.suppress(LeaseHeldError):
                _abandon(context, source, until)


def _abandon(context: Context, source: Source, until: Instant) -> None:
    because = "the process ended before the run did; start it again"
    lease = context.leases.held(_lease(source.name), LEASE_S)
    with lease, context.database.write() as tx:
        cursor = cursors.state(tx, source.name).cursor
        for left in runs.unfinished(tx, source.name, until):
            run = runs.finish(tx, left.run_id, context.clock(), left.counts, because)
            findings = [finding for _, finding in runs.findings(tx, run.run_id)]
            _tell(tx, source, run, findings, cursor and min(cursor, run.started_at))


def _run(
    context: Context, source: Source, comparison: Comparison, run_id: str, *, thorough: bool
) -> Report:
    counts: Counts = Counter()
    findings: list[Finding] = []
    failure = "ended before its time"
    cursor = None
    try:
        with context.database.read() as tx:
            cursor = cursors.state(tx, source.name).cursor
        with _alone(context, source, comparison), failures_noted(context, source):
            for settled in _compared(context, source, comparison, thorough=thorough):
                counts += settled.counts
                findings += settled.findings
                if settled.findings:
                    with context.database.write() as tx:
                        runs.add_findings(tx, run_id, settled.findings)
        failure = ""
    except BridgeError as error:
        failure = str(error)
        raise
    finally:
        with context.database.write() as tx:
            run = runs.finish(tx, run_id, context.clock(), counts, failure)
            _tell(tx, source, run, findings, cursor)
    log.info("compared", storefront=source.name, run=run_id, findings=len(findings), **counts)
    return Report(run_id, counts, findings)


def _tell(
    tx: Connection, source: Source, run: Run, findings: Iterable[Finding], cursor: Instant | None
) -> None:
    """Tell of the drift that a run found; `cursor` is where the poll was when it began."""
    drifted = [finding for finding in findings if finding.kind is not FindingKind.HELD]
    if run.kind == "sweep":
        drifted = _overlooked(tx, source, cursor, drifted)
    if drifted:
        outbox.add(tx, [_told(run, drifted)])


def _overlooked(
    tx: Connection, source: Source, cursor: Instant | None, findings: Sequence[Finding]
) -> list[Finding]:
    """Leave out what the next poll would have brought by itself: it is news, and no alarm."""
    if cursor is None:
        return []
    polled = cursor - source.poll_overlap_s * SECOND
    rows = orders.known(tx, source.name, {finding.order_id for finding in findings})
    return [one for one in findings if rows[one.order_id].order().modified_at <= polled]


def _told(run: Run, drifted: Sequence[Finding]) -> Happened:
    amounts: Counter[str] = Counter()
    for finding in drifted:
        amounts[finding.currency] += finding.drift
    data = {
        "run_id": run.run_id,
        "storefront": run.storefront,
        "kind": run.kind,
        "findings": len(drifted),
        "amounts": dict(amounts),
        "dry_run": run.request["dry_run"],
    }
    return Happened(EventType.RECONCILIATION_DRIFT_FOUND, "", run.finished_at or 0, data)


@contextlib.contextmanager
def _alone(context: Context, source: Source, comparison: Comparison) -> Iterator[None]:
    """Spare the storefront a second reading of the same window; one order is read at any time."""
    if comparison.order_id is not None:
        yield
        return
    with context.leases.held(_lease(source.name), LEASE_S):
        yield


def _lease(name: str) -> str:
    return f"reconcile:{name}"


def _compared(
    context: Context, source: Source, comparison: Comparison, *, thorough: bool
) -> Iterator[Settled]:
    def settled(arrived: Iterable[Arrived]) -> Settled:
        whole = complete(source, arrived)
        if comparison.dry_run:
            return compare(context, source.policy, whole)
        way = "reconcile" if thorough else "sweep"
        return settle(context, source.policy, whole, way, thorough=thorough)

    if comparison.order_id is not None:
        existing, vanished = by_id(context, source, [comparison.order_id])
        if not existing and not vanished:
            raise NotFoundError(f"storefront {source.name} has no order {comparison.order_id}")
        yield settled([*existing, *vanished])
        return
    listed: set[int] = set()
    for page in source.client.created(comparison.since, comparison.until):
        listed |= {order.id for order in page.orders}
        note_broken(context, source, page)
        context.go_on(_lease(source.name))
        yield settled(page.orders)
    yield settled(_unlisted(context, source, comparison, listed))


def _unlisted(
    context: Context, source: Source, comparison: Comparison, listed: set[int]
) -> list[Arrived]:
    """Fetch the orders that have a credit in the window but were not listed: trashed, or gone."""
    with context.database.read() as tx:
        credited = orders.credited(tx, source.name, comparison.since, comparison.until)
    missing = iter(sorted(set(credited) - listed))
    arrived: list[Arrived] = []
    gone: list[Order] = []
    while some := list(islice(missing, FETCH_MAX)):
        existing, vanished = by_id(context, source, some)
        context.go_on(_lease(source.name))
        arrived += existing
        gone += vanished
    if not comparison.accept_vanished:
        _refuse_if_many(source, gone, credited, listed)
    return [*arrived, *gone]


def _refuse_if_many(
    source: Source, gone: list[Order], credited: list[int], listed: set[int]
) -> None:
    """A storefront that suddenly lost its orders was replaced or misread: reverse nothing."""
    enough = max(VANISHED_MAX, len(credited) // 10) if listed else VANISHED_IF_EMPTY_MAX
    if len(gone) > enough:
        raise StorefrontStoppedError(
            f"{len(gone)} of {len(credited)} credited orders are gone from {source.name}; nothing "
            "was reversed for them. If they were deleted on purpose: "
            f"bridge reconcile --storefront {source.name} --accept-vanished"
        )
