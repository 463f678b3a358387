"""Visits to the tenant's page: a link that opens it once, and the session that follows."""

from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, insert, select, update

from bridge.domain.clock import Instant
from bridge.store import tables
from bridge.store.deposits import random_id

SESSIONS = tables.table(tables.PortalSession)


class Session(NamedTuple):
    """A tenant's way into its page; the fields stand in the order of the table's columns.

    `language` is "" where the browser chooses; `can` has the words "deposit" and "pay" in it, or
    none. Until it is entered, `expires_at` is the latest that it can come to be.
    """

    tenant_id: str
    session_id: str
    language: str
    can: str
    return_url: str
    created_at: Instant
    link_expires_at: Instant
    expires_at: Instant
    entered_at: Instant | None = None
    left_at: Instant | None = None

    @property
    def can_deposit(self) -> bool:
        """Whether the visitor may open and call off deposits."""
        return "deposit" in self.can.split()

    @property
    def can_pay(self) -> bool:
        """Whether the visitor may pay from the balance."""
        return "pay" in self.can.split()


def new_id() -> str:
    """Return an id that no session has."""
    return random_id("ses")


def add(tx: Connection, session: Session) -> None:
    """Keep a new session, which nobody has entered yet."""
    tx.execute(insert(SESSIONS).values(**session._asdict()))


def enter(tx: Connection, tenant_id: str, session_id: str, now: Instant) -> Session | None:
    """Use a link up; None where it was used, has expired, or is not known.

    The session lasts from now on as long as it was made to last from the end of its link.
    """
    usable = (SESSIONS.c.entered_at.is_(None), SESSIONS.c.link_expires_at > now)
    lasts = SESSIONS.c.expires_at - SESSIONS.c.link_expires_at
    values = {"entered_at": now, "expires_at": now + lasts}
    change = update(SESSIONS).where(*_is(tenant_id, session_id), *usable).values(values)
    return find(tx, tenant_id, session_id, now) if tx.execute(change).rowcount else None


def find(tx: Connection, tenant_id: str, session_id: str, now: Instant) -> Session | None:
    """Return a session that was entered, and neither left nor expired; None for any other."""
    query = select(SESSIONS).where(
        *_is(tenant_id, session_id),
        SESSIONS.c.entered_at.is_not(None),
        SESSIONS.c.left_at.is_(None),
        SESSIONS.c.expires_at > now,
    )
    row = tx.execute(query).first()
    return None if row is None else Session._make(row)


def leave(tx: Connection, tenant_id: str, session_id: str, now: Instant) -> None:
    """End a session."""
    change = update(SESSIONS).where(*_is(tenant_id, session_id), SESSIONS.c.left_at.is_(None))
    tx.execute(change.values(left_at=now))


def prune(tx: Connection, before: Instant) -> int:
    """Forget the sessions that expired before an instant; return how many."""
    return tx.execute(delete(SESSIONS).where(SESSIONS.c.expires_at < before)).rowcount


def _is(tenant_id: str, session_id: str) -> tuple[Any, Any]:
    return SESSIONS.c.tenant_id == tenant_id, SESSIONS.c.session_id == session_id
