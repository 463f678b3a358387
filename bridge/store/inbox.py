"""Hints: orders somebody should look at. A hundred for one order are one row and one fetch."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, func, select, text

from bridge.domain.clock import SECOND, Instant
from bridge.store import tables

INBOX = tables.table(tables.Hint)

CLAIM_S = 120
"""Seconds after which a claimed hint that nobody finished is due again."""

BACK_OFF_MAX_S = 3600
"""The longest pause before a failed hint is tried again, in seconds."""


class Hint(NamedTuple):
    """An order to look at once `due_at` is past. `way` is how we learnt of it."""

    storefront: str
    order_id: int
    due_at: Instant
    received_at: Instant
    way: str
    attempts: int = 0


def put(tx: Connection, hints: Sequence[Hint]) -> None:
    """Leave hints. One that waits already stays as early as it is."""
    if hints:
        # By order id here and below, so that two writers never wait for each other in a circle.
        tx.execute(_PUT, [hint._asdict() for hint in sorted(hints)])


_PUT = text(
    f"INSERT INTO inbox ({', '.join(Hint._fields)})"
    f" VALUES ({', '.join(f':{name}' for name in Hint._fields)})"
    " ON CONFLICT (storefront, order_id) DO UPDATE SET"
    # Another time of arrival keeps whoever works on the older hint from removing this one.
    " received_at = CASE WHEN excluded.received_at > inbox.received_at"
    " THEN excluded.received_at ELSE inbox.received_at + 1 END,"
    " attempts = 0, way = excluded.way,"
    " due_at = CASE WHEN inbox.due_at < excluded.due_at THEN inbox.due_at ELSE excluded.due_at END"
)


def due(tx: Connection, storefront: str, now: Instant) -> bool:
    """Tell whether a hint is due, without a lock."""
    query = select(INBOX.c.order_id).where(INBOX.c.storefront == storefront, INBOX.c.due_at <= now)
    return tx.execute(query.limit(1)).first() is not None


def claim(tx: Connection, storefront: str, now: Instant, limit: int) -> list[Hint]:
    """Take up to `limit` due hints, so that no other process takes them too."""
    query = (
        select(INBOX)
        .where(INBOX.c.storefront == storefront, INBOX.c.due_at <= now)
        .order_by(INBOX.c.order_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    hints = [Hint(**row) for row in tx.execute(query).mappings()]
    _postpone(tx, [_tried(hint, now, CLAIM_S) for hint in hints])
    return hints


def done(tx: Connection, hints: list[Hint]) -> None:
    """Remove hints that were followed, unless they came again meanwhile."""
    if hints:
        tx.execute(_DONE, [hint._asdict() for hint in sorted(hints)])


def put_back(tx: Connection, hints: list[Hint], now: Instant) -> None:
    """Try these again later: after 2, 4, 8 … seconds, at most an hour."""
    pauses = ((hint, min(2 ** min(hint.attempts + 1, 20), BACK_OFF_MAX_S)) for hint in hints)
    _postpone(tx, [_tried(hint, now, pause_s) for hint, pause_s in pauses])


def waiting(tx: Connection) -> int:
    """Count the hints that wait."""
    return tx.execute(select(func.count()).select_from(INBOX)).scalar_one()


def _tried(hint: Hint, now: Instant, pause_s: int) -> Hint:
    return hint._replace(due_at=now + pause_s * SECOND, attempts=hint.attempts + 1)


def _postpone(tx: Connection, hints: list[Hint]) -> None:
    if hints:
        tx.execute(_POSTPONE, [hint._asdict() for hint in sorted(hints)])


# One that came again meanwhile has another time of arrival.
_SAME = "storefront = :storefront AND order_id = :order_id AND received_at = :received_at"
_DONE = text(f"DELETE FROM inbox WHERE {_SAME}")
_POSTPONE = text(f"UPDATE inbox SET due_at = :due_at, attempts = :attempts WHERE {_SAME}")
