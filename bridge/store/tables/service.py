"""What bridge keeps about itself."""

from sqlalchemy import Index, LargeBinary, String, Text
from sqlmodel import Field, SQLModel

from bridge.store.tables.columns import integer, key


class Run(SQLModel, table=True):
    """One execution of a poll, a sweep or a reconciliation."""

    __tablename__ = "runs"
    __table_args__ = (Index("runs_started", "started_at"),)

    run_id: str = key()
    storefront: str = key(primary_key=False)
    kind: str = Field(sa_type=String)
    status: str = Field(sa_type=String)
    request_json: str = Field(sa_type=Text)
    counts_json: str = Field(sa_type=Text)
    failure: str = Field(sa_type=Text)
    started_at: int = integer()
    finished_at: int | None = integer(default=None)


class Finding(SQLModel, table=True):
    """What a run found; `number` counts from 1 within the run."""

    __tablename__ = "findings"

    run_id: str = key()
    number: int = integer(primary_key=True)
    kind: str = Field(sa_type=String)
    storefront: str = Field(sa_type=String)
    order_id: int = integer()
    tenant_id: str = key(primary_key=False)
    currency: str = Field(sa_type=String)
    target: int = integer()
    posted: int = integer()
    detail: str = Field(sa_type=Text)


class Lease(SQLModel, table=True):
    """The right to do something alone, until a time."""

    __tablename__ = "leases"

    name: str = key()
    holder: str = Field(sa_type=String)
    expires_at: int = integer()


class ApiKey(SQLModel, table=True):
    """An API key, of which only the digest is kept. Its name is the caller of idempotency keys."""

    __tablename__ = "api_keys"
    __table_args__ = (Index("api_keys_digest", "digest", unique=True),)

    key_id: str = key()
    name: str = Field(sa_type=String)
    digest: bytes = Field(sa_type=LargeBinary)
    scopes: str = Field(sa_type=String)
    created_at: int = integer()
    revoked_at: int | None = integer(default=None)
