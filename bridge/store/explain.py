"""Why an order is, or is not, in a balance: everything bridge knows of it, in one answer."""

from typing import NamedTuple

from sqlalchemy import Connection

from bridge.domain.clock import Instant
from bridge.domain.crediting import AmountLine, Rules, Worth, effects
from bridge.domain.drift import Posted, targets, waiting_targets
from bridge.domain.entry import Entry
from bridge.domain.errors import NotFoundError
from bridge.domain.held import Held, HeldReason
from bridge.store import orders, reports
from bridge.store.orders import HELD, Seen, Sighting


class SlotState(NamedTuple):
    """One effect on one wallet: what it should be and what was posted, in minor units."""

    tenant_id: str
    currency: str
    effect: str
    target: int
    posted: int


class Explanation(NamedTuple):
    """The answer to "why?". `because` names the rule, `lines` is the amount line by line."""

    storefront: str
    order_id: int
    status: str
    verdict: str
    reason: str
    because: str
    tenant_id: str
    currency: str
    seen_at: Instant
    backward_since: Instant | None
    lines: tuple[AmountLine, ...]
    effects: list[SlotState]
    sightings: list[Sighting]
    entries: list[Entry]


def explain(tx: Connection, storefront: str, order_id: int, rules: Rules) -> Explanation:
    """Explain an order from what was last seen of it; NotFoundError where it was never seen."""
    seen = orders.known(tx, storefront, [order_id]).get(order_id)
    if seen is None:
        raise NotFoundError(
            f"order {order_id} of {storefront} was never seen; if it exists, fetch it with: "
            f"bridge reconcile --storefront {storefront} --order {order_id}"
        )
    worth = effects(seen.order(), rules) if seen.snapshot else Held(HeldReason.UNREADABLE, "")
    everything = orders.posted(tx, storefront, [order_id])
    # The entries of a former order with this id are shown, but are not this one's effects.
    tenant_ids = sorted({slot.wallet_id.tenant_id for slot, _ in everything.get(order_id, {})})
    return Explanation(
        storefront,
        order_id,
        seen.status,
        seen.verdict,
        seen.reason,
        seen.because,
        seen.tenant_id,
        seen.order().currency if seen.snapshot else "",
        seen.fetched_at,
        seen.backward_since,
        worth.lines if isinstance(worth, Worth) else (),
        _slots(seen, worth, seen.own(everything)),
        orders.sightings(tx, storefront, order_id),
        reports.order_entries(tx, storefront, order_id, tenant_ids),
    )


def _slots(seen: Seen, worth: Worth | Held, posted: Posted) -> list[SlotState]:
    """Set targets beside what was posted; an order that is held keeps what it has."""
    if isinstance(worth, Held) or seen.verdict == HELD:
        wanted = posted
    elif seen.backward_since is not None:
        wanted = waiting_targets(worth, posted)
    else:
        wanted = targets(worth, posted)
    return [
        SlotState(*slot.wallet_id, slot.effect, wanted.get(slot, 0), posted.get(slot, 0))
        for slot in sorted({**posted, **wanted})
    ]
