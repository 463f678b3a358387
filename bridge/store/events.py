"""Events: what the outbox held, in one order for all, and the entries that tell the rest.

Only who holds the head's lock publishes. So numbers are given in the order of commits, without
gaps, and nothing appears later below a number that somebody has seen.
"""

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, delete, func, select, update

from bridge.domain.clock import Instant, isoformat
from bridge.domain.entry import Entry, EntryId
from bridge.domain.errors import BridgeError, NotFoundError
from bridge.domain.event import Event, EventId
from bridge.store import bulk, tables
from bridge.store.among import among
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


def publish(tx: Connection, told: Iterable[Told], head: int, now: Instant) -> Counter[str]:
    """Number what was told from the head on, as events, and move the head; count them by type."""
    events = _numbered(told, head, now)
    bulk.insert_at_once(tx, EVENTS, events)
    tx.execute(_MOVE_HEAD, {"seq": head + len(events)})
    return Counter([event_type for _, _, event_type, *_ in events])


def _numbered(told: Iterable[Told], seq: int, now: Instant) -> list[tuple[Any, ...]]:
    """Return the rows of the events behind a number: plain, since there are many."""
    events: list[tuple[Any, ...]] = []
    for recorded_at, spans, facts in told:
        for tenant_id, currency, event_type, first, last in spans:
            for version in range(first, last + 1):
                seq += 1
                place = tenant_id, currency, version
                events.append((seq, now, event_type, *place, recorded_at, ""))
        for fact in facts:
            seq += 1
            data = json.dumps(dict(fact.data), separators=(",", ":"))
            events.append((seq, now, fact.type, fact.tenant_id, "", 0, fact.occurred_at, data))
    return events


_MOVE_HEAD = update(HEAD).where(HEAD.c.name == "events").values(seq=bindparam("seq"))


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
    oldest = _oldest(tx)
    if event_id.seq >= oldest:
        return get(tx, event_id).seq
    if event_id.seq < oldest - 1:
        raise EventsPrunedError(
            f"the events that followed evt_{event_id.seq}_{event_id.published_at} are kept no "
            "more; read the balances, and follow events from the oldest: leave out `after`"
        )
    return event_id.seq


def since(tx: Connection, moment: Instant) -> int:
    """Return the number before the first event published at a time or later.

    Found by halving, since numbers have no gaps: so each event goes without an entry in an index.
    """
    oldest = _oldest(tx)
    numbers = range(oldest, last(tx) + 1)
    return oldest - 1 + bisect_left(numbers, moment, key=partial(_published_at, tx))


def bodies(tx: Connection, events: Sequence[Event]) -> list[dict[str, Any]]:
    """Return the events as callers and endpoints get them; docs/api.md says how they look."""
    entries = _entries(tx, {_place(event) for event in events if event.version})
    return [
        {
            "id": event.id,
            "type": event.type,
            "timestamp": isoformat(event.occurred_at),
            "tenant_id": event.tenant_id or None,
            "data": _data(event, entries),
        }
        for event in events
    ]


def prune(tx: Connection, before: Instant, through: int | None, limit: int) -> int:
    """Forget up to `limit` events published before a time, none above the number `through`.

    Returns how many.
    """
    end = min(since(tx, before), _oldest(tx) - 1 + limit)
    if through is not None:
        end = min(end, through)
    return tx.execute(delete(EVENTS).where(EVENTS.c.seq <= end)).rowcount


def _oldest(tx: Connection) -> int:
    """Return the number of the first event that is kept, or would be the next."""
    seq: int = tx.execute(_OLDEST).scalar_one()
    return seq


# One statement, since on PostgreSQL the next one may see what was published in between.
_OLDEST = select(
    func.coalesce(select(func.min(EVENTS.c.seq)).scalar_subquery(), HEAD.c.seq + 1)
).where(HEAD.c.name == "events")


def _published_at(tx: Connection, seq: int) -> Instant:
    query = select(EVENTS.c.published_at).where(EVENTS.c.seq >= seq).order_by(EVENTS.c.seq)
    moment: Instant = tx.execute(query.limit(1)).scalar_one()
    return moment


def _data(event: Event, entries: Mapping[EntryId, Entry]) -> dict[str, Any]:
    if not event.version:
        data: dict[str, Any] = json.loads(event.data)
        return data
    place = _place(event)
    # An entry that is gone, as only a ledger changed by hand has them, holds up nobody.
    if place not in entries:
        return {"id": ".".join(map(str, place)), **place._asdict()}
    return shown(entries[place])


def _place(event: Event) -> EntryId:
    return EntryId(event.tenant_id, event.currency, event.version)


def _entries(tx: Connection, places: Iterable[EntryId]) -> dict[EntryId, Entry]:
    entries = map(Entry._make, among(tx, ENTRIES, EntryId._fields, places))
    return {EntryId(entry.tenant_id, entry.currency, entry.version): entry for entry in entries}
