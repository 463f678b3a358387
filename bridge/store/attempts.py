"""Attempts to deliver events, and the dead letters that were given up."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, func, select, update

from bridge.domain.clock import Instant
from bridge.store import bulk, tables

ATTEMPTS = tables.table(tables.Attempt)
DEAD = tables.table(tables.DeadLetter)

BECAUSE_MAX = 500
"""Characters of an answer that are kept."""


class Attempt(NamedTuple):
    """A try; `outcome` is delivered, or what kind of failure `because` tells of."""

    tenant_id: str
    seq: int
    endpoint: str
    attempted_at: Instant
    outcome: str
    duration_ms: int
    because: str


class DeadLetter(NamedTuple):
    """An event that an endpoint was not told of; with `retry_at` it is tried once more then."""

    tenant_id: str
    endpoint: str
    seq: int
    died_at: Instant
    because: str
    retry_at: Instant | None = None


def add(tx: Connection, attempts: Sequence[Attempt]) -> None:
    """Keep attempts; one of the same moment as another is the same."""
    bulk.insert(tx, ATTEMPTS, attempts, "ON CONFLICT DO NOTHING")


def of_event(tx: Connection, tenant_id: str, seq: int, limit: int) -> list[Attempt]:
    """Return the attempts to deliver an event, the latest first."""
    query = select(ATTEMPTS).where(ATTEMPTS.c.tenant_id == tenant_id, ATTEMPTS.c.seq == seq)
    rows = tx.execute(query.order_by(ATTEMPTS.c.attempted_at.desc()).limit(limit))
    return [Attempt._make(row) for row in rows]


def bury(tx: Connection, letter: DeadLetter) -> None:
    """Give up on an event for an endpoint."""
    bulk.insert(
        tx,
        DEAD,
        [letter],
        "ON CONFLICT (tenant_id, endpoint, seq) DO UPDATE SET"
        " died_at = excluded.died_at, because = excluded.because, retry_at = NULL",
    )


def dead(tx: Connection, limit: int) -> list[DeadLetter]:
    """Return dead letters, the latest event first."""
    query = select(DEAD).order_by(DEAD.c.seq.desc(), DEAD.c.endpoint).limit(limit)
    return [DeadLetter._make(row) for row in tx.execute(query)]


def dead_by_endpoint(tx: Connection) -> dict[str, int]:
    """Count the dead letters of each endpoint that has any."""
    query = select(DEAD.c.endpoint, func.count()).group_by(DEAD.c.endpoint)
    return {endpoint: number for endpoint, number in tx.execute(query)}  # noqa: C416 # rows are no pairs to mypy


def retry(
    tx: Connection, now: Instant, *, endpoint: str | None = None, seqs: Iterable[int] = ()
) -> int:
    """Ask for dead letters to be tried once more: those of an endpoint, or some, or all."""
    change = update(DEAD).values(retry_at=now)
    if endpoint is not None:
        change = change.where(DEAD.c.endpoint == endpoint)
    if wanted := list(seqs):
        change = change.where(DEAD.c.seq.in_(wanted))
    return tx.execute(change).rowcount


def due(tx: Connection, endpoint: str, now: Instant) -> bool:
    """Tell whether a dead letter is to be tried once more, without a lock."""
    query = select(DEAD.c.seq).where(DEAD.c.endpoint == endpoint, DEAD.c.retry_at <= now)
    return tx.execute(query.limit(1)).first() is not None


def claim_dead(
    tx: Connection, endpoint: str, now: Instant, until: Instant, limit: int
) -> list[DeadLetter]:
    """Take dead letters that are to be tried once more; they are due again at `until`."""
    query = select(DEAD).where(DEAD.c.endpoint == endpoint, DEAD.c.retry_at <= now)
    rows = tx.execute(query.order_by(DEAD.c.seq).limit(limit).with_for_update(skip_locked=True))
    letters = [DeadLetter._make(row) for row in rows]
    for letter in letters:
        tx.execute(update(DEAD).where(*_is(letter)).values(retry_at=until))
    return letters


def risen(tx: Connection, letter: DeadLetter) -> None:
    """Forget a dead letter that was delivered after all."""
    tx.execute(delete(DEAD).where(*_is(letter)))


def prune(tx: Connection, before: Instant, limit: int) -> int:
    """Forget up to about `limit` attempts, and all dead letters, from before a time.

    Returns how many attempts.
    """
    old = select(ATTEMPTS.c.attempted_at).where(ATTEMPTS.c.attempted_at < before)
    some = old.order_by(ATTEMPTS.c.attempted_at).limit(limit).subquery()
    through = select(func.max(some.c.attempted_at)).scalar_subquery()
    tx.execute(delete(DEAD).where(DEAD.c.died_at < before))
    return tx.execute(delete(ATTEMPTS).where(ATTEMPTS.c.attempted_at <= through)).rowcount


def _is(letter: DeadLetter) -> tuple[Any, ...]:
    return (
        DEAD.c.tenant_id == letter.tenant_id,
        DEAD.c.endpoint == letter.endpoint,
        DEAD.c.seq == letter.seq,
    )
