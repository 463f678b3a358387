"""What tenants begin: deposits, answers to requests for payment, visits to their page."""

from sqlalchemy import Index, LargeBinary, String, Text
from sqlmodel import Field, SQLModel

from bridge.store.tables.columns import integer, key


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

    tenant_id: str = key()
    deposit_id: str = key()
    caller: str = key(primary_key=False)
    idempotency_key: str = key(primary_key=False)
    request_digest: bytes = Field(sa_type=LargeBinary)
    storefront: str = key(primary_key=False)
    mode: str = Field(sa_type=String)
    amount: int = integer()
    bonus: int = integer()
    currency: str = key(primary_key=False)
    plan: str = Field(sa_type=Text)
    periods: int = integer()
    return_url: str = Field(sa_type=Text)
    metadata_json: str = Field(sa_type=Text, sa_column_kwargs={"name": "metadata"})
    expires_at: int = integer()
    created_at: int = integer()
    pay_url: str = Field(sa_type=Text)
    status: str = Field(sa_type=String)
    order_id: int | None = integer(default=None)
    order_status: str = Field(sa_type=String)
    because: str = Field(sa_type=Text)
    purpose_json: str = Field(sa_type=Text, sa_column_kwargs={"name": "purpose"})
    purpose_status: str = Field(sa_type=String)
    purpose_reason: str = Field(sa_type=String)
    purpose_entry: str = Field(sa_type=Text)
    watch_since: int = integer()
    watch_at: int | None = integer(default=None)
    changed_at: int = integer()
    credited_at: int | None = integer(default=None)


class PaymentRequest(SQLModel, table=True):
    """What the SaaS core asks a tenant to pay, as in `store.payment_requests.PaymentRequest`."""

    __tablename__ = "payment_requests"
    __table_args__ = (
        Index("payment_requests_key", "tenant_id", "caller", "idempotency_key", unique=True),
        Index("payment_requests_id", "request_id"),
    )

    tenant_id: str = key()
    request_id: str = key()
    caller: str = key(primary_key=False)
    idempotency_key: str = key(primary_key=False)
    request_digest: bytes = Field(sa_type=LargeBinary)
    amount: int = integer()
    currency: str = key(primary_key=False)
    purpose: str = Field(sa_type=String)
    reference: str = Field(sa_type=Text)
    description: str = Field(sa_type=Text)
    metadata_json: str = Field(sa_type=Text, sa_column_kwargs={"name": "metadata"})
    card_url: str = Field(sa_type=Text)
    paypal_url: str = Field(sa_type=Text)
    return_url: str = Field(sa_type=Text)
    created_at: int = integer()
    status: str = Field(sa_type=String)
    entry_id: str = Field(sa_type=Text)
    changed_at: int = integer()


class PortalSession(SQLModel, table=True):
    """A tenant's way into its page, as `store.portal.Session` has it."""

    __tablename__ = "portal_sessions"
    __table_args__ = (Index("portal_sessions_expiry", "expires_at"),)

    tenant_id: str = key()
    session_id: str = key()
    language: str = Field(sa_type=String)
    can: str = Field(sa_type=String)
    return_url: str = Field(sa_type=Text)
    created_at: int = integer()
    link_expires_at: int = integer()
    expires_at: int = integer()
    entered_at: int | None = integer(default=None)
    left_at: int | None = integer(default=None)
