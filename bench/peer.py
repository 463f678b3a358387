"""The naive peer: debits as a good developer writes them from the tutorials, in one module.

FastAPI with a SQLModel session per request: look the key up, lock the wallet, check, write, commit.
It is correct, it is durable, and it has no idea of batching. Served by uvicorn in one process; the
database's URL is in PEER_DATABASE_URL, the bearer token in PEER_TOKEN.
"""

import os
import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import uuid4

from fastapi import Depends, FastAPI, Header, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field
from sqlalchemy import (
    BigInteger,
    Engine,
    MetaData,
    UniqueConstraint,
    create_engine,
    event,
    make_url,
)
from sqlmodel import Field as Column
from sqlmodel import Session, SQLModel, select

POOL_SIZE = 20


class Table(SQLModel):
    """The peer's own tables, apart from bridge's."""

    metadata = MetaData()


class Wallet(Table, table=True):
    """A tenant's balance in one currency, in minor units."""

    __tablename__ = "wallets"

    tenant_id: str = Column(primary_key=True)
    currency: str = Column(primary_key=True)
    balance: int = Column(sa_type=BigInteger)


class Entry(Table, table=True):
    """What changed a balance. The idempotency key is unique for each tenant."""

    __tablename__ = "entries"
    __table_args__ = (UniqueConstraint("tenant_id", "idempotency_key"),)

    id: str = Column(default_factory=lambda: str(uuid4()), primary_key=True)
    tenant_id: str
    currency: str
    amount: int = Column(sa_type=BigInteger)
    balance_after: int = Column(sa_type=BigInteger)
    purpose: str
    reference: str
    idempotency_key: str
    created_at: datetime = Column(default_factory=lambda: datetime.now(UTC))


class Debit(BaseModel):
    """Money to take from a wallet, in minor units."""

    tenant_id: str
    amount: int = Field(gt=0)
    currency: str
    purpose: str
    reference: str = ""


def engine_for(url: str) -> Engine:
    """Return an engine, set up for SQLite as its documentation advises."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        return create_engine(parsed.set(drivername="postgresql+psycopg"), pool_size=POOL_SIZE)
    engine = create_engine(
        parsed,
        connect_args={"check_same_thread": False, "timeout": 30, "isolation_level": None},
    )

    def prepare(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # a writer that reads first must not race

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", begin)
    return engine


def create(url: str, tenants: Sequence[str], funds: int) -> None:
    """Make the tables in an empty database, and a wallet with funds for each tenant."""
    engine = engine_for(url)
    Table.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all(Wallet(tenant_id=one, currency="EUR", balance=funds) for one in tenants)
        session.add_all(
            Entry(
                tenant_id=one,
                currency="EUR",
                amount=funds,
                balance_after=funds,
                purpose="funds",
                reference="",
                idempotency_key="funds",
            )
            for one in tenants
        )
        session.commit()
    engine.dispose()


def app() -> FastAPI:
    """Return the application; a factory, so that importing this module opens nothing."""
    engine = engine_for(os.environ["PEER_DATABASE_URL"])
    token = os.environ["PEER_TOKEN"]
    bearer = HTTPBearer()
    service = FastAPI()

    def get_session() -> Iterator[Session]:
        with Session(engine) as session:
            yield session

    def authenticate(
        credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)],
    ) -> None:
        if not secrets.compare_digest(credentials.credentials, token):
            raise HTTPException(401)

    @service.post("/v1/debits", status_code=201, dependencies=[Depends(authenticate)])
    def create_debit(
        debit: Debit,
        idempotency_key: Annotated[str, Header()],
        session: Annotated[Session, Depends(get_session)],
    ) -> Entry:
        return post(session, debit, idempotency_key)

    @service.get(
        "/v1/tenants/{tenant_id}/balances/{currency}", dependencies=[Depends(authenticate)]
    )
    def get_balance(
        tenant_id: str, currency: str, session: Annotated[Session, Depends(get_session)]
    ) -> Wallet:
        return look(session, tenant_id, currency)

    return service


def look(session: Session, tenant_id: str, currency: str) -> Wallet:
    """Return a wallet."""
    wallet = session.exec(
        select(Wallet).where(Wallet.tenant_id == tenant_id, Wallet.currency == currency)
    ).one_or_none()
    if wallet is None:
        raise HTTPException(404, "no such wallet")
    return wallet


def post(session: Session, debit: Debit, key: str) -> Entry:
    """Make one debit in one transaction, or return what it made before."""
    wallet = session.exec(
        select(Wallet)
        .where(Wallet.tenant_id == debit.tenant_id, Wallet.currency == debit.currency)
        .with_for_update()
    ).one_or_none()
    known = session.exec(
        select(Entry).where(Entry.tenant_id == debit.tenant_id, Entry.idempotency_key == key)
    ).one_or_none()
    if known is not None:
        return known
    if wallet is None or wallet.balance < debit.amount:
        raise HTTPException(402, "insufficient balance")
    wallet.balance -= debit.amount
    entry = Entry(
        tenant_id=debit.tenant_id,
        currency=debit.currency,
        amount=-debit.amount,
        balance_after=wallet.balance,
        purpose=debit.purpose,
        reference=debit.reference,
        idempotency_key=key,
    )
    session.add(entry)
    session.commit()
    session.refresh(entry)
    return entry
