"""Events: what the outbox held, in one order for all, and the entries that tell the rest.

Only who holds the head's lock publishes. So numbers are given in the order of commits, without
gaps, and nothing appears later below a number that somebody has seen.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, func, select, update

from bridge.domain.clock import Instant, isoformat
from bridge.domain.entry import Entry, EntryId
from bridge.domain.errors import BridgeError, NotFoundError
from bridge.domain.event import Event, EventId, Happened, Told
from bridge.store import bulk, tables
from bridge.store.among import among, parts
from bridge.store.outbox import Span, Waiting
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
    query = select(HEAD.c.seq).where(HEAD.c.name == "events").with_for_update(skip_locked=True)
    return tx.execute(query).scalar_one_or_none()


def facts(tx: Connection, rows: Sequence[Waiting]) -> list[Happened | Told]:
    """Return what the rows tell, in order, spans as the entries they name."""
    items = [item for row in rows for item in row.content]
    places = [place for item in items for place in _places(item)]
    found = map(Told._make, parts(tx, ENTRIES, EntryId._fields, places, Told._fields))
    entries = {entry[:3]: entry for entry in found}
    told: list[Happened | Told] = []
    for item in items:
        if isinstance(item, Happened):
            told.append(item)
        # One that is gone, as only a ledger changed by hand has it, must not hold up all others.
        told += (entries[place] for place in _places(item) if place in entries)
    return told


def publish(
    tx: Connection, told: Iterable[Happened | Told], head: int, now: Instant
) -> list[Event]:
    """Number facts from the head on, keep them as events, and move the head."""
    events = [_event(fact, head + n, now) for n, fact in enumerate(told, start=1)]
    bulk.insert(tx, EVENTS, events)
    moved = update(HEAD).where(HEAD.c.name == "events").values(seq=head + len(events))
    tx.execute(moved)
    return events


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
    oldest = _head(tx) + 1 if first is None else first
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
    return _head(tx) if first is None else first - 1


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


def _head(tx: Connection) -> int:
    seq: int = tx.execute(select(HEAD.c.seq).where(HEAD.c.name == "events")).scalar_one()
    return seq


def _event(fact: Happened | Told, seq: int, now: Instant) -> Event:
    if isinstance(fact, Told):
        tenant_id, currency, version, *_, recorded_at = fact
        return Event(seq, now, fact.type, tenant_id, currency, version, recorded_at, "")
    data = json.dumps(dict(fact.data), separators=(",", ":"))
    return Event(seq, now, fact.type, fact.tenant_id, "", 0, fact.occurred_at, data)


def _place(event: Event) -> EntryId:
    return EntryId(event.tenant_id, event.currency, event.version)


def _places(item: Span | Happened) -> list[tuple[str, str, int]]:
    """Return the places of the entries that a span names; a fact names none."""
    if isinstance(item, Happened):
        return []
    tenant_id, currency, first, last = item
    return [(tenant_id, currency, version) for version in range(first, last + 1)]


def _entries(tx: Connection, places: Iterable[EntryId]) -> dict[EntryId, Entry]:
    entries = map(Entry._make, among(tx, ENTRIES, EntryId._fields, places))
    return {EntryId(entry.tenant_id, entry.currency, entry.version): entry for entry in entries}
