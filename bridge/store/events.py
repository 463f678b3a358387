"""Events: what the outbox held, in one order for all, and the entries that tell the rest.

Only who holds the head's lock publishes. So numbers are given without gaps, a tenant's in the order
of its commits, and nothing appears later below a number that somebody has seen. Entries of a wallet
that follow one another share a row, so that a busy wallet costs no more than a quiet one.
"""

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, delete, func, select, update

from bridge.domain.clock import Instant, isoformat
from bridge.domain.entry import Entry, EntryId
from bridge.domain.errors import BridgeError, NotFoundError
from bridge.domain.event import Event, EventId
from bridge.store import bulk, shown, tables
from bridge.store.among import among
from bridge.store.outbox import Told

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
    rows: list[tuple[Any, ...]] = []
    published: Counter[str] = Counter()
    seq = head
    for one in _together(told):
        seq += one.size
        published[one.type] += one.size
        place = one.tenant_id, one.currency, one.version
        rows.append((seq, one.size, now, one.type, *place, one.occurred_at, one.data))
    bulk.insert_at_once(tx, EVENTS, rows)
    tx.execute(_MOVE_HEAD, {"seq": seq})
    return published


@dataclass(slots=True)
class _Stretch:
    """Events of one type that follow one another: a fact, or a wallet's entries up to a version."""

    tenant_id: str
    currency: str
    type: str
    size: int
    version: int
    occurred_at: Instant
    data: str = ""

    def takes(self, currency: str, event_type: str, first: int) -> bool:
        """Tell whether an entry of this version, as such an event, is the next one."""
        return (self.version + 1, self.currency, self.type) == (first, currency, event_type)


def _together(told: Iterable[Told]) -> list[_Stretch]:
    """Return what was told in the order of each tenant, in as few stretches as that allows."""
    stretches: list[_Stretch] = []
    latest: dict[str, _Stretch] = {}

    def begin(one: _Stretch) -> None:
        latest[one.tenant_id] = one
        stretches.append(one)

    for recorded_at, spans, facts in told:
        for tenant_id, currency, event_type, first, last in spans:
            before, size = latest.get(tenant_id), last - first + 1
            if before is not None and before.takes(currency, event_type, first):
                before.size += size
                before.version, before.occurred_at = last, recorded_at
            else:
                begin(_Stretch(tenant_id, currency, event_type, size, last, recorded_at))
        for fact in facts:
            data = json.dumps(dict(fact.data), separators=(",", ":"))
            begin(_Stretch(fact.tenant_id, "", fact.type, 1, 0, fact.occurred_at, data))
    return stretches


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
        query = query.where(EVENTS.c.seq - EVENTS.c.size < wanted.through)
    if wanted.tenant_id is not None:
        query = query.where(EVENTS.c.tenant_id == wanted.tenant_id)
    if wanted.types:
        query = query.where(EVENTS.c.type.in_(wanted.types))
    stretches = tx.execute(query.order_by(EVENTS.c.seq).limit(limit)).all()
    return list(islice(_apart(stretches, seq, wanted.through), limit))


def _apart(stretches: Iterable[Any], seq: int, through: int | None) -> Iterator[Event]:
    """Return the events of stretches one by one: behind a number, up to a number."""
    for one in stretches:
        end = one.seq if through is None else min(one.seq, through)
        for number in range(max(seq, one.seq - one.size) + 1, end + 1):
            yield _event(one, number)


def _event(stretch: Any, seq: int) -> Event:
    """Return an event of a stretch, whose last one is of the highest version."""
    version = stretch.version and stretch.version - (stretch.seq - seq)
    place = stretch.tenant_id, stretch.currency, version
    happened = *place, stretch.occurred_at, stretch.data
    return Event(seq, stretch.published_at, stretch.type, *happened)


def get(tx: Connection, event_id: EventId) -> Event:
    """Return an event; EventNotFoundError where there is none, e.g. since a backup was restored."""
    event = next(iter(after(tx, event_id.seq - 1, 1)), None)
    if event is None or (event.seq, event.published_at) != event_id:
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
    return [_body(event, entries.get(_place(event))) for event in events]


def _body(event: Event, entry: Entry | None) -> dict[str, Any]:
    return {
        "id": event.id,
        "type": event.type,
        "timestamp": isoformat(entry.recorded_at if entry else event.occurred_at),
        "tenant_id": event.tenant_id or None,
        "data": shown.entry(entry) if entry else _data(event),
    }


def prune(tx: Connection, before: Instant, through: int | None, limit: int) -> int:
    """Forget up to `limit` rows of events published before a time, none above a number `through`.

    Returns how many rows.
    """
    rows = select(EVENTS.c.seq).where(EVENTS.c.seq <= since(tx, before))
    if through is not None:
        rows = rows.where(EVENTS.c.seq <= through)
    oldest = rows.order_by(EVENTS.c.seq).limit(limit).subquery()
    end = select(func.max(oldest.c.seq)).scalar_subquery()
    return tx.execute(delete(EVENTS).where(EVENTS.c.seq <= end)).rowcount


def _oldest(tx: Connection) -> int:
    """Return the number of the first event that is kept, or would be the next."""
    seq: int = tx.execute(_OLDEST).scalar_one()
    return seq


# One statement, since on PostgreSQL the next one may see what was published in between.
_FIRST = select(EVENTS.c.seq - EVENTS.c.size + 1).where(
    EVENTS.c.seq == select(func.min(EVENTS.c.seq)).scalar_subquery()
)
_OLDEST = select(func.coalesce(_FIRST.scalar_subquery(), HEAD.c.seq + 1)).where(
    HEAD.c.name == "events"
)


def _published_at(tx: Connection, seq: int) -> Instant:
    query = select(EVENTS.c.published_at).where(EVENTS.c.seq >= seq).order_by(EVENTS.c.seq)
    moment: Instant = tx.execute(query.limit(1)).scalar_one()
    return moment


def _data(event: Event) -> dict[str, Any]:
    if not event.version:
        data: dict[str, Any] = json.loads(event.data)
        return data
    # An entry that is gone, as only a ledger changed by hand has them, holds up nobody.
    place = _place(event)
    return {"id": ".".join(map(str, place)), **place._asdict()}


def _place(event: Event) -> EntryId:
    return EntryId(event.tenant_id, event.currency, event.version)


def _entries(tx: Connection, places: Iterable[EntryId]) -> dict[EntryId, Entry]:
    entries = map(Entry._make, among(tx, ENTRIES, EntryId._fields, places))
    return {EntryId(entry.tenant_id, entry.currency, entry.version): entry for entry in entries}
