"""Events: what the outbox held, in one order for all, and the entries that tell the rest.

Only who holds the head's lock publishes. So numbers are given in the order of commits, without
gaps, and nothing appears later below a number that somebody has seen.
"""

import json
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, delete, func, select, text, update

from bridge.domain.clock import Instant, isoformat
from bridge.domain.entry import Entry, EntryId, Kind
from bridge.domain.errors import BridgeError, NotFoundError
from bridge.domain.event import ADJUSTED, TOLD_BY, Event, EventId, Happened
from bridge.store import tables
from bridge.store.among import among
from bridge.store.listing import MARK, Listing
from bridge.store.outbox import Told
from bridge.store.shown import shown

EVENTS = tables.table(tables.Event)
ENTRIES = tables.table(tables.Entry)
HEAD = tables.table(tables.EventHead)


class EventNotFoundError(NotFoundError):
    """No such event, in this database."""

    code = "event_not_found"


class EventsPrunedError(BridgeError):
    """What followed is kept no more, so that nobody takes a gap for silence."""

    code = "events_pruned"
    http_status = 410


def head(tx: Connection) -> int | None:
    """Return the last event's number, locked until the end; None while another one publishes."""
    return tx.execute(_LOCK_HEAD).scalar_one_or_none()


def last(tx: Connection) -> int:
    """Return the last event's number, without a lock."""
    seq: int = tx.execute(_HEAD).scalar_one()
    return seq


_HEAD = select(HEAD.c.seq).where(HEAD.c.name == "events")
_LOCK_HEAD = _HEAD.with_for_update(skip_locked=True)


def publish(tx: Connection, told: Iterable[Told], head: int, now: Instant) -> range:
    """Number facts and the entries that spans name from the head on, as events; move the head.

    Returns the numbers. Entries that are gone, as only a ledger changed by hand has them, hold up
    nobody.
    """
    spans: list[tuple[Any, ...]] = []
    facts: list[tuple[Any, ...]] = []
    for one in told:
        place = len(spans) + len(facts)
        spans += [(n, *span) for n, span in enumerate(one.spans, place)]
        facts += [(n, *_fact(fact)) for n, fact in enumerate(one.facts, place)]
    dialect = tx.dialect.name
    values = (*_SPANS.said(dialect, spans), *_FACTS.said(dialect, facts), head, now)
    made = tx.exec_driver_sql(_publish(dialect), values).rowcount
    tx.execute(_MOVE_HEAD, {"made": made})
    return range(head + 1, head + made + 1)


_SPANS = Listing(
    "spans", place="BIGINT", tenant_id="TEXT", currency="TEXT", first="BIGINT", last="BIGINT"
)
_FACTS = Listing(
    "facts", place="BIGINT", type="TEXT", tenant_id="TEXT", occurred_at="BIGINT", data="TEXT"
)


@cache
def _publish(dialect: str) -> str:
    """Return the statement; entries go from table to table, so that Python sees none of them."""
    return (
        "INSERT INTO events"
        " (seq, published_at, type, tenant_id, currency, version, occurred_at, data)"
        f" WITH {_SPANS.read(dialect)}, {_FACTS.read(dialect)},"
        " told(place, type, tenant_id, currency, version, occurred_at, data) AS ("
        f"SELECT place, {_TYPE}, tenant_id, currency, version, recorded_at, ''"
        " FROM spans JOIN entries USING (tenant_id, currency) WHERE version BETWEEN first AND last"
        " UNION ALL SELECT place, type, tenant_id, '', 0, occurred_at, data FROM facts)"
        f" SELECT CAST({MARK[dialect]} AS BIGINT) + row_number() OVER (ORDER BY place, version),"
        f" CAST({MARK[dialect]} AS BIGINT), type, tenant_id, currency, version, occurred_at, data"
        " FROM told"
    )


_TYPE = (
    "CASE"
    + "".join(f" WHEN kind = '{kind}' THEN '{told}'" for kind, told in TOLD_BY.items())
    + f" WHEN kind = '{Kind.ADJUSTMENT}' AND amount > 0 THEN '{ADJUSTED[0]}'"
    f" WHEN kind = '{Kind.ADJUSTMENT}' THEN '{ADJUSTED[1]}' END"
)

_MOVE_HEAD = update(HEAD).where(HEAD.c.name == "events").values(seq=HEAD.c.seq + bindparam("made"))


def counted(tx: Connection, numbers: range) -> dict[str, int]:
    """Count the events with these numbers, by type."""
    found = tx.execute(_COUNTED, {"first": numbers.start, "end": numbers.stop})
    return {row.type: row.number for row in found}


_COUNTED = text(
    "SELECT type, count(*) AS number FROM events WHERE seq >= :first AND seq < :end GROUP BY type"
)


class Wanted(NamedTuple):
    """Which events: a tenant's or all, of these types or all, up to a number or all."""

    tenant_id: str | None = None
    types: tuple[str, ...] = ()
    through: int | None = None


_ALL = Wanted()


def after(tx: Connection, seq: int, limit: int, wanted: Wanted = _ALL) -> list[Event]:
    """Return up to `limit` of the wanted events that follow a number, in order."""
    query = select(EVENTS).where(EVENTS.c.seq > seq)
    if wanted.through is not None:
        query = query.where(EVENTS.c.seq <= wanted.through)
    if wanted.tenant_id is not None:
        query = query.where(EVENTS.c.tenant_id == wanted.tenant_id)
    if wanted.types:
        query = query.where(EVENTS.c.type.in_(wanted.types))
    return [Event._make(row) for row in tx.execute(query.order_by(EVENTS.c.seq).limit(limit))]


def get(tx: Connection, event_id: EventId) -> Event:
    """Return an event; EventNotFoundError where there is none, e.g. since a backup was restored."""
    row = tx.execute(select(EVENTS).where(EVENTS.c.seq == event_id.seq)).first()
    event = row and Event._make(row)
    if not event or event.published_at != event_id.published_at:
        raise EventNotFoundError(
            f"no event evt_{event_id.seq}_{event_id.published_at} here; it was pruned by age, or "
            "the database was restored from a backup: read the balances, and follow events anew"
        )
    return event


def behind(tx: Connection, event_id: EventId) -> int:
    """Return the number after which to go on for who saw this event last.

    Raises EventsPrunedError where some that followed are gone, EventNotFoundError for an id that is
    not of this database.
    """
    first = tx.execute(select(func.min(EVENTS.c.seq))).scalar_one()
    oldest = last(tx) + 1 if first is None else first
    if event_id.seq >= oldest:
        return get(tx, event_id).seq
    if event_id.seq < oldest - 1:
        raise EventsPrunedError(
            f"the events that followed evt_{event_id.seq}_{event_id.published_at} are kept no "
            "more; read the balances, and follow events from the oldest: leave out `after`"
        )
    return event_id.seq


def since(tx: Connection, moment: Instant) -> int:
    """Return the number before the first event published at a time or later."""
    query = select(func.min(EVENTS.c.seq)).where(EVENTS.c.published_at >= moment)
    first = tx.execute(query).scalar_one()
    return last(tx) if first is None else first - 1


def bodies(tx: Connection, events: Sequence[Event]) -> list[dict[str, Any]]:
    """Return the events as callers and endpoints get them; docs/api.md says how they look."""
    entries = _entries(tx, {_place(event) for event in events if event.version})
    return [
        {
            "id": event.id,
            "type": event.type,
            "timestamp": isoformat(event.occurred_at),
            "tenant_id": event.tenant_id or None,
            "data": shown(entries[_place(event)]) if event.version else json.loads(event.data),
        }
        for event in events
    ]


def prune(tx: Connection, before: Instant, through: int | None, limit: int) -> int:
    """Forget up to `limit` events published before a time, none above the number `through`.

    Returns how many.
    """
    old = select(EVENTS.c.seq).where(EVENTS.c.published_at < before).order_by(EVENTS.c.seq)
    if through is not None:
        old = old.where(EVENTS.c.seq <= through)
    gone = tx.execute(old.limit(limit)).scalars().all()
    if gone:
        tx.execute(delete(EVENTS).where(EVENTS.c.seq <= gone[-1]))
    return len(gone)


def _fact(fact: Happened) -> tuple[Any, ...]:
    data = json.dumps(dict(fact.data), separators=(",", ":"))
    return fact.type, fact.tenant_id, fact.occurred_at, data


def _place(event: Event) -> EntryId:
    return EntryId(event.tenant_id, event.currency, event.version)


def _entries(tx: Connection, places: Iterable[EntryId]) -> dict[EntryId, Entry]:
    entries = map(Entry._make, among(tx, ENTRIES, EntryId._fields, places))
    return {EntryId(entry.tenant_id, entry.currency, entry.version): entry for entry in entries}
