"""Judging an order: what was seen and posted before goes in; what to keep and to post comes out.

No I/O and no clock, like the rules it applies.
"""

import hashlib
from typing import NamedTuple

from bridge.domain.clock import HOUR, Instant, isoformat
from bridge.domain.crediting import BONUS, DEPOSIT, DISPUTE, Worth, effects
from bridge.domain.drift import (
    BACKWARD_WAIT,
    Finding,
    FindingKind,
    Posted,
    Slot,
    balances,
    findings,
    is_backward,
    targets,
    waiting_targets,
)
from bridge.domain.entry import EffectDraft
from bridge.domain.held import Held, HeldReason
from bridge.domain.order import Order, Unreadable
from bridge.store import snapshot
from bridge.store.orders import CREDITED, HELD, NOTHING, WAITING, Seen, effect_name
from bridge.sync.context import Policy
from bridge.sync.started import Begun, objection

REREAD_AFTER: Instant = HOUR
"""When an order that could not be read is read again."""


class Judgement(NamedTuple):
    """The row to keep where it is news, the drafts to post, and what a reconciliation reports."""

    seen: Seen
    drafts: tuple[EffectDraft, ...] = ()
    findings: tuple[Finding, ...] = ()
    recheck_at: Instant | None = None


def judge(  # noqa: PLR0913, PLR0917 - these six are all that a judgement rests on
    arrived: Order | Unreadable,
    seen: Seen,
    posted: Posted,
    policy: Policy,
    begun: Begun,
    now: Instant,
) -> Judgement:
    """Judge an order as it arrived against the order as it was seen before.

    `begun` are the deposits it may belong to.
    """
    if isinstance(arrived, Unreadable):
        held = Held(HeldReason.UNREADABLE, f"{arrived.why}; it is read again every hour")
        row = seen._replace(digest=b"", sightings=seen.sightings + 1)
        return _held(row, held, posted, now)._replace(recheck_at=now + REREAD_AFTER)
    kept = _kept(arrived, seen, policy, now)
    if kept.fingerprint != arrived.fingerprint:
        because = (
            f"another order has this id now ({arrived.fingerprint}, before {seen.fingerprint}), as "
            "after a restore or on a copy of the storefront; check it, then: "
            f"bridge acknowledge {seen.storefront} --order {seen.order_id}"
        )
        return _held(kept, Held(HeldReason.IDENTITY_CHANGED, because), posted, now)
    worth = effects(arrived, policy.rules)
    if isinstance(worth, Worth) and worth.effects:
        worth = objection(arrived, begun) or worth
    if isinstance(worth, Held):
        return _held(kept, worth, posted, now)
    return _weighed(arrived, kept, worth, posted, now)


def unknown_tenant(judgement: Judgement, posted: Posted, now: Instant) -> Judgement:
    """Hold an order that was about to be credited to a tenant nobody created."""
    because = (
        f'no tenant {judgement.seen.tenant_id!r}, and unknown_tenants is "hold"; create it with '
        "PUT /v1/tenants/…, and the order is credited by itself"
    )
    held = Held(HeldReason.TENANT_UNKNOWN, because)
    return _held(judgement.seen, held, posted, now)


def too_large(judgement: Judgement, posted: Posted, now: Instant) -> Judgement:
    """Hold an order that would take a balance beyond what a 64-bit integer holds."""
    because = (
        "the balance would no longer fit a 64-bit integer; adjust it, then reconcile the order"
    )
    return _held(judgement.seen, Held(HeldReason.BALANCE_LIMIT, because), posted, now)


def state_digest(order: Order, policy: Policy) -> bytes:
    """Return what changes when the order's state or the rules change, and at no other time."""
    return _digest(snapshot.take(order), policy)


def _digest(state: bytes, policy: Policy) -> bytes:
    return hashlib.sha256(policy.rules_digest + state).digest()


def _kept(order: Order, seen: Seen, policy: Policy, now: Instant) -> Seen:
    state = snapshot.take(order)
    return seen._replace(
        fingerprint=seen.fingerprint or order.fingerprint,
        digest=_digest(state, policy),
        snapshot=state.decode(),
        status=order.status,
        created_at=order.created_at,
        fetched_at=order.fetched_at,
        changed_at=now,
        reason="",
        sightings=seen.sightings + 1,
    )


def _held(kept: Seen, held: Held, posted: Posted, now: Instant) -> Judgement:
    """Hold: what was posted stays, until somebody decides."""
    row = kept._replace(
        verdict=HELD,
        reason=held.reason.value,
        because=held.because,
        backward_since=None,
        changed_at=now,
    )
    found = [
        Finding(
            FindingKind.HELD, row.storefront, row.order_id, *wallet_id, amount, amount, held.because
        )
        for wallet_id, amount in balances(posted).items()
    ]
    tenant_id = kept.tenant_id
    blank = Finding(
        FindingKind.HELD, row.storefront, row.order_id, tenant_id, "", 0, 0, held.because
    )
    return Judgement(row, findings=tuple(found or [blank]))


def _weighed(order: Order, kept: Seen, worth: Worth, posted: Posted, now: Instant) -> Judgement:
    wanted = targets(worth, posted)
    found = findings(kept.storefront, order.id, order.status, worth.because, wanted, posted)
    since = kept.backward_since or now
    if is_backward(worth, posted) and now < since + BACKWARD_WAIT:
        drafts = _drafts(order, kept, waiting_targets(worth, posted), posted, now)
        return _waiting(kept, worth, since)._replace(drafts=drafts, findings=tuple(found))
    row = kept._replace(
        verdict=CREDITED if any(wanted.values()) else NOTHING,
        because=worth.because,
        tenant_id=worth.tenant_id,
        backward_since=None,
    )
    return Judgement(row, _drafts(order, kept, wanted, posted, now), tuple(found))


def _waiting(kept: Seen, worth: Worth, since: Instant) -> Judgement:
    because = (
        f"{worth.because}; this may be a slip, so the credit is taken back only if the order is "
        f"still so at {isoformat(since + BACKWARD_WAIT)}"
    )
    row = kept._replace(verdict=WAITING, because=because, backward_since=since)
    return Judgement(row, recheck_at=since + BACKWARD_WAIT)


def _drafts(
    order: Order, kept: Seen, wanted: Posted, posted: Posted, now: Instant
) -> tuple[EffectDraft, ...]:
    return tuple(
        _draft(order, kept, slot, target, now)
        for slot, target in wanted.items()
        if target != posted.get(slot, 0)
    )


def _draft(order: Order, kept: Seen, slot: Slot, target: int, now: Instant) -> EffectDraft:
    return EffectDraft(
        *slot.wallet_id,
        kept.storefront,
        order.id,
        effect_name(slot.effect, kept.generation),
        target,
        occurred_at=_occurred_at(order, slot.effect, target, now),
        description=_description(order, slot.effect, target),
    )


def _occurred_at(order: Order, effect: str, target: int, now: Instant) -> Instant:
    """Say when it happened, by the storefront's stamps; never later than now, whatever they say."""
    paid = order.paid_at or order.completed_at
    happened = paid if effect in {DEPOSIT, BONUS} and target and paid else order.modified_at
    return min(happened, now)


def _description(order: Order, effect: str, target: int) -> str:
    if effect.startswith("refund/"):
        kind = "Refund" if target else "Withdrawn refund"
        return f"{kind} {effect.removeprefix('refund/')} of order {order.id}"
    if effect == DISPUTE:
        return (
            f"Order {order.id} is disputed" if target else f"Dispute of order {order.id} has ended"
        )
    if effect == BONUS and target:
        return f"Bonus for order {order.id}"
    return f"Deposit by order {order.id}" if target else f"Order {order.id} is {order.status}"
