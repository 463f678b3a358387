"""The naive peer is slow, not wrong."""

from collections.abc import Iterator

import pytest
from fastapi import HTTPException
from sqlmodel import Session

from bench import peer
from bench.peer import Debit, Wallet


@pytest.fixture
def session(empty_database_url: str) -> Iterator[Session]:
    peer.create(empty_database_url, ["acme"], 100)
    engine = peer.engine_for(empty_database_url)
    with Session(engine) as session:
        yield session
    engine.dispose()


def debit(amount: int, tenant_id: str = "acme") -> Debit:
    return Debit(tenant_id=tenant_id, amount=amount, currency="EUR", purpose="plan_renewal")


def balance(session: Session) -> int:
    wallet = session.get(Wallet, ("acme", "EUR"))
    assert wallet
    return wallet.balance


def test_it_debits(session: Session) -> None:
    entry = peer.post(session, debit(70), "one")
    assert (entry.amount, entry.balance_after, balance(session)) == (-70, 30, 30)


def test_it_tells_what_is_left(session: Session) -> None:
    peer.post(session, debit(70), "one")
    assert peer.look(session, "acme", "EUR").balance == 30
    with pytest.raises(HTTPException, match="no such wallet"):
        peer.look(session, "stranger", "EUR")


def test_a_repeated_key_debits_once(session: Session) -> None:
    first = peer.post(session, debit(70), "one").id
    assert peer.post(session, debit(70), "one").id == first
    assert balance(session) == 30


@pytest.mark.parametrize("asked", [debit(101), debit(1, "stranger")])
def test_it_declines_what_is_not_there(session: Session, asked: Debit) -> None:
    with pytest.raises(HTTPException, match="insufficient"):
        peer.post(session, asked, "one")
