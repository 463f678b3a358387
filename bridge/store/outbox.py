"""The outbox: what happened and was not published yet, in the order of the rows' ids.

Each commit that writes entries leaves one row with the versions of each wallet that it wrote, so
that the hot path pays one row and not one per entry. What else happened stands in rows of its own.
A row's id is taken while the wallets are locked: of two rows about a wallet the earlier one has the
smaller id and commits first (docs/decisions/0024).
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, func, select

from bridge.domain.clock import Instant
from bridge.domain.entry import Entry
from bridge.domain.event import EventType, Happened
from bridge.store import tables

OUTBOX = tables.table(tables.Waiting)

ROWS_MAX = 500
"""Rows that are taken at once."""

_INSERT = {
    "sqlite": "INSERT INTO outbox (recorded_at, content) VALUES (?, ?)",
    "postgresql": "INSERT INTO outbox (recorded_at, content) VALUES (%s, %s)",
}


class Span(NamedTuple):
    """Entries of a wallet, from the first version to the last."""

    tenant_id: str
    currency: str
    first: int
    last: int


class Waiting(NamedTuple):
    """A row of the outbox."""

    id: int
    recorded_at: Instant
    content: Sequence[Span | Happened]


def add(tx: Connection, happened: Sequence[Happened]) -> None:
    """Leave facts to be told, in the database transaction that made them true."""
    if happened:
        _put(tx, happened[0].occurred_at, [fact._asdict() for fact in happened])


def wrote(tx: Connection, entries: Sequence[Entry]) -> None:
    """Leave word of new entries, each wallet's in version order."""
    spans: dict[tuple[str, str], Span] = {}
    for entry in entries:
        wallet = entry.tenant_id, entry.currency
        span = spans.get(wallet) or Span(*wallet, entry.version, entry.version)
        spans[wallet] = span._replace(last=entry.version)
    _put(tx, entries[0].recorded_at, list(spans.values()))


def take(tx: Connection, entries_max: int) -> list[Waiting]:
    """Return the rows that wait longest, up to ROWS_MAX, until they tell so many entries."""
    rows: list[Waiting] = []
    size = 0
    for row in tx.execute(select(OUTBOX).order_by(OUTBOX.c.id).limit(ROWS_MAX)):
        rows.append(Waiting(row.id, row.recorded_at, _read(row.content)))
        size += sum(map(_size, rows[-1].content))
        if size >= entries_max:
            break
    return rows


def drop(tx: Connection, rows: Iterable[Waiting]) -> None:
    """Forget rows that were published: these only, for smaller ids may yet be committed."""
    tx.execute(delete(OUTBOX).where(OUTBOX.c.id.in_([row.id for row in rows])))


def waiting(tx: Connection) -> tuple[int, Instant | None]:
    """Count the rows, and tell since when the oldest waits."""
    number, oldest = tx.execute(select(func.count(), func.min(OUTBOX.c.recorded_at))).one()
    return number, oldest


def is_empty(tx: Connection) -> bool:
    """Tell whether nothing waits."""
    return tx.execute(select(OUTBOX.c.id).limit(1)).first() is None


def _put(tx: Connection, recorded_at: Instant, content: Sequence[Any]) -> None:
    text = json.dumps(content, separators=(",", ":"))
    tx.exec_driver_sql(_INSERT[tx.dialect.name], (recorded_at, text))


def _read(content: str) -> list[Span | Happened]:
    return [
        Span._make(item) if isinstance(item, list) else _fact(item) for item in json.loads(content)
    ]


def _fact(item: dict[str, Any]) -> Happened:
    return Happened(**item | {"type": EventType(item["type"])})


def _size(item: Span | Happened) -> int:
    return item.last - item.first + 1 if isinstance(item, Span) else 1
