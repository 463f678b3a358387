"""What was seen of storefronts and their orders."""

from sqlalchemy import Index, LargeBinary, String, Text, text
from sqlmodel import Field, SQLModel

from bridge.store.tables.columns import integer, key

_IS_HELD = text("verdict = 'held'")


class Order(SQLModel, table=True):
    """An order as last seen, and what became of it."""

    __tablename__ = "orders"
    __table_args__ = (
        Index("orders_created", "storefront", "created_at"),
        Index("orders_verdict", "verdict", "storefront"),
        # In the order in which they are listed. Orders that are credited are not in it.
        Index(
            "orders_held",
            "verdict",
            "changed_at",
            "storefront",
            "order_id",
            postgresql_where=_IS_HELD,
            sqlite_where=_IS_HELD,
        ),
    )

    storefront: str = key()
    order_id: int = integer(primary_key=True)
    fingerprint: str = Field(sa_type=Text)
    generation: int = integer()
    digest: bytes = Field(sa_type=LargeBinary)
    snapshot: str = Field(sa_type=Text)
    verdict: str = Field(sa_type=String)
    reason: str = Field(sa_type=String)
    because: str = Field(sa_type=Text)
    tenant_id: str = key(primary_key=False)
    status: str = Field(sa_type=String)
    created_at: int = integer()
    fetched_at: int = integer()
    changed_at: int = integer()
    backward_since: int | None = integer(default=None)
    sightings: int = integer()


class Sighting(SQLModel, table=True):
    """A state an order was seen in, and what followed; `number` counts from 1 for each order."""

    __tablename__ = "sightings"

    storefront: str = key()
    order_id: int = integer(primary_key=True)
    number: int = integer(primary_key=True)
    seen_at: int = integer()
    way: str = Field(sa_type=String)
    status: str = Field(sa_type=String)
    total: str = Field(sa_type=Text)
    verdict: str = Field(sa_type=String)
    because: str = Field(sa_type=Text)


class Storefront(SQLModel, table=True):
    """Where the poll of a storefront stands, and whether an admin must look at it."""

    __tablename__ = "storefronts"

    name: str = key()
    cursor: int | None = integer(default=None)
    swept_at: int | None = integer(default=None)
    succeeded_at: int | None = integer(default=None)
    failing_since: int | None = integer(default=None)
    failure: str = Field(sa_type=Text)
    stopped_at: int | None = integer(default=None)
    stopped_because: str = Field(sa_type=Text)
    stale_since: int | None = integer(default=None)


class Hint(SQLModel, table=True):
    """An order somebody should look at, once, when it is due."""

    __tablename__ = "inbox"
    __table_args__ = (Index("inbox_due", "due_at"),)

    storefront: str = key()
    order_id: int = integer(primary_key=True)
    due_at: int = integer()
    received_at: int = integer()
    attempts: int = integer()
    way: str = Field(sa_type=String)
