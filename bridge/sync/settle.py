"""The meeting point: by whichever way orders come, here the ledger converges on their worth.

A read passes over what is known; what is news shares one database transaction.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import structlog

from bridge import metrics
from bridge.domain.clock import MINUTE, Instant
from bridge.domain.drift import Finding, Posted
from bridge.domain.entry import DECLINED, Outcome
from bridge.domain.errors import BridgeError, StorefrontStoppedError
from bridge.domain.event import EventType, Happened
from bridge.domain.held import HeldReason
from bridge.domain.order import Order, Unreadable
from bridge.store import cursors, inbox, ledger, orders, outbox, renewals
from bridge.store.database import Connection
from bridge.store.inbox import Hint
from bridge.store.orders import CREDITED, HELD, WAITING, OvertakenError, Seen, Sighting
from bridge.sync import started
from bridge.sync.context import Context, Counts, Policy
from bridge.sync.judge import Judgement, judge, state_digest, too_large, unknown_tenant
from bridge.sync.started import Begun

log = structlog.get_logger()

SETTLE_MAX = 100
"""Orders in one database transaction."""

IDENTITY_CHANGES_MAX = 3
"""Orders with a new fingerprint, unacknowledged, at which crediting stops for the storefront."""

RETRY_AFTER: Instant = 10 * MINUTE
"""How long an order that could not be settled rests, in microseconds."""

Arrived = Order | Unreadable


class Settled(NamedTuple):
    """Orders by verdict, or `unchanged`, `stale` or `failed`; and what had drifted or is held."""

    counts: Counts
    findings: list[Finding]


def settle(
    context: Context,
    policy: Policy,
    arrived: Iterable[Arrived],
    way: str,
    *,
    thorough: bool = False,
) -> Settled:
    """Converge the ledger on these orders; `thorough` compares the known and unchanged ones too.

    Raises StorefrontStoppedError while the storefront is stopped. An order that fails for a reason
    of ours is logged, counted as `failed` and tried again; it does not stop its neighbours.
    """
    counts: Counts = Counter()
    findings: list[Finding] = []
    for some in _batches(arrived):
        news = _News(some) if thorough else _news(context, policy, some)
        counts["unchanged"] += len(some) - len(news.orders)
        if news.orders:
            settled = _together(context, policy, news, way)
            counts.update(settled.counts)
            findings += settled.findings
    _count(policy.storefront, counts)
    return Settled(+counts, findings)


def compare(context: Context, policy: Policy, arrived: Iterable[Arrived]) -> Settled:
    """Say what `settle` would find, and change nothing."""
    counts: Counts = Counter()
    findings: list[Finding] = []
    for some in _batches(arrived):
        with context.database.read() as tx:
            known = orders.known(tx, policy.storefront, [order.id for order in some])
            seen = _with_new(policy, some, known)
            begun = started.begun(tx, policy, some, seen, lock=False)
            pairs = [(order, seen[order.id]) for order in some]
            for judgement, _ in _judged(tx, policy, pairs, begun, context.clock()):
                counts[judgement.seen.verdict] += 1
                findings += judgement.findings
    return Settled(counts, findings)


def acknowledge(context: Context, policy: Policy, order_ids: Sequence[int] | None = None) -> int:
    """Accept orders whose id belonged to another order before, and credit the storefront again.

    What the former order posted stays; the new one is credited on its own, as the next generation.
    Returns how many were accepted.
    """
    now = context.clock()
    with context.database.write() as tx:
        held = orders.held(tx, storefront=policy.storefront, reason=HeldReason.IDENTITY_CHANGED)
        asked = [s.order_id for s in held if order_ids is None or s.order_id in order_ids]
        # Locked, then looked at again: somebody may have settled them while we waited.
        locked = orders.lock(tx, policy.storefront, asked).values()
        accepted = [s for s in locked if s.reason == HeldReason.IDENTITY_CHANGED]
        renewed = [
            s._replace(fingerprint="", digest=b"", generation=s.generation + 1) for s in accepted
        ]
        orders.save(tx, renewed, [])
        inbox.put(tx, [Hint(s.storefront, s.order_id, now, now, "acknowledged") for s in accepted])
        cursors.resume(tx, policy.storefront)
    return len(accepted)


def _batches(arrived: Iterable[Arrived]) -> Iterator[list[Arrived]]:
    waiting = iter(arrived)
    while some := list(islice(waiting, SETTLE_MAX)):
        # The last state of an order read twice is the later one.
        yield list({order.id: order for order in some}.values())


class _News(NamedTuple):
    """Orders to be settled, and the ids of those that were new when we looked."""

    orders: Sequence[Arrived]
    new: frozenset[int] = frozenset()

    @property
    def old(self) -> list[int]:
        """The ids of the orders that may be known."""
        return [order.id for order in self.orders if order.id not in self.new]


def _news(context: Context, policy: Policy, some: Sequence[Arrived]) -> _News:
    """Leave out the orders whose state and rules are as they were, and that wait for nothing."""
    with context.database.read() as tx:
        known = orders.states(tx, policy.storefront, [order.id for order in some])
    news = [order for order in some if _is_news(order, known.get(order.id), policy)]
    return _News(news, frozenset(order.id for order in news if order.id not in known))


def _is_news(arrived: Arrived, known: tuple[bytes, str] | None, policy: Policy) -> bool:
    if known is None or isinstance(arrived, Unreadable):
        return True
    digest, verdict = known
    return verdict in {HELD, WAITING} or digest != state_digest(arrived, policy)


def _together(context: Context, policy: Policy, news: _News, way: str) -> Settled:
    try:
        with context.database.write() as tx:
            return _settle(tx, policy, news, way, context.clock())
    except OvertakenError:  # once for each order at most: one that exists is found and locked
        return _together(context, policy, _News(news.orders), way)
    except BridgeError:
        raise
    except Exception as error:
        if len(news.orders) > 1:
            log.warning("orders failed together, settling them one by one", error=repr(error))
            return _one_by_one(context, policy, news.orders, way)
        log.exception("order failed", storefront=policy.storefront, order=news.orders[0].id)
        with context.database.write() as tx:
            inbox.put(tx, _retries(policy, news.orders, context.clock()))
        return Settled(Counter(failed=1), [])


def _one_by_one(context: Context, policy: Policy, some: Sequence[Arrived], way: str) -> Settled:
    settled = [_together(context, policy, _News([order]), way) for order in some]
    counts: Counts = sum((one.counts for one in settled), Counter())
    return Settled(counts, [finding for one in settled for finding in one.findings])


def _retries(policy: Policy, some: Iterable[Arrived], now: Instant) -> list[Hint]:
    return [Hint(policy.storefront, o.id, now + RETRY_AFTER, now, "retry") for o in some]


def _rechecks(kept: Iterable[Judgement], now: Instant) -> list[Hint]:
    return [
        Hint(row.storefront, row.order_id, max(recheck_at, now), now, "recheck")
        for row, _, _, recheck_at in kept
        if recheck_at is not None
    ]


def _settle(tx: Connection, policy: Policy, news: _News, way: str, now: Instant) -> Settled:
    state = cursors.state(tx, policy.storefront)
    if state.stopped_at is not None:
        raise StorefrontStoppedError(
            f"storefront {policy.storefront} is stopped: {state.stopped_because}"
        )
    some = news.orders
    known = orders.lock(tx, policy.storefront, news.old)
    seen = _with_new(policy, some, known)
    begun = started.begun(tx, policy, some, seen, lock=True)
    # Locked, so nobody overtakes us; but somebody may have while we were fetching.
    stale = [order for order in some if _is_stale(order, seen[order.id])]
    fresh = [(order, seen[order.id]) for order in some if order not in stale]
    judged, outcomes = _posted(tx, _judged(tx, policy, fresh, begun, now), now)
    kept = [judgement for judgement, _ in judged]
    totals = {order.id: str(order.total) for order in some if isinstance(order, Order)}
    rows = [judgement.seen for judgement in kept if _says_more(judgement.seen, seen)]
    outbox.add(tx, [fact for row in rows for fact in _told(row, seen[row.order_id], now)])
    started.follow(tx, policy.storefront, [judgement.seen for judgement in kept], begun, now)
    renewals.settle(tx, outcomes, now)  # after: what a deposit was meant for comes first
    orders.add(tx, [row for row in rows if row.order_id not in known])
    sightings = [_sighting(row, totals.get(row.order_id, ""), way, now) for row in rows]
    orders.save(tx, [row for row in rows if row.order_id in known], sightings)
    inbox.put(tx, [*_rechecks(kept, now), *_retries(policy, stale, now)])
    _stop_if_replaced(tx, policy, kept, now)
    counts: Counts = Counter(judgement.seen.verdict for judgement in kept)
    counts["stale"] += len(stale)
    return Settled(+counts, [finding for judgement in kept for finding in judgement.findings])


def _with_new(
    policy: Policy, some: Iterable[Arrived], known: Mapping[int, Seen]
) -> dict[int, Seen]:
    """Return what was seen of each order before: of a new one nothing."""
    return {order.id: known.get(order.id) or Seen(policy.storefront, order.id) for order in some}


def _is_stale(arrived: Arrived, seen: Seen) -> bool:
    """Tell whether a later state is known already.

    Later by our clocks, which may disagree between replicas or be set back: so what is passed over
    as stale is looked at again, and no change is lost with the cursor moving on.
    """
    return not isinstance(arrived, Unreadable) and arrived.fetched_at < seen.fetched_at


_Judged = list[tuple[Judgement, Posted]]


def _judged(
    tx: Connection,
    policy: Policy,
    some: Sequence[tuple[Arrived, Seen]],
    begun: Begun,
    now: Instant,
) -> _Judged:
    old = [order.id for order, row in some if row.sightings]
    everything = orders.posted(tx, policy.storefront, old)
    judged: _Judged = []
    for order, row in some:
        mine = row.own(everything)
        judgement = judge(order, row, mine, policy, begun, now)
        if judgement.seen.verdict == CREDITED:
            begun.credited(order.id)
        judged.append((judgement, mine))
    return judged if policy.create_tenants else _tenants_checked(tx, judged, now)


def _tenants_checked(tx: Connection, judged: _Judged, now: Instant) -> _Judged:
    asked = {draft.tenant_id for judgement, _ in judged for draft in judgement.drafts}
    strangers = asked - orders.tenants_known(tx, asked)
    return [
        (unknown_tenant(judgement, posted, now), posted)
        if any(draft.tenant_id in strangers for draft in judgement.drafts)
        else (judgement, posted)
        for judgement, posted in judged
    ]


def _posted(tx: Connection, judged: _Judged, now: Instant) -> tuple[_Judged, list[Outcome]]:
    """Post all drafts in one call; hold the orders whose drafts were declined."""
    drafts = [draft for judgement, _ in judged for draft in judgement.drafts]
    outcomes = ledger.post(tx, drafts, now) if drafts else []
    answers = iter(outcomes)
    after: _Judged = []
    for judgement, posted in judged:
        mine: list[Outcome] = list(islice(answers, len(judgement.drafts)))
        declined = any(outcome.status == DECLINED for outcome in mine)
        after.append((too_large(judgement, posted, now) if declined else judgement, posted))
    return after, outcomes


def _says_more(row: Seen, before: dict[int, Seen]) -> bool:
    """Tell whether the row says something new: a state not seen before is a sighting."""
    old = before[row.order_id]
    return (row.digest, row.verdict, row.because) != (old.digest, old.verdict, old.because)


def _sighting(row: Seen, total: str, way: str, now: Instant) -> Sighting:
    return Sighting(
        row.storefront,
        row.order_id,
        row.sightings,
        now,
        way,
        row.status,
        total,
        row.verdict,
        row.because,
    )


def _told(row: Seen, before: Seen, now: Instant) -> list[Happened]:
    """Tell that an order is held, for another reason than before, or held no more."""
    if (row.verdict, row.reason) == (before.verdict, before.reason):
        return []
    if row.verdict == HELD:
        said = EventType.ORDER_HELD
    elif before.verdict == HELD:
        said = EventType.ORDER_RELEASED
    else:
        return []
    data = {
        "storefront": row.storefront,
        "order_id": row.order_id,
        "status": row.status,
        "reason": row.reason or None,
        "because": row.because,
    }
    return [Happened(said, row.tenant_id, now, data)]


def _stop_if_replaced(
    tx: Connection, policy: Policy, kept: Sequence[Judgement], now: Instant
) -> None:
    """Many ids with new orders mean a restored or copied storefront: nobody should guess on."""
    reason = HeldReason.IDENTITY_CHANGED
    if not any(judgement.seen.reason == reason for judgement in kept):
        return
    replaced = orders.held(tx, storefront=policy.storefront, reason=reason)
    if len(replaced) >= IDENTITY_CHANGES_MAX:
        because = (
            f"{len(replaced)} order ids belong to other orders than before, as after a restore "
            f"from backup; see `bridge held`, then: bridge acknowledge {policy.storefront}"
        )
        cursors.stop(tx, policy.storefront, because, now)
        log.error("storefront stopped", storefront=policy.storefront, because=because)


def _count(storefront: str, counts: Counts) -> None:
    for verdict, number in counts.items():
        metrics.orders_total.labels(storefront, verdict).inc(number)
