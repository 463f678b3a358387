"""What happened, who is told of it, and how that went."""

from sqlalchemy import Index, String, Text, text
from sqlmodel import Field, SQLModel

from bridge.store.tables.columns import ROWID, integer, key

_IS_DUE = text("due_at IS NOT NULL")


class Waiting(SQLModel, table=True):
    """What happened and was not published yet. On SQLite ids begin anew once the table is empty."""

    __tablename__ = "outbox"

    id: int | None = Field(default=None, sa_type=ROWID, primary_key=True)
    recorded_at: int = integer()
    content: str = Field(sa_type=Text)


class EventHead(SQLModel, table=True):
    """The number of the last event; who publishes locks this row."""

    __tablename__ = "event_head"

    name: str = key()
    seq: int = integer()


class Event(SQLModel, table=True):
    """Published events that follow one another, mostly one.

    A fact; or entries of a wallet, told as one type. `seq`, `version` and `occurred_at` are those
    of the last one, and `size` is how many there are. Facts have no currency, and the version 0.
    """

    __tablename__ = "events"
    __table_args__ = (Index("events_tenant", "tenant_id", "seq"),)

    seq: int = Field(sa_type=ROWID, primary_key=True, sa_column_kwargs={"autoincrement": False})
    size: int = integer()
    published_at: int = integer()
    type: str = Field(sa_type=String)
    tenant_id: str = key(primary_key=False)
    currency: str = key(primary_key=False)
    version: int = integer()
    occurred_at: int = integer()
    data: str = Field(sa_type=Text)


class Lane(SQLModel, table=True):
    """How far an endpoint was told of a tenant's events, as `store.lanes.Lane` has it."""

    __tablename__ = "lanes"
    __table_args__ = (
        # Without those that were told everything, which are most.
        Index("lanes_due", "endpoint", "due_at", postgresql_where=_IS_DUE, sqlite_where=_IS_DUE),
    )

    tenant_id: str = key()
    endpoint: str = key()
    delivered_through: int = integer()
    latest: int = integer()
    failures: int = integer()
    failing_since: int | None = integer(default=None)
    due_at: int | None = integer(default=None)
    claimed_until: int = integer()


class Attempt(SQLModel, table=True):
    """One try to deliver an event, as `store.attempts.Attempt` has it."""

    __tablename__ = "attempts"
    __table_args__ = (Index("attempts_at", "attempted_at"),)

    tenant_id: str = key()
    seq: int = integer(primary_key=True)
    endpoint: str = key()
    attempted_at: int = integer(primary_key=True)
    outcome: str = Field(sa_type=String)
    duration_ms: int = integer()
    because: str = Field(sa_type=Text)


class DeadLetter(SQLModel, table=True):
    """An event that an endpoint was not told of, as `store.attempts.DeadLetter` has it."""

    __tablename__ = "dead_letters"
    __table_args__ = (Index("dead_letters_retry", "endpoint", "retry_at"),)

    tenant_id: str = key()
    endpoint: str = key()
    seq: int = integer(primary_key=True)
    died_at: int = integer()
    because: str = Field(sa_type=Text)
    retry_at: int | None = integer(default=None)


class Alert(SQLModel, table=True):
    """How a wallet's alert stands, as `domain.alert.Latch` has it; `kind` is low or negative."""

    __tablename__ = "alerts"
    __table_args__ = (Index("alerts_due", "due_at"),)

    tenant_id: str = key()
    currency: str = key()
    kind: str = key()
    since: int | None = integer(default=None)
    told_at: int | None = integer(default=None)
    told: int = integer()
    due_at: int | None = integer(default=None)


class Notice(SQLModel, table=True):
    """Whom to tell of a tenant's balance, and below what, as `store.notices.Notice` has it."""

    __tablename__ = "notices"

    tenant_id: str = key()
    email: str = Field(sa_type=Text)
    language: str = Field(sa_type=String)
    thresholds_json: str = Field(sa_type=Text, sa_column_kwargs={"name": "thresholds"})
    changed_at: int = integer()
