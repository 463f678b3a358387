"""Orders as last seen: what the storefront said, what became of it, what was posted for it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self

from sqlalchemy import Connection, func, literal_column, select, tuple_

from bridge.domain.clock import Instant
from bridge.domain.drift import Slot
from bridge.domain.order import Order
from bridge.domain.wallet import WalletId
from bridge.store import bulk, snapshot, tables
from bridge.store.among import among, of_orders

ORDERS = tables.table(tables.Order)
EFFECTS = tables.table(tables.Effect)
SIGHTINGS = tables.table(tables.Sighting)
TENANTS = tables.table(tables.Tenant)


CREDITED, NOTHING, HELD, WAITING = "credited", "nothing", "held", "waiting"
"""The verdicts: worth something, worth nothing, held with a reason, waiting to be seen twice."""


class Seen(NamedTuple):
    """An order as last seen; the fields stand in the order of the table's columns.

    `digest` is that of its state, or nothing, which makes any state a new one. `verdict` is one of
    the above; `reason` is that of a held order. `generation` counts the orders that had this id,
    see `sync.settle.acknowledge`.
    """

    storefront: str
    order_id: int
    fingerprint: str = ""
    generation: int = 1
    digest: bytes = b""
    snapshot: str = ""
    verdict: str = NOTHING
    reason: str = ""
    because: str = ""
    tenant_id: str = ""
    status: str = ""
    created_at: Instant = 0
    fetched_at: Instant = 0
    changed_at: Instant = 0
    backward_since: Instant | None = None
    sightings: int = 0

    def order(self) -> Order:
        """Rebuild the order as it was last seen."""
        return snapshot.restore(self.snapshot, self.fetched_at)

    def own(self, posted: "PostedFor") -> dict[Slot, int]:
        """Return what was posted for this order, and not for a former one that had its id."""
        slots = posted.get(self.order_id, {})
        return {slot: amount for (slot, of), amount in slots.items() if of == self.generation}


PostedFor = Mapping[int, Mapping[tuple[Slot, int], int]]
"""What was posted, by order id: (slot, generation) to amount in minor units."""


class HeldPlace(NamedTuple):
    """Where a held order stands in the list of them; of equal changes the last name comes first."""

    changed_at: Instant
    storefront: str
    order_id: int

    @classmethod
    def of(cls, seen: Seen) -> Self:
        """Return the place of an order."""
        return cls(seen.changed_at, seen.storefront, seen.order_id)


class Sighting(NamedTuple):
    """A state an order was seen in; `number` counts from 1."""

    storefront: str
    order_id: int
    number: int
    seen_at: Instant
    way: str
    status: str
    total: str
    verdict: str
    because: str


def lock(tx: Connection, storefront: str, order_ids: Iterable[int]) -> dict[int, Seen]:
    """Return the orders as last seen, locked for this database transaction; new ones are absent."""
    return _seen(of_orders(tx, ORDERS, storefront, order_ids, lock=True))


def known(tx: Connection, storefront: str, order_ids: Iterable[int]) -> dict[int, Seen]:
    """Return the orders as last seen, without a lock; new ones are absent."""
    return _seen(of_orders(tx, ORDERS, storefront, order_ids))


def _seen(rows: Iterable[Sequence[Any]]) -> dict[int, Seen]:
    return {seen.order_id: seen for seen in map(Seen._make, rows)}


def states(
    tx: Connection, storefront: str, order_ids: Iterable[int]
) -> dict[int, tuple[bytes, str]]:
    """Return digest and verdict of the orders that were seen, without a lock."""
    rows = of_orders(tx, ORDERS, storefront, order_ids, ("order_id", "digest", "verdict"))
    return {row.order_id: (row.digest, row.verdict) for row in rows}


class OvertakenError(Exception):
    """Somebody else has just added one of these orders: look at them all again."""


def add(tx: Connection, seen: Sequence[Seen]) -> None:
    """Write new orders; OvertakenError where one is not new any more.

    To be done when all locks are taken: it waits for whoever adds the same order.
    """
    if bulk.insert(tx, ORDERS, sorted(seen), "ON CONFLICT DO NOTHING") < len(seen):
        raise OvertakenError


def save(tx: Connection, seen: Sequence[Seen], sightings: Sequence[Sighting]) -> None:
    """Write orders that were locked before, and the states that orders were seen in."""
    bulk.update(tx, ORDERS, seen)
    bulk.insert(tx, SIGHTINGS, sightings)


def posted(tx: Connection, storefront: str, order_ids: Iterable[int]) -> PostedFor:
    """Return what was posted for each order; those for which nothing was are absent."""
    found: dict[int, dict[tuple[Slot, int], int]] = {}
    for row in of_orders(tx, EFFECTS, storefront, order_ids):
        name, _, generation = row.effect.partition("@")
        slot = Slot(WalletId(row.tenant_id, row.currency), name)
        found.setdefault(row.order_id, {})[slot, int(generation or 1)] = row.amount
    return found


def effect_name(effect: str, generation: int) -> str:
    """Return the name under which an effect is stored: later orders with the same id stay apart."""
    return effect if generation == 1 else f"{effect}@{generation}"


def credited(tx: Connection, storefront: str, since: Instant, until: Instant) -> list[int]:
    """Return the ids of orders created in [since, until] for which something is posted."""
    query = (
        select(ORDERS.c.order_id)
        .where(
            ORDERS.c.storefront == storefront,
            ORDERS.c.created_at.between(since, until),
            select(EFFECTS.c.amount)
            .where(
                EFFECTS.c.storefront == ORDERS.c.storefront,
                EFFECTS.c.order_id == ORDERS.c.order_id,
                EFFECTS.c.amount != 0,
            )
            .exists(),
        )
        .order_by(ORDERS.c.order_id)
    )
    return list(tx.execute(query).scalars())


def held(
    tx: Connection, before: HeldPlace | None = None, limit: int | None = None, /, **where: str
) -> list[Seen]:
    """Return the held orders, newest change first; `where` names columns and their values.

    Of all pages the one behind the place `before`, of so many at most.
    """
    query = select(ORDERS).where(_IS_HELD, *(ORDERS.c[k] == v for k, v in where.items()))
    place = [ORDERS.c[name] for name in HeldPlace._fields]
    if before is not None:
        query = query.where(tuple_(*place) < before)
    newest_first = query.order_by(*(column.desc() for column in place))
    return [Seen._make(row) for row in tx.execute(newest_first.limit(limit))]


def held_by_storefront(tx: Connection) -> dict[str, int]:
    """Count the held orders of each storefront that has any; looks at no others."""
    query = select(ORDERS.c.storefront, func.count()).where(_IS_HELD)
    return {row[0]: row[1] for row in tx.execute(query.group_by(ORDERS.c.storefront))}


# Said, not handed over: a planner that does not know the verdict cannot take the index of these.
_IS_HELD = ORDERS.c.verdict == literal_column(f"'{HELD}'")


def verdicts(tx: Connection, storefront: str) -> dict[str, int]:
    """Count a storefront's orders by verdict."""
    query = select(ORDERS.c.verdict, func.count()).where(ORDERS.c.storefront == storefront)
    return {row[0]: row[1] for row in tx.execute(query.group_by(ORDERS.c.verdict))}


def sightings(tx: Connection, storefront: str, order_id: int) -> list[Sighting]:
    """Return the states an order was seen in, oldest first."""
    query = select(SIGHTINGS).where(
        SIGHTINGS.c.storefront == storefront, SIGHTINGS.c.order_id == order_id
    )
    return [Sighting._make(row) for row in tx.execute(query.order_by(SIGHTINGS.c.number))]


def tenants_known(tx: Connection, tenant_ids: Iterable[str]) -> set[str]:
    """Return those of the tenants that exist."""
    rows = among(tx, TENANTS, ("tenant_id",), {(tenant_id,) for tenant_id in tenant_ids})
    return {row.tenant_id for row in rows}
