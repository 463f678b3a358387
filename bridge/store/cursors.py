"""Where each storefront stands: how far it was read, when it last answered, if it is stopped."""

from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, case, func, text, update

from bridge.domain.clock import Instant
from bridge.store import tables
from bridge.store.among import among

STOREFRONTS = tables.table(tables.Storefront)


class State(NamedTuple):
    """A storefront's state; `cursor` is by its clock or ours, whichever is behind."""

    name: str
    cursor: Instant | None = None
    swept_at: Instant | None = None
    succeeded_at: Instant | None = None
    failing_since: Instant | None = None
    failure: str = ""
    stopped_at: Instant | None = None
    stopped_because: str = ""
    stale_since: Instant | None = None


def state(tx: Connection, name: str) -> State:
    """Return a storefront's state, a blank one where it was never reached."""
    found = map(State._make, among(tx, STOREFRONTS, ("name",), [(name,)]))
    return next(found, State(name))


def succeeded(
    tx: Connection,
    name: str,
    now: Instant,
    *,
    cursor: Instant | None = None,
    swept_at: Instant | None = None,
) -> None:
    """Record that the storefront was read, and how far; the cursor never moves back."""
    changes: dict[str, Any] = {"succeeded_at": now, "failing_since": None, "failure": ""}
    if cursor is not None:
        further = STOREFRONTS.c.cursor > cursor
        changes["cursor"] = case((further, STOREFRONTS.c.cursor), else_=cursor)
    if swept_at is not None:
        changes["swept_at"] = swept_at
    _update(tx, name, changes)


def failed(tx: Connection, name: str, failure: str, now: Instant) -> None:
    """Record that the storefront could not be read, and since when."""
    since = func.coalesce(STOREFRONTS.c.failing_since, now)
    _update(tx, name, {"failing_since": since, "failure": failure})


def stop(tx: Connection, name: str, because: str, now: Instant) -> None:
    """Stop crediting for the storefront until `resume`."""
    _update(tx, name, {"stopped_at": now, "stopped_because": because})


def resume(tx: Connection, name: str) -> None:
    """Credit again."""
    _update(tx, name, {"stopped_at": None, "stopped_because": ""})


def mark_stale(tx: Connection, name: str, now: Instant) -> bool:
    """Note that a storefront, which has a state, is not read; False where that was noted before."""
    return _marked(tx, name, STOREFRONTS.c.stale_since.is_(None), now)


def mark_fresh(tx: Connection, name: str) -> bool:
    """Note that a storefront is read again; False where nothing else was noted."""
    return _marked(tx, name, STOREFRONTS.c.stale_since.is_not(None), None)


def _marked(
    tx: Connection, name: str, other: ColumnElement[bool], stale_since: Instant | None
) -> bool:
    one = update(STOREFRONTS).where(STOREFRONTS.c.name == name, other)
    return bool(tx.execute(one.values(stale_since=stale_since)).rowcount)


def _update(tx: Connection, name: str, changes: dict[str, Any]) -> None:
    tx.execute(_NEW, {"name": name})
    tx.execute(update(STOREFRONTS).where(STOREFRONTS.c.name == name).values(**changes))


_NEW = text(
    "INSERT INTO storefronts (name, failure, stopped_because) VALUES (:name, '', '')"
    " ON CONFLICT DO NOTHING"
)
