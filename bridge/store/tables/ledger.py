"""What balances are made of."""

from typing import Any

from sqlalchemy import CheckConstraint, Index, LargeBinary, String, Text
from sqlmodel import Field, SQLModel

from bridge.store.tables.columns import integer, key


class Tenant(SQLModel, table=True):
    """A SaaS customer."""

    __tablename__ = "tenants"

    tenant_id: str = key()
    name: str = Field(sa_type=Text)
    metadata_json: str = Field(sa_type=Text, sa_column_kwargs={"name": "metadata"})
    created_at: int = integer()


class Wallet(SQLModel, table=True):
    """A tenant in one currency, as of its last entry."""

    __tablename__ = "wallets"
    __table_args__ = (
        CheckConstraint("version >= 0 AND held >= 0", name="wallets_held"),
        # Wallets are rewritten at every entry: room on the page keeps the rewrite off the indexes.
        {"postgresql_with": {"fillfactor": 50}},
    )

    tenant_id: str = key()
    currency: str = key()
    balance: int = integer()
    held: int = integer()
    version: int = integer()
    hash: bytes = Field(sa_type=LargeBinary)


class Entry(SQLModel, table=True):
    """An immutable row of the ledger, the columns in the order of `domain.entry.Entry`."""

    __tablename__ = "entries"
    __table_args__ = (
        CheckConstraint("amount <> 0 OR held <> 0", name="entries_moves"),
        CheckConstraint("version > 0", name="entries_version"),
        # The ledger row is the idempotency record. On SQLite the key comes first, because
        # time-ordered keys then append to the index instead of scattering (docs/decisions/0004).
        Index("entries_key", "tenant_id", "caller", "idempotency_key", unique=True).ddl_if(
            dialect="postgresql"
        ),
        Index("entries_key_sqlite", "idempotency_key", "tenant_id", "caller", unique=True).ddl_if(
            dialect="sqlite"
        ),
    )

    tenant_id: str = key()
    currency: str = key()
    version: int = integer(primary_key=True)
    kind: str = Field(sa_type=String)
    amount: int = integer()
    held: int = integer()
    balance_after: int = integer()
    held_after: int = integer()
    contra: str = Field(sa_type=String)
    caller: str = key(primary_key=False)
    idempotency_key: str = key(primary_key=False)
    request_digest: bytes = Field(sa_type=LargeBinary)
    reference: str = Field(sa_type=Text)
    description: str = Field(sa_type=Text)
    source: str = Field(sa_type=Text)
    metadata_json: str = Field(sa_type=Text, sa_column_kwargs={"name": "metadata"})
    related_version: int | None = integer(default=None)
    expires_at: int | None = integer(default=None)
    occurred_at: int = integer()
    recorded_at: int = integer()
    hash: bytes = Field(sa_type=LargeBinary)


_ENTRIES: Any = Entry.__table__  # type: ignore[attr-defined] # SQLModel adds it to tables
Index(
    "entries_related",
    _ENTRIES.c.tenant_id,
    _ENTRIES.c.currency,
    _ENTRIES.c.related_version,
    postgresql_where=_ENTRIES.c.related_version.is_not(None),
    sqlite_where=_ENTRIES.c.related_version.is_not(None),
)


class OpenHold(SQLModel, table=True):
    """A hold that is still open: what to expire, and when. The ledger says the rest."""

    __tablename__ = "open_holds"
    __table_args__ = (Index("open_holds_expiry", "expires_at"),)

    tenant_id: str = key()
    currency: str = key()
    version: int = integer(primary_key=True)
    expires_at: int = integer()


class Effect(SQLModel, table=True):
    """What was posted for one effect of an order on one wallet."""

    __tablename__ = "effects"
    __table_args__ = (Index("effects_order", "storefront", "order_id"),)

    tenant_id: str = key()
    currency: str = key()
    storefront: str = key()
    order_id: int = integer(primary_key=True)
    effect: str = key()
    amount: int = integer()
    posts: int = integer()
