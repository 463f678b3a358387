"""The outbox: what happened and was not published yet, in the order of the rows' ids.

Each commit that writes entries leaves one row with the versions of each wallet that it wrote, and
what they are told as, so that the hot path pays one row and not one per entry, and the publisher
reads no entry. What else happened stands in rows of its own. A row's id is taken while the wallets
are locked: of two rows about a wallet the earlier one has the smaller id and commits first
(docs/decisions/0024).
"""

import json
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import accumulate, groupby
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, func, select, text

from bridge.domain.clock import Instant
from bridge.domain.entry import Entry
from bridge.domain.event import EventType, Happened, told_as
from bridge.store import tables
from bridge.store.listing import Listing

OUTBOX = tables.table(tables.Waiting)

SPAN_SIZE = 60
"""Characters of a span, about."""

INSERT = {
    "sqlite": "INSERT INTO outbox (recorded_at, content) VALUES (?, ?)",
    "postgresql": "INSERT INTO outbox (recorded_at, content) VALUES (%s, %s)",
}
"""The statement that leaves a row, by dialect: its time, and spans or facts as JSON."""


class Span(NamedTuple):
    """Entries of a wallet, from the first version to the last, that are events of one type."""

    tenant_id: str
    currency: str
    type: str
    first: int
    last: int


class Told(NamedTuple):
    """What a row tells: of entries, by spans, that were recorded at a time, or of facts."""

    recorded_at: Instant
    spans: Sequence[Span] = ()
    facts: Sequence[Happened] = ()

    @property
    def size(self) -> int:
        """How many spans and facts there are."""
        return len(self.spans) + len(self.facts)

    @property
    def wallets(self) -> set[tuple[str, str]]:
        """The wallets it is about, by tenant and currency."""
        facts = {fact.wallet_id for fact in self.facts if fact.wallet_id}
        return {span[:2] for span in self.spans} | facts


class Taken(NamedTuple):
    """Some rows by their ids, and what each tells, in order; `full` where more may wait."""

    ids: Sequence[int]
    told: Sequence[Told]
    full: bool

    @property
    def size(self) -> int:
        """How many spans and facts they have."""
        return sum([one.size for one in self.told])

    def first(self, spans_max: int) -> "Taken":
        """Return those that wait longest, until they have so many spans."""
        sizes = accumulate(one.size for one in self.told)
        rows = next(
            (n for n, size in enumerate(sizes, start=1) if size >= spans_max), len(self.ids)
        )
        return Taken(self.ids[:rows], self.told[:rows], self.full or rows < len(self.ids))


def add(tx: Connection, happened: Sequence[Happened]) -> None:
    """Leave facts to be told, in the database transaction that made them true."""
    if happened:
        _put(tx, happened[0].occurred_at, [fact._asdict() for fact in happened])


def wrote(tx: Connection, entries: Sequence[Entry]) -> None:
    """Leave word of new entries, each wallet's in version order, all recorded at one time."""
    together = ((run, list(of_run)) for run, of_run in groupby(entries, _run))
    spans = [Span(*run, of_run[0].version, of_run[-1].version) for run, of_run in together]
    _put(tx, entries[0].recorded_at, spans)


def take(tx: Connection, spans_max: int) -> Taken:
    """Return the rows that wait longest, until they have, or are as long as, so many spans."""
    limits = {"rows_max": spans_max, "characters_max": spans_max * SPAN_SIZE}
    rows = tx.execute(_OLDEST, limits).all()
    characters = sum([len(row.content) for row in rows])
    told = [_read(row.recorded_at, row.content) for row in rows]
    oldest = Taken([row.id for row in rows], told, characters >= limits["characters_max"])
    taken = oldest.first(spans_max)
    return taken._replace(full=taken.full or taken.size >= spans_max)


# By their length, since a row may be one debit or a thousand, and all that is selected is read.
_OLDEST = text(
    "SELECT id, recorded_at, content FROM (SELECT id, recorded_at, content,"
    " sum(length(content)) OVER (ORDER BY id) - length(content) AS before"
    " FROM outbox ORDER BY id LIMIT :rows_max) AS oldest"
    " WHERE before < :characters_max ORDER BY id"
)


def drop(tx: Connection, ids: Iterable[int]) -> None:
    """Forget rows that were published: these only, for smaller ids may yet be committed."""
    gone = _GONE.said(tx.dialect.name, ((row_id,) for row_id in ids))
    tx.exec_driver_sql(_drop(tx.dialect.name), gone)


_GONE = Listing("gone", id="BIGINT")


@cache
def _drop(dialect: str) -> str:
    return f"WITH {_GONE.read(dialect)} DELETE FROM outbox WHERE id IN (SELECT id FROM gone)"


def waiting(tx: Connection) -> tuple[int, Instant | None]:
    """Count the rows, and tell since when the oldest waits."""
    number, oldest = tx.execute(select(func.count(), func.min(OUTBOX.c.recorded_at))).one()
    return number, oldest


def _put(tx: Connection, recorded_at: Instant, content: Sequence[Any]) -> None:
    told = json.dumps(content, separators=(",", ":"))
    tx.exec_driver_sql(INSERT[tx.dialect.name], (recorded_at, told))


def _run(entry: Entry) -> tuple[str, str, str]:
    return entry.tenant_id, entry.currency, told_as(entry.kind, entry.amount)


def _read(recorded_at: Instant, content: str) -> Told:
    if content.startswith("[{"):
        return Told(recorded_at, facts=[_fact(item) for item in json.loads(content)])
    return Told(recorded_at, _SPANS.decode(content))


_SPANS = msgspec.json.Decoder(list[Span])


def _fact(item: dict[str, Any]) -> Happened:
    return Happened(**item | {"type": EventType(item["type"])})
