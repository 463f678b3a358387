"""The first schema.

Helpers below keep the columns readable; they belong to this migration and never change.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


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


def octets(name: str) -> sa.Column[bytes]:
    """Digests and hashes."""
    return sa.Column(name, sa.LargeBinary(), nullable=False)


def upgrade() -> None:
    """Make all tables, and make the ledger append-only."""
    balances()
    ledger()
    orders()
    deposits()
    payment_requests()
    portal_sessions()
    service()
    if op.get_bind().dialect.name == "postgresql":
        op.create_index(
            "entries_key", "entries", ["tenant_id", "caller", "idempotency_key"], unique=True
        )
        append_only_on_postgresql()
    else:
        op.create_index(
            "entries_key_sqlite", "entries", ["idempotency_key", "tenant_id", "caller"], unique=True
        )
        append_only_on_sqlite()


def balances() -> None:
    """Tenants and wallets."""
    op.create_table(
        "tenants",
        key("tenant_id"),
        prose("name"),
        prose("metadata"),
        number("created_at"),
        sa.PrimaryKeyConstraint("tenant_id"),
    )
    op.create_table(
        "wallets",
        key("tenant_id"),
        key("currency"),
        number("balance"),
        number("held"),
        number("version"),
        octets("hash"),
        sa.CheckConstraint("version >= 0 AND held >= 0", name="wallets_held"),
        sa.PrimaryKeyConstraint("tenant_id", "currency"),
        postgresql_with={"fillfactor": 50},
    )


def ledger() -> None:
    """Entries, and what leans on them."""
    op.create_table(
        "entries",
        key("tenant_id"),
        key("currency"),
        number("version"),
        word("kind"),
        number("amount"),
        number("held"),
        number("balance_after"),
        number("held_after"),
        word("contra"),
        key("caller"),
        key("idempotency_key"),
        octets("request_digest"),
        prose("reference"),
        prose("description"),
        prose("source"),
        prose("metadata"),
        number("related_version", nullable=True),
        number("expires_at", nullable=True),
        number("occurred_at"),
        number("recorded_at"),
        octets("hash"),
        sa.CheckConstraint("amount <> 0 OR held <> 0", name="entries_moves"),
        sa.CheckConstraint("version > 0", name="entries_version"),
        sa.PrimaryKeyConstraint("tenant_id", "currency", "version"),
    )
    op.create_index(
        "entries_related",
        "entries",
        ["tenant_id", "currency", "related_version"],
        unique=False,
        postgresql_where=sa.text("related_version IS NOT NULL"),
        sqlite_where=sa.text("related_version IS NOT NULL"),
    )
    op.create_table(
        "open_holds",
        key("tenant_id"),
        key("currency"),
        number("version"),
        number("expires_at"),
        sa.PrimaryKeyConstraint("tenant_id", "currency", "version"),
    )
    op.create_index("open_holds_expiry", "open_holds", ["expires_at"], unique=False)
    op.create_table(
        "effects",
        key("tenant_id"),
        key("currency"),
        key("storefront"),
        number("order_id"),
        key("effect"),
        number("amount"),
        number("posts"),
        sa.PrimaryKeyConstraint("tenant_id", "currency", "storefront", "order_id", "effect"),
    )
    op.create_index("effects_order", "effects", ["storefront", "order_id"], unique=False)


def orders() -> None:
    """What the storefronts said."""
    op.create_table(
        "orders",
        key("storefront"),
        number("order_id"),
        prose("fingerprint"),
        number("generation"),
        octets("digest"),
        prose("snapshot"),
        word("verdict"),
        word("reason"),
        prose("because"),
        key("tenant_id"),
        word("status"),
        number("created_at"),
        number("fetched_at"),
        number("changed_at"),
        number("backward_since", nullable=True),
        number("sightings"),
        sa.PrimaryKeyConstraint("storefront", "order_id"),
    )
    op.create_index("orders_created", "orders", ["storefront", "created_at"], unique=False)
    op.create_index("orders_verdict", "orders", ["verdict", "storefront"], unique=False)
    op.create_index(
        "orders_held",
        "orders",
        ["verdict", "changed_at", "storefront", "order_id"],
        unique=False,
        postgresql_where=sa.text("verdict = 'held'"),
        sqlite_where=sa.text("verdict = 'held'"),
    )
    op.create_table(
        "sightings",
        key("storefront"),
        number("order_id"),
        number("number"),
        number("seen_at"),
        word("way"),
        word("status"),
        prose("total"),
        word("verdict"),
        prose("because"),
        sa.PrimaryKeyConstraint("storefront", "order_id", "number"),
    )
    op.create_table(
        "storefronts",
        key("name"),
        number("cursor", nullable=True),
        number("swept_at", nullable=True),
        number("succeeded_at", nullable=True),
        number("failing_since", nullable=True),
        prose("failure"),
        number("stopped_at", nullable=True),
        prose("stopped_because"),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "inbox",
        key("storefront"),
        number("order_id"),
        number("due_at"),
        number("received_at"),
        number("attempts"),
        word("way"),
        sa.PrimaryKeyConstraint("storefront", "order_id"),
    )
    op.create_index("inbox_due", "inbox", ["due_at"], unique=False)


def deposits() -> None:
    """What tenants are about to bring."""
    op.create_table(
        "deposits",
        key("tenant_id"),
        key("deposit_id"),
        key("caller"),
        key("idempotency_key"),
        octets("request_digest"),
        key("storefront"),
        word("mode"),
        number("amount"),
        number("bonus"),
        key("currency"),
        prose("plan"),
        number("periods"),
        prose("return_url"),
        prose("metadata"),
        number("expires_at"),
        number("created_at"),
        prose("pay_url"),
        word("status"),
        number("order_id", nullable=True),
        word("order_status"),
        prose("because"),
        prose("purpose"),
        word("purpose_status"),
        word("purpose_reason"),
        prose("purpose_entry"),
        number("watch_since"),
        number("watch_at", nullable=True),
        number("changed_at"),
        number("credited_at", nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "deposit_id"),
    )
    op.create_index(
        "deposits_key", "deposits", ["tenant_id", "caller", "idempotency_key"], unique=True
    )
    op.create_index("deposits_id", "deposits", ["deposit_id"], unique=False)
    op.create_index("deposits_order", "deposits", ["storefront", "order_id"], unique=False)
    op.create_index("deposits_watch", "deposits", ["storefront", "watch_at"], unique=False)
    op.create_index("deposits_expiry", "deposits", ["status", "expires_at"], unique=False)


def payment_requests() -> None:
    """What tenants are asked to pay."""
    op.create_table(
        "payment_requests",
        key("tenant_id"),
        key("request_id"),
        key("caller"),
        key("idempotency_key"),
        octets("request_digest"),
        number("amount"),
        key("currency"),
        word("purpose"),
        prose("reference"),
        prose("description"),
        prose("metadata"),
        prose("card_url"),
        prose("paypal_url"),
        prose("return_url"),
        number("created_at"),
        word("status"),
        prose("entry_id"),
        number("changed_at"),
        sa.PrimaryKeyConstraint("tenant_id", "request_id"),
    )
    op.create_index(
        "payment_requests_key",
        "payment_requests",
        ["tenant_id", "caller", "idempotency_key"],
        unique=True,
    )
    op.create_index("payment_requests_id", "payment_requests", ["request_id"], unique=False)


def portal_sessions() -> None:
    """The tenants' way to their page."""
    op.create_table(
        "portal_sessions",
        key("tenant_id"),
        key("session_id"),
        word("language"),
        word("can"),
        prose("return_url"),
        number("created_at"),
        number("link_expires_at"),
        number("expires_at"),
        number("entered_at", nullable=True),
        number("left_at", nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "session_id"),
    )
    op.create_index("portal_sessions_expiry", "portal_sessions", ["expires_at"], unique=False)


def service() -> None:
    """Runs, leases and API keys."""
    op.create_table(
        "runs",
        key("run_id"),
        key("storefront"),
        word("kind"),
        word("status"),
        prose("request_json"),
        prose("counts_json"),
        prose("failure"),
        number("started_at"),
        number("finished_at", nullable=True),
        sa.PrimaryKeyConstraint("run_id"),
    )
    op.create_index("runs_started", "runs", ["started_at"], unique=False)
    op.create_table(
        "findings",
        key("run_id"),
        number("number"),
        word("kind"),
        word("storefront"),
        number("order_id"),
        key("tenant_id"),
        word("currency"),
        number("target"),
        number("posted"),
        prose("detail"),
        sa.PrimaryKeyConstraint("run_id", "number"),
    )
    op.create_table(
        "leases", key("name"), word("holder"), number("expires_at"), sa.PrimaryKeyConstraint("name")
    )
    op.create_table(
        "api_keys",
        key("key_id"),
        word("name"),
        octets("digest"),
        word("scopes"),
        number("created_at"),
        number("revoked_at", nullable=True),
        sa.PrimaryKeyConstraint("key_id"),
    )
    op.create_index("api_keys_digest", "api_keys", ["digest"], unique=True)


def append_only_on_postgresql() -> None:
    """Refuse to change or remove entries."""
    op.execute(
        "CREATE FUNCTION entries_append_only() RETURNS trigger LANGUAGE plpgsql AS $$"
        " BEGIN RAISE EXCEPTION 'entries are append-only; post an adjustment instead'; END $$"
    )
    op.execute(
        "CREATE TRIGGER entries_append_only BEFORE UPDATE OR DELETE ON entries"
        " FOR EACH ROW EXECUTE FUNCTION entries_append_only()"
    )
    op.execute(
        "CREATE TRIGGER entries_no_truncate BEFORE TRUNCATE ON entries"
        " FOR EACH STATEMENT EXECUTE FUNCTION entries_append_only()"
    )


def append_only_on_sqlite() -> None:
    """Refuse to change, remove or replace entries."""
    refuse = "BEGIN SELECT RAISE(ABORT, 'entries are append-only; post an adjustment instead'); END"
    for event in ("UPDATE", "DELETE"):
        op.execute(f"CREATE TRIGGER entries_no_{event.lower()} BEFORE {event} ON entries {refuse}")
    # SQLite: INSERT OR REPLACE removes rows without asking the triggers of DELETE.
    op.execute(
        "CREATE TRIGGER entries_no_replace BEFORE INSERT ON entries WHEN"
        " EXISTS (SELECT 1 FROM entries WHERE tenant_id = NEW.tenant_id"
        " AND currency = NEW.currency AND version = NEW.version)"
        " OR EXISTS (SELECT 1 FROM entries WHERE idempotency_key = NEW.idempotency_key"
        f" AND tenant_id = NEW.tenant_id AND caller = NEW.caller) {refuse}"
    )
