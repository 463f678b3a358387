"""A link opens the tenant's page once; the session that follows ends in time."""

import threading

import pytest

from bridge.domain.clock import HOUR, MINUTE, SECOND
from bridge.store import portal
from bridge.store.database import Database
from bridge.store.portal import Session
from tests.conftest import FakeClock


@pytest.fixture
def session(database: Database, clock: FakeClock) -> Session:
    """A link of acme's for five minutes, to a session of an hour."""
    link_expires_at = clock() + 5 * MINUTE
    session = Session(
        tenant_id="acme",
        session_id=portal.new_id(),
        language="",
        can="deposit",
        return_url="",
        created_at=clock(),
        link_expires_at=link_expires_at,
        expires_at=link_expires_at + HOUR,
    )
    with database.write() as tx:
        portal.add(tx, session)
    return session


def enter(database: Database, session: Session, now: int) -> Session | None:
    with database.write() as tx:
        return portal.enter(tx, session.tenant_id, session.session_id, now)


def find(database: Database, session: Session, now: int) -> Session | None:
    with database.read() as tx:
        return portal.find(tx, session.tenant_id, session.session_id, now)


def test_a_link_is_good_once_and_leads_to_a_session_of_its_length(
    database: Database, session: Session, clock: FakeClock
) -> None:
    assert find(database, session, clock()) is None
    clock.advance(60)
    entered = enter(database, session, clock())
    assert entered == session._replace(entered_at=clock(), expires_at=clock() + HOUR)
    assert enter(database, session, clock()) is None
    assert find(database, session, clock() + HOUR - SECOND) == entered
    assert find(database, session, clock() + HOUR) is None


def test_an_expired_link_leads_nowhere(
    database: Database, session: Session, clock: FakeClock
) -> None:
    assert enter(database, session, session.link_expires_at) is None
    assert find(database, session, clock()) is None


def test_of_two_who_open_a_link_at_once_one_is_let_in(
    database: Database, session: Session, clock: FakeClock
) -> None:
    entered = []
    both = [
        threading.Thread(target=lambda: entered.append(enter(database, session, clock())))
        for _ in range(2)
    ]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert sorted(one is None for one in entered) == [False, True]


def test_a_session_belongs_to_its_tenant(
    database: Database, session: Session, clock: FakeClock
) -> None:
    assert enter(database, session._replace(tenant_id="globex"), clock()) is None
    assert enter(database, session, clock()) is not None
    assert find(database, session._replace(tenant_id="globex"), clock()) is None


def test_who_leaves_is_out(database: Database, session: Session, clock: FakeClock) -> None:
    enter(database, session, clock())
    with database.write() as tx:
        portal.leave(tx, "acme", session.session_id, clock())
    assert find(database, session, clock()) is None


def test_what_has_expired_is_forgotten(
    database: Database, session: Session, clock: FakeClock
) -> None:
    with database.write() as tx:
        assert portal.prune(tx, session.expires_at) == 0
        assert portal.prune(tx, session.expires_at + 1) == 1
