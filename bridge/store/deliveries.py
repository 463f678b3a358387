"""How an event stands with each endpoint, and what keeps an endpoint from being told."""

from typing import NamedTuple

from sqlalchemy import Connection, and_, select

from bridge.domain.event import Event
from bridge.store import tables

LANES = tables.table(tables.Lane)
ATTEMPTS = tables.table(tables.Attempt)
DEAD = tables.table(tables.DeadLetter)


class Delivery(NamedTuple):
    """An event on its way to an endpoint; `state` is delivered, waiting or dead."""

    endpoint: str
    state: str


def of_event(tx: Connection, event: Event) -> list[Delivery]:
    """Return how an event stands with every endpoint that its tenant has a lane to.

    A lane that has passed an event's number has delivered it, or had nothing to say of it.
    """
    given_up = and_(
        DEAD.c.tenant_id == LANES.c.tenant_id,
        DEAD.c.endpoint == LANES.c.endpoint,
        DEAD.c.seq == event.seq,
    )
    query = select(LANES.c.endpoint, LANES.c.delivered_through, DEAD.c.seq.label("dead"))
    lanes = query.outerjoin_from(LANES, DEAD, given_up).where(LANES.c.tenant_id == event.tenant_id)
    return [
        Delivery(row.endpoint, _state(event, row.delivered_through, row.dead))
        for row in tx.execute(lanes.order_by(LANES.c.endpoint))
    ]


def last_failure(tx: Connection, endpoint: str) -> str | None:
    """Return what was said last on the lane to an endpoint that fails for longest."""
    behind = (LANES.c.endpoint == endpoint, LANES.c.due_at.is_not(None))  # as all that fail are
    failing = select(LANES.c.tenant_id, LANES.c.delivered_through).where(
        *behind, LANES.c.failing_since.is_not(None)
    )
    for lane in tx.execute(failing.order_by(LANES.c.failing_since).limit(1)):
        its = (ATTEMPTS.c.tenant_id == lane.tenant_id, ATTEMPTS.c.seq > lane.delivered_through)
        said = select(ATTEMPTS.c.because).where(*its, ATTEMPTS.c.endpoint == endpoint)
        because: str | None = tx.scalar(said.order_by(ATTEMPTS.c.attempted_at.desc()).limit(1))
        return because
    return None


def _state(event: Event, delivered_through: int, dead: int | None) -> str:
    if dead is not None:
        return "dead"
    return "delivered" if delivered_through >= event.seq else "waiting"
