"""The tables, declared. The hot path moves rows with SQLAlchemy Core on `Entry.__table__`.

Money and ids are BIGINT, instants are BIGINT microseconds UTC. Every key of a tenant's table begins
with the tenant, so that PostgreSQL can partition or distribute by it.
"""

from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Index, LargeBinary, String, Table, Text
from sqlmodel import Field, SQLModel

# Byte order on both databases: SQLite's own default, and what "C" means to PostgreSQL.
KEY = String().with_variant(String(collation="C"), "postgresql")


def _key(*, primary_key: bool = True, default: Any = ...) -> Any:
    return Field(default, sa_type=KEY, primary_key=primary_key)


def _number(*, primary_key: bool = False, default: Any = ..., **options: Any) -> Any:
    extra = {"autoincrement": False} if primary_key else {}
    return Field(
        default, sa_type=BigInteger, primary_key=primary_key, sa_column_kwargs=extra, **options
    )


class Tenant(SQLModel, table=True):
    """A SaaS customer."""

    __tablename__ = "tenants"

    tenant_id: str = _key()
    name: str = Field(sa_type=Text)
    metadata_json: str = Field(sa_type=Text, sa_column_kwargs={"name": "metadata"})
    created_at: int = _number()


class Wallet(SQLModel, table=True):
    """A tenant in one currency, as of its last entry."""

    __tablename__ = "wallets"
    __table_args__ = (
        CheckConstraint("version >= 0 AND held >= 0", name="wallets_held"),
        # Wallets are rewritten at every entry: room on the page keeps the rewrite off the indexes.
        {"postgresql_with": {"fillfactor": 50}},
    )

    tenant_id: str = _key()
    currency: str = _key()
    balance: int = _number()
    held: int = _number()
    version: int = _number()
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

    tenant_id: str = _key()
    currency: str = _key()
    version: int = _number(primary_key=True)
    kind: str = Field(sa_type=String)
    amount: int = _number()
    held: int = _number()
    balance_after: int = _number()
    held_after: int = _number()
    contra: str = Field(sa_type=String)
    caller: str = _key(primary_key=False)
    idempotency_key: str = _key(primary_key=False)
    request_digest: bytes = Field(sa_type=LargeBinary)
    reference: str = Field(sa_type=Text)
    description: str = Field(sa_type=Text)
    source: str = Field(sa_type=Text)
    metadata_json: str = Field(sa_type=Text, sa_column_kwargs={"name": "metadata"})
    related_version: int | None = _number(default=None)
    expires_at: int | None = _number(default=None)
    occurred_at: int = _number()
    recorded_at: int = _number()
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

    tenant_id: str = _key()
    currency: str = _key()
    version: int = _number(primary_key=True)
    expires_at: int = _number()


class Effect(SQLModel, table=True):
    """What was posted for one effect of an order on one wallet."""

    __tablename__ = "effects"
    __table_args__ = (Index("effects_order", "storefront", "order_id"),)

    tenant_id: str = _key()
    currency: str = _key()
    storefront: str = _key()
    order_id: int = _number(primary_key=True)
    effect: str = _key()
    amount: int = _number()
    posts: int = _number()


class Order(SQLModel, table=True):
    """An order as last seen, and what became of it."""

    __tablename__ = "orders"
    __table_args__ = (
        Index("orders_created", "storefront", "created_at"),
        Index("orders_verdict", "verdict", "storefront"),
    )

    storefront: str = _key()
    order_id: int = _number(primary_key=True)
    fingerprint: str = Field(sa_type=Text)
    generation: int = _number()
    digest: bytes = Field(sa_type=LargeBinary)
    snapshot: str = Field(sa_type=Text)
    verdict: str = Field(sa_type=String)
    reason: str = Field(sa_type=String)
    because: str = Field(sa_type=Text)
    tenant_id: str = _key(primary_key=False)
    status: str = Field(sa_type=String)
    created_at: int = _number()
    fetched_at: int = _number()
    changed_at: int = _number()
    backward_since: int | None = _number(default=None)
    sightings: int = _number()


class Sighting(SQLModel, table=True):
    """A state an order was seen in, and what followed; `number` counts from 1 for each order."""

    __tablename__ = "sightings"

    storefront: str = _key()
    order_id: int = _number(primary_key=True)
    number: int = _number(primary_key=True)
    seen_at: int = _number()
    way: str = Field(sa_type=String)
    status: str = Field(sa_type=String)
    total: str = Field(sa_type=Text)
    verdict: str = Field(sa_type=String)
    because: str = Field(sa_type=Text)


class Storefront(SQLModel, table=True):
    """Where the poll of a storefront stands, and whether an admin must look at it."""

    __tablename__ = "storefronts"

    name: str = _key()
    cursor: int | None = _number(default=None)
    swept_at: int | None = _number(default=None)
    succeeded_at: int | None = _number(default=None)
    failing_since: int | None = _number(default=None)
    failure: str = Field(sa_type=Text)
    stopped_at: int | None = _number(default=None)
    stopped_because: str = Field(sa_type=Text)


class Hint(SQLModel, table=True):
    """An order somebody should look at, once, when it is due."""

    __tablename__ = "inbox"
    __table_args__ = (Index("inbox_due", "due_at"),)

    storefront: str = _key()
    order_id: int = _number(primary_key=True)
    due_at: int = _number()
    received_at: int = _number()
    attempts: int = _number()
    way: str = Field(sa_type=String)


class Deposit(SQLModel, table=True):
    """A deposit that bridge started, the columns in the order of `store.deposits.Deposit`."""

    __tablename__ = "deposits"
    __table_args__ = (
        Index("deposits_key", "tenant_id", "caller", "idempotency_key", unique=True),
        # These lead from an id alone, an order or a time to the rows; what is unique has a tenant.
        Index("deposits_id", "deposit_id"),
        Index("deposits_order", "storefront", "order_id"),
        Index("deposits_watch", "storefront", "watch_at"),
        Index("deposits_expiry", "status", "expires_at"),
    )

    tenant_id: str = _key()
    deposit_id: str = _key()
    caller: str = _key(primary_key=False)
    idempotency_key: str = _key(primary_key=False)
    request_digest: bytes = Field(sa_type=LargeBinary)
    storefront: str = _key(primary_key=False)
    mode: str = Field(sa_type=String)
    amount: int = _number()
    bonus: int = _number()
    currency: str = _key(primary_key=False)
    plan: str = Field(sa_type=Text)
    periods: int = _number()
    return_url: str = Field(sa_type=Text)
    metadata_json: str = Field(sa_type=Text, sa_column_kwargs={"name": "metadata"})
    expires_at: int = _number()
    created_at: int = _number()
    pay_url: str = Field(sa_type=Text)
    status: str = Field(sa_type=String)
    order_id: int | None = _number(default=None)
    order_status: str = Field(sa_type=String)
    because: str = Field(sa_type=Text)
    purpose_json: str = Field(sa_type=Text, sa_column_kwargs={"name": "purpose"})
    purpose_status: str = Field(sa_type=String)
    purpose_reason: str = Field(sa_type=String)
    purpose_entry: str = Field(sa_type=Text)
    watch_since: int = _number()
    watch_at: int | None = _number(default=None)
    changed_at: int = _number()
    credited_at: int | None = _number(default=None)


class PaymentRequest(SQLModel, table=True):
    """What the SaaS core asks a tenant to pay, as in `store.payment_requests.PaymentRequest`."""

    __tablename__ = "payment_requests"
    __table_args__ = (
        Index("payment_requests_key", "tenant_id", "caller", "idempotency_key", unique=True),
        Index("payment_requests_id", "request_id"),
    )

    tenant_id: str = _key()
    request_id: str = _key()
    caller: str = _key(primary_key=False)
    idempotency_key: str = _key(primary_key=False)
    request_digest: bytes = Field(sa_type=LargeBinary)
    amount: int = _number()
    currency: str = _key(primary_key=False)
    purpose: str = Field(sa_type=String)
    reference: str = Field(sa_type=Text)
    description: str = Field(sa_type=Text)
    metadata_json: str = Field(sa_type=Text, sa_column_kwargs={"name": "metadata"})
    card_url: str = Field(sa_type=Text)
    paypal_url: str = Field(sa_type=Text)
    return_url: str = Field(sa_type=Text)
    created_at: int = _number()
    status: str = Field(sa_type=String)
    entry_id: str = Field(sa_type=Text)
    changed_at: int = _number()


class PortalSession(SQLModel, table=True):
    """A tenant's way into its page, as `store.portal.Session` has it."""

    __tablename__ = "portal_sessions"
    __table_args__ = (Index("portal_sessions_expiry", "expires_at"),)

    tenant_id: str = _key()
    session_id: str = _key()
    language: str = Field(sa_type=String)
    can: str = Field(sa_type=String)
    return_url: str = Field(sa_type=Text)
    created_at: int = _number()
    link_expires_at: int = _number()
    expires_at: int = _number()
    entered_at: int | None = _number(default=None)
    left_at: int | None = _number(default=None)


class Run(SQLModel, table=True):
    """One execution of a poll, a sweep or a reconciliation."""

    __tablename__ = "runs"
    __table_args__ = (Index("runs_started", "started_at"),)

    run_id: str = _key()
    storefront: str = _key(primary_key=False)
    kind: str = Field(sa_type=String)
    status: str = Field(sa_type=String)
    request_json: str = Field(sa_type=Text)
    counts_json: str = Field(sa_type=Text)
    failure: str = Field(sa_type=Text)
    started_at: int = _number()
    finished_at: int | None = _number(default=None)


class Finding(SQLModel, table=True):
    """What a run found; `number` counts from 1 within the run."""

    __tablename__ = "findings"

    run_id: str = _key()
    number: int = _number(primary_key=True)
    kind: str = Field(sa_type=String)
    storefront: str = Field(sa_type=String)
    order_id: int = _number()
    tenant_id: str = _key(primary_key=False)
    currency: str = Field(sa_type=String)
    target: int = _number()
    posted: int = _number()
    detail: str = Field(sa_type=Text)


class Lease(SQLModel, table=True):
    """The right to do something alone, until a time."""

    __tablename__ = "leases"

    name: str = _key()
    holder: str = Field(sa_type=String)
    expires_at: int = _number()


class ApiKey(SQLModel, table=True):
    """An API key, of which only the digest is kept. Its name is the caller of idempotency keys."""

    __tablename__ = "api_keys"
    __table_args__ = (Index("api_keys_digest", "digest", unique=True),)

    key_id: str = _key()
    name: str = Field(sa_type=String)
    digest: bytes = Field(sa_type=LargeBinary)
    scopes: str = Field(sa_type=String)
    created_at: int = _number()
    revoked_at: int | None = _number(default=None)


metadata = SQLModel.metadata


def table(model: type[SQLModel]) -> Table:
    """Return the Core table that a declaration above made."""
    made: Table = model.__table__  # type: ignore[attr-defined] # SQLModel adds it to tables
    return made
