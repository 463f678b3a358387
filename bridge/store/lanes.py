"""Lanes: how far each endpoint was told of each tenant's events, and when to go on.

A lane's events are sent in order, one after another; so one that fails holds up its lane, and no
other. Claims expire: what a dead process had claimed is sent again.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    String,
    and_,
    bindparam,
    case,
    delete,
    func,
    null,
    select,
    text,
    update,
)

from bridge.domain.clock import Instant
from bridge.store import bulk, tables

LANES = tables.table(tables.Lane)
EVENTS = tables.table(tables.Event)


class Lane(NamedTuple):
    """A tenant's events on their way to an endpoint; fields in the order of the table's columns.

    What has a number above `delivered_through`, up to `latest`, is to be sent once `due_at` is
    past; None where nothing is. `failures` in a row, the first at `failing_since`.
    """

    tenant_id: str
    endpoint: str
    delivered_through: int
    latest: int
    failures: int = 0
    failing_since: Instant | None = None
    due_at: Instant | None = None
    claimed_until: Instant = 0


def extend(tx: Connection, endpoint: str, types: Iterable[str], new: range, now: Instant) -> None:
    """Put new events, by their numbers, on their tenants' lanes, if of the endpoint's types."""
    numbers = {"first": new.start, "end": new.stop}
    tx.execute(_EXTEND, {"endpoint": endpoint, "types": sorted(types), "now": now} | numbers)


# A lane that rests after a failure goes on resting.
_EXTEND = text(
    "INSERT INTO lanes (tenant_id, endpoint, delivered_through, latest, failures, due_at,"
    " claimed_until)"
    " SELECT tenant_id, :endpoint, min(seq - size), max(seq), 0, CAST(:now AS BIGINT), 0"
    " FROM events WHERE seq >= :first AND seq < :end AND type IN :types"
    " GROUP BY tenant_id ORDER BY tenant_id"
    " ON CONFLICT (tenant_id, endpoint) DO UPDATE SET latest = excluded.latest,"
    " due_at = COALESCE(lanes.due_at, excluded.due_at)"
).bindparams(bindparam("types", type_=String, expanding=True))


def due(tx: Connection, endpoint: str, now: Instant) -> bool:
    """Tell whether a lane is due, without a lock."""
    return (
        tx.execute(select(LANES.c.tenant_id).where(*_due(endpoint, now)).limit(1)).first()
        is not None
    )


def claim(tx: Connection, endpoint: str, now: Instant, until: Instant, limit: int) -> list[Lane]:
    """Take up to `limit` due lanes until a time, so that no other worker takes them too."""
    query = select(LANES).where(*_due(endpoint, now)).order_by(LANES.c.due_at, LANES.c.tenant_id)
    rows = tx.execute(query.limit(limit).with_for_update(skip_locked=True)).all()
    lanes = [Lane._make(row)._replace(claimed_until=until) for row in rows]
    for lane in sorted(lanes):
        tx.execute(update(LANES).where(_is(lane)).values(claimed_until=until))
    return lanes


def advance(tx: Connection, lane: Lane, through: int, now: Instant) -> bool:
    """Record that a claimed lane was told of everything up to a number, and give it back.

    False where the claim has run out and somebody else goes on: then nothing is recorded.
    """
    more = LANES.c.latest > through
    values = {"failures": 0, "failing_since": None, "due_at": case((more, now), else_=null())}
    return _give_back(tx, lane, {"delivered_through": through} | values)


def rest(tx: Connection, lane: Lane, through: int, since: Instant, until: Instant) -> bool:
    """Record that a claimed lane fails behind a number, and is due again `until`; as `advance`."""
    fails_anew = through > lane.delivered_through or lane.failing_since is None
    values = {
        "delivered_through": through,
        "failures": 1 if fails_anew else lane.failures + 1,
        "failing_since": since if fails_anew else lane.failing_since,
        "due_at": until,
    }
    return _give_back(tx, lane, values)


def hasten(tx: Connection, endpoint: str, now: Instant) -> None:
    """Let all resting lanes of an endpoint that answers again go on at once."""
    resting = select(LANES.c.tenant_id).where(LANES.c.endpoint == endpoint, LANES.c.due_at > now)
    # Locked without waiting, so that two who wait form no circle.
    free = resting.with_for_update(skip_locked=True).cte("free")
    these = (LANES.c.endpoint == endpoint, LANES.c.tenant_id == free.c.tenant_id)
    tx.execute(update(LANES).where(*these).values(due_at=now))


def set_back(tx: Connection, endpoint: str, types: Sequence[str], seq: int, now: Instant) -> int:
    """Let an endpoint be told again of everything behind a number; return how many lanes are.

    Lanes that there are not yet are made: so an endpoint that is new is told of the past.
    """
    query = select(EVENTS.c.tenant_id, func.max(EVENTS.c.seq))
    behind = query.where(EVENTS.c.seq > seq, EVENTS.c.type.in_(types))
    found = tx.execute(behind.group_by(EVENTS.c.tenant_id).order_by(EVENTS.c.tenant_id)).all()
    lanes = [Lane(tenant, endpoint, seq, latest, due_at=now) for tenant, latest in found]
    bulk.insert(tx, LANES, lanes, _SET_BACK)
    return len(lanes)


# `claimed_until` too: who sends just now must not advance the lane past what is to be repeated.
_SET_BACK = (
    "ON CONFLICT (tenant_id, endpoint) DO UPDATE SET"
    " delivered_through = CASE WHEN lanes.delivered_through < excluded.delivered_through"
    " THEN lanes.delivered_through ELSE excluded.delivered_through END,"
    " latest = CASE WHEN lanes.latest > excluded.latest THEN lanes.latest ELSE excluded.latest END,"
    " failures = 0, failing_since = NULL, due_at = excluded.due_at, claimed_until = 0"
)


class Standing(NamedTuple):
    """How an endpoint does: lanes with something to send, and since when the oldest one fails."""

    endpoint: str
    behind: int
    failing: int
    failing_since: Instant | None


def standings(tx: Connection) -> list[Standing]:
    """Return how every endpoint does that is behind, in name order; looks at no other lanes."""
    return [Standing._make(row) for row in tx.execute(_STANDINGS)]


_STANDINGS = text(
    "SELECT endpoint, count(due_at), count(failing_since), min(failing_since)"
    " FROM lanes WHERE due_at IS NOT NULL GROUP BY endpoint ORDER BY endpoint"
)


def undelivered(tx: Connection, endpoints: Sequence[str]) -> int | None:
    """Return the number behind which these endpoints are still to be told; None if all were."""
    behind = (LANES.c.endpoint.in_(endpoints), LANES.c.due_at.is_not(None))
    through: int | None = tx.scalar(select(func.min(LANES.c.delivered_through)).where(*behind))
    return through


def prune(tx: Connection, endpoints: Sequence[str]) -> None:
    """Forget the lanes to all other endpoints, once their events are kept no more."""
    oldest = select(func.min(EVENTS.c.seq)).scalar_subquery()
    gone = (LANES.c.endpoint.not_in(endpoints), LANES.c.latest < oldest)
    tx.execute(delete(LANES).where(*gone))


def _due(endpoint: str, now: Instant) -> tuple[Any, ...]:
    return LANES.c.endpoint == endpoint, LANES.c.due_at <= now, LANES.c.claimed_until <= now


def _is(lane: Lane) -> Any:
    return and_(LANES.c.tenant_id == lane.tenant_id, LANES.c.endpoint == lane.endpoint)


def _give_back(tx: Connection, lane: Lane, values: dict[str, Any]) -> bool:
    ours = LANES.c.claimed_until == lane.claimed_until
    change = update(LANES).where(_is(lane), ours).values(claimed_until=0, **values)
    return bool(tx.execute(change).rowcount)
