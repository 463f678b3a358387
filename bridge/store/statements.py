"""Statements: a wallet's entries over a time, and how its balance went.

Entries are numbered as they were recorded, so a time is found by halving the numbers: the table
that every debit is written to needs no index for it.
"""

from bisect import bisect_right

from sqlalchemy import Connection, select

from bridge.domain.clock import Instant
from bridge.domain.entry import Entry, EntryId
from bridge.domain.wallet import Wallet
from bridge.store import tables
from bridge.store.among import among

ENTRIES = tables.table(tables.Entry)


def version_before(tx: Connection, wallet: Wallet, instant: Instant) -> int:
    """Return the number of the last entry recorded before the instant; 0 where there is none."""
    recorded_at = select(ENTRIES.c.recorded_at).where(
        ENTRIES.c.tenant_id == wallet.tenant_id, ENTRIES.c.currency == wallet.currency
    )

    def when(version: int) -> Instant:
        found: Instant = tx.execute(recorded_at.where(ENTRIES.c.version == version)).scalar_one()
        return found

    return bisect_right(range(1, wallet.version + 1), instant - 1, key=when)


def between(tx: Connection, wallet: Wallet, after: int, last: int, *, limit: int) -> list[Entry]:
    """Return up to `limit` entries numbered above `after` and up to `last`, newest first."""
    query = select(ENTRIES).where(
        ENTRIES.c.tenant_id == wallet.tenant_id,
        ENTRIES.c.currency == wallet.currency,
        ENTRIES.c.version > after,
        ENTRIES.c.version <= last,
    )
    rows = tx.execute(query.order_by(ENTRIES.c.version.desc()).limit(limit))
    return [Entry._make(row) for row in rows]


def balance_at(tx: Connection, wallet: Wallet, version: int) -> int:
    """Return the balance after the entry with this number, 0 before the first; minor units."""
    if not version:
        return 0
    [entry] = between(tx, wallet, version - 1, version, limit=1)
    return entry.balance_after


def balance_line(
    tx: Connection, wallet: Wallet, since: Instant, until: Instant, points_max: int
) -> list[tuple[Instant, int]]:
    """Return the balance from `since` to `until` (now), in steps: each value lasts to the next.

    Of more entries than `points_max` it takes some, evenly spread. A wallet that is younger than
    `since` begins with its first entry; one without entries has no line.
    """
    first = max(1, version_before(tx, wallet, since))
    if first > wallet.version:
        return []
    count = min(points_max, wallet.version - first + 1)
    versions = {first + (wallet.version - first) * n // max(1, count - 1) for n in range(count)}
    places = [EntryId(*wallet.id, version) for version in versions]
    entries = map(Entry._make, among(tx, ENTRIES, EntryId._fields, places))
    line = [(max(since, entry.recorded_at), entry.balance_after) for entry in entries]
    return [*line, (max(until, line[-1][0]), wallet.balance)]
