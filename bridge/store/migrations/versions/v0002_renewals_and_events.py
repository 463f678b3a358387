"""Renewals, events and alerts.

Helpers below keep the columns readable; they belong to this migration and never change.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def key(name: str) -> sa.Column[str]:
    """Text compared byte by byte on both databases."""
    collated = sa.String().with_variant(sa.String(collation="C"), "postgresql")
    return sa.Column(name, collated, nullable=False)


def number(name: str, *, nullable: bool = False) -> sa.Column[int]:
    """Minor units, ids, counts and instants."""
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=nullable)


def word(name: str) -> sa.Column[str]:
    """Short text."""
    return sa.Column(name, sa.String(), nullable=False)


def prose(name: str) -> sa.Column[str]:
    """Longer text."""
    return sa.Column(name, sa.Text(), nullable=False)


def upgrade() -> None:
    """Make the tables of renewals, events and alerts."""
    op.add_column("storefronts", number("stale_since", nullable=True))
    renewals()
    events()
    deliveries()
    alerts()


def renewals() -> None:
    """What tenants pay again and again."""
    op.create_table(
        "renewals",
        key("tenant_id"),
        key("reference"),
        number("amount"),
        key("currency"),
        word("unit"),
        number("units"),
        word("timezone"),
        number("auto_renew"),
        number("max_amount", nullable=True),
        number("keep_at_least"),
        number("priority"),
        prose("retries"),
        number("grace_until", nullable=True),
        number("notice"),
        number("grace"),
        prose("description"),
        prose("metadata"),
        number("asked_due_at"),
        number("anchor"),
        number("created_at"),
        number("number"),
        number("due_at"),
        key("status"),
        number("noticed"),
        number("failures"),
        number("failed_at", nullable=True),
        word("reason"),
        prose("entry_id"),
        number("look_at", nullable=True),
        number("changed_at"),
        sa.PrimaryKeyConstraint("tenant_id", "reference"),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index("renewals_reference", "renewals", ["reference"], unique=False)
    look = ["look_at", "priority", "tenant_id", "reference"]
    op.create_index("renewals_look", "renewals", look, unique=False)
    op.create_table(
        "renewal_payments",
        key("tenant_id"),
        key("caller"),
        key("idempotency_key"),
        key("reference"),
        word("period"),
        sa.PrimaryKeyConstraint("tenant_id", "caller", "idempotency_key"),
    )


def events() -> None:
    """What happened."""
    rowid = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "outbox",
        sa.Column("id", rowid, nullable=False),
        number("recorded_at"),
        prose("content"),
        sa.PrimaryKeyConstraint("id"),
    )
    head = op.create_table(
        "event_head", key("name"), number("seq"), sa.PrimaryKeyConstraint("name")
    )
    op.bulk_insert(head, [{"name": "events", "seq": 0}])
    op.create_table(
        "events",
        sa.Column("seq", rowid, autoincrement=False, nullable=False),
        number("size"),
        number("published_at"),
        word("type"),
        key("tenant_id"),
        key("currency"),
        number("version"),
        number("occurred_at"),
        prose("data"),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("events_tenant", "events", ["tenant_id", "seq"], unique=False)


def deliveries() -> None:
    """Who is to be told of it, and how that went."""
    op.create_table(
        "lanes",
        key("tenant_id"),
        key("endpoint"),
        number("delivered_through"),
        number("latest"),
        number("failures"),
        number("failing_since", nullable=True),
        number("due_at", nullable=True),
        number("claimed_until"),
        sa.PrimaryKeyConstraint("tenant_id", "endpoint"),
    )
    op.create_index(
        "lanes_due",
        "lanes",
        ["endpoint", "due_at"],
        unique=False,
        postgresql_where=sa.text("due_at IS NOT NULL"),
        sqlite_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_table(
        "attempts",
        key("tenant_id"),
        number("seq"),
        key("endpoint"),
        number("attempted_at"),
        word("outcome"),
        number("duration_ms"),
        prose("because"),
        sa.PrimaryKeyConstraint("tenant_id", "seq", "endpoint", "attempted_at"),
    )
    op.create_index("attempts_at", "attempts", ["attempted_at"], unique=False)
    op.create_table(
        "dead_letters",
        key("tenant_id"),
        key("endpoint"),
        number("seq"),
        number("died_at"),
        prose("because"),
        number("retry_at", nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "endpoint", "seq"),
    )
    op.create_index("dead_letters_retry", "dead_letters", ["endpoint", "retry_at"], unique=False)


def alerts() -> None:
    """How balances stand with their marks, and whom to tell."""
    op.create_table(
        "alerts",
        key("tenant_id"),
        key("currency"),
        key("kind"),
        number("since", nullable=True),
        number("told_at", nullable=True),
        number("told"),
        number("due_at", nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "currency", "kind"),
    )
    op.create_index("alerts_due", "alerts", ["due_at"], unique=False)
    op.create_table(
        "notices",
        key("tenant_id"),
        prose("email"),
        word("language"),
        prose("thresholds"),
        number("changed_at"),
        sa.PrimaryKeyConstraint("tenant_id"),
    )
