"""What tenants pay again and again."""

from sqlalchemy import Index, String, Text
from sqlmodel import Field, SQLModel

from bridge.store.tables.columns import integer, key


class Renewal(SQLModel, table=True):
    """A renewal, the columns in the order of `domain.renewal.Renewal`."""

    __tablename__ = "renewals"
    __table_args__ = (
        Index("renewals_reference", "reference"),
        # In the order in which they are claimed, so that the claim sorts nothing.
        Index("renewals_look", "look_at", "priority", "tenant_id", "reference"),
        # Rewritten at every period, as wallets are.
        {"postgresql_with": {"fillfactor": 70}},
    )

    tenant_id: str = key()
    reference: str = key()
    amount: int = integer()
    currency: str = key(primary_key=False)
    unit: str = Field(sa_type=String)
    units: int = integer()
    timezone: str = Field(sa_type=String)
    auto_renew: int = integer()
    max_amount: int | None = integer(default=None)
    keep_at_least: int = integer()
    priority: int = integer()
    retries: str = Field(sa_type=Text)
    grace_until: int | None = integer(default=None)
    notice: int = integer()
    grace: int = integer()
    description: str = Field(sa_type=Text)
    metadata_json: str = Field(sa_type=Text, sa_column_kwargs={"name": "metadata"})
    asked_due_at: int = integer()
    anchor: int = integer()
    created_at: int = integer()
    number: int = integer()
    due_at: int = integer()
    status: str = key(primary_key=False)
    noticed: int = integer()
    failures: int = integer()
    failed_at: int | None = integer(default=None)
    reason: str = Field(sa_type=String)
    entry_id: str = Field(sa_type=Text)
    look_at: int | None = integer(default=None)
    changed_at: int = integer()


class RenewalPayment(SQLModel, table=True):
    """Which period an idempotency key paid by hand; the ledger says the rest."""

    __tablename__ = "renewal_payments"

    tenant_id: str = key()
    caller: str = key()
    idempotency_key: str = key()
    reference: str = key(primary_key=False)
    period: str = Field(sa_type=String)
