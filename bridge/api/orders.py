"""Orders: why one is, or is not, in a balance, and which are held."""

from typing import Annotated, Self

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel

from bridge.api.answers import Entry, Time, time_or_none
from bridge.api.asks import Digits, HeldOrdersAsk
from bridge.api.auth import READ
from bridge.api.paging import page, place
from bridge.api.problems import ProblemError, documented
from bridge.api.services import DeskHere, Services, Storefront
from bridge.domain.clock import isoformat
from bridge.domain.money import AMOUNT_MAX
from bridge.store import orders
from bridge.store.explain import Explanation as Told
from bridge.store.explain import SlotState, explain
from bridge.store.orders import HeldPlace, Seen

router = APIRouter(tags=["orders"], responses=documented(404, 422))


class HeldOrder(BaseModel):
    """An order that is not credited: `because` names the rule and the remedy."""

    storefront: str
    order_id: int
    status: str
    verdict: str
    reason: str
    because: str
    tenant_id: str
    seen_at: Time
    changed_at: Time

    @classmethod
    def of(cls, seen: Seen) -> Self:
        """Show an order as last seen."""
        return cls(
            storefront=seen.storefront,
            order_id=seen.order_id,
            status=seen.status,
            verdict=seen.verdict,
            reason=seen.reason,
            because=seen.because,
            tenant_id=seen.tenant_id,
            seen_at=isoformat(seen.fetched_at),
            changed_at=isoformat(seen.changed_at),
        )


class HeldOrders(BaseModel):
    """A page of held orders, the newest change first."""

    data: list[HeldOrder]
    next_cursor: str | None


class AmountLine(BaseModel):
    """One line of the sum that an order is worth."""

    name: str
    amount: int


class OrderEffect(BaseModel):
    """One effect of an order on one wallet: what it should be, what was posted, what is missing."""

    tenant_id: str
    currency: str
    effect: str
    target: int
    posted: int
    drift: int


class Sighting(BaseModel):
    """A state the order was seen in, by which way, and what followed."""

    seen_at: Time
    way: str
    status: str
    total: str
    verdict: str
    because: str


class Explanation(BaseModel):
    """Why an order is, or is not, in a balance."""

    storefront: str
    order_id: int
    status: str
    verdict: str
    reason: str
    because: str
    tenant_id: str
    currency: str
    seen_at: Time
    backward_since: Time | None
    lines: list[AmountLine]
    effects: list[OrderEffect]
    sightings: list[Sighting]
    entries: list[Entry]

    @classmethod
    def of(cls, told: Told) -> Self:
        """Show an explanation."""
        return cls(
            **told._asdict()
            | {
                "seen_at": isoformat(told.seen_at),
                "backward_since": time_or_none(told.backward_since),
                "lines": [AmountLine(**line._asdict()) for line in told.lines],
                "effects": [_effect(slot) for slot in told.effects],
                "sightings": [
                    Sighting(**s._asdict() | {"seen_at": isoformat(s.seen_at)})
                    for s in told.sightings
                ],
                "entries": [Entry.of(entry) for entry in told.entries],
            }
        )


def _effect(slot: SlotState) -> OrderEffect:
    return OrderEffect(**slot._asdict(), drift=slot.target - slot.posted)


@router.get("/v1/orders", dependencies=[READ])
async def list_held_orders(ask: Annotated[HeldOrdersAsk, Query()], desk: DeskHere) -> HeldOrders:
    """List the orders that are not credited and wait for someone to act. Scope: `read`."""
    if ask.storefront is not None:
        known_storefront(desk.services, ask.storefront)
    where = {} if ask.storefront is None else {"storefront": ask.storefront}
    before = HeldPlace(*place(ask.cursor, int, str, int)) if ask.cursor else None
    found = await desk.read(orders.held, before, ask.limit + 1, **where)
    shown, cursor = page(found, ask.limit, HeldPlace.of)
    return HeldOrders(data=list(map(HeldOrder.of, shown)), next_cursor=cursor)


@router.get("/v1/orders/{storefront}/{order_id}", dependencies=[READ])
async def explain_order(
    storefront: str, order_id: Annotated[int, Digits, Path(gt=0, le=AMOUNT_MAX)], desk: DeskHere
) -> Explanation:
    """Explain why an order is, or is not, in a balance. Scope: `read`.

    What was seen, when and by which way; the rule; the amount line by line; the entries.
    """
    rules = known_storefront(desk.services, storefront).rules
    return Explanation.of(await desk.read(explain, storefront, order_id, rules))


def known_storefront(services: Services, name: str) -> Storefront:
    """Return a storefront; ProblemError 404 naming the known ones where it is none of them."""
    if name in services.storefronts:
        return services.storefronts[name]
    known = ", ".join(sorted(services.storefronts)) or "none"
    detail = f"no storefront {name!a}; these are configured: {known}"
    raise ProblemError(404, "storefront_not_found", detail)
