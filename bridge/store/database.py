"""Engines and their database transactions: the only place that commits."""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from psycopg import AsyncConnection, Error
from sqlalchemy import Connection, Engine, ExceptionContext, create_engine, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from bridge.domain.errors import ConfigurationError, UnavailableError
from bridge.store.pen import Pen
from bridge.store.pipe import Pipe
from bridge.store.turns import Turns

LOCK_WAIT_S = 10
"""How long a writer waits for another one before it gives up with UnavailableError."""

SILENCE_MAX_S = 30
"""How long a PostgreSQL server that went away without a word is waited for."""

READERS_MAX = 16
"""Connections for reading, and on PostgreSQL also for writing, per process."""

FULL_S = 60
"""Seconds for which a database that had no room to write counts as full, unless a write succeeds.

Then it is found out again: behind a load balancer that asks whether we are ready nobody else may.
"""


class DiskFullError(UnavailableError):
    """The database had no room to write."""


class Database:
    """An SQLite file or a PostgreSQL database, behind two doors: `read` and `write`.

    The URL is an SQLAlchemy one: `sqlite:///path/to/file.db` or `postgresql://user@host/name`.
    `pooler` tells that between us and PostgreSQL stands one that gives each database transaction
    any connection. `written` is set after each write.
    """

    def __init__(self, url: str, *, pooler: bool = False) -> None:
        self.url = _checked(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.written = threading.Event()
        self._full_until = 0.0  # by time.monotonic
        self._pooler = pooler
        self._pens: list[Pen] = []
        self._turns = Turns()  # SQLite's
        if self.is_sqlite:
            self._writer = _sqlite_engine(self.url, begin="BEGIN IMMEDIATE", connections_max=1)
            self._reader = _sqlite_engine(self.url, begin="BEGIN", connections_max=READERS_MAX)
        else:
            self._writer = _postgresql_engine(self.url, pooler=pooler)
            # Several statements of one reader must see one state, as they do on SQLite.
            self._reader = self._writer.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """A database transaction that commits when the block ends and leaves nothing if it raises.

        Raises UnavailableError where the database is away or locked for too long, DiskFullError,
        and ConfigurationError where the file is no database.
        """
        try:
            with self._turn(), _advice(), self._writer.begin() as tx:
                yield tx
        except DiskFullError:
            self._full_until = time.monotonic() + FULL_S
            raise
        self._full_until = 0.0
        self.written.set()

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view for reading; raises what `write` does."""
        with _advice(), self._reader.begin() as tx:
            yield tx

    def pipe(self, statements: Mapping[str, str]) -> Pipe | None:
        """Return a connection of its own for an event loop, with statements by name.

        None where there is none to be had: SQLite has no such driver, and poolers keep nothing
        prepared.
        """
        if self.is_sqlite or self._pooler:
            return None
        _, address = self._writer.dialect.create_connect_args(self.url)
        session = {**address, **_session(pooler=False), "autocommit": True}
        return Pipe(lambda: AsyncConnection.connect(**session), statements)

    def pen(self, *setup: str) -> Pen | None:
        """Return a connection of its own past SQLAlchemy, set up so; None on PostgreSQL."""
        if not self.is_sqlite:
            return None
        self._pens.append(Pen(partial(self._connected, setup), self._turns, LOCK_WAIT_S))
        return self._pens[-1]

    def checkpoint(self) -> None:
        """Copy what SQLite's log holds into the database file, as far as nobody reads the old.

        Raises UnavailableError where that fails, e.g. because the disk is full.
        """
        # Past SQLAlchemy, which would begin a database transaction first.
        with _advice(), contextlib.closing(self._reader.raw_connection()) as connection:
            try:
                connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            except sqlite3.Error as error:
                raise UnavailableError(f"no checkpoint: {error}") from error

    def ping(self) -> None:
        """Raise UnavailableError unless the database answers; DiskFullError if it is full."""
        with self.read() as tx:
            tx.execute(text("SELECT 1"))
        if time.monotonic() < self._full_until:
            raise DiskFullError(
                "the database had no room to write; free some space on its disk, nothing was lost"
            )

    def close(self) -> None:
        """Give up all connections."""
        for pen in self._pens:
            pen.close()
        self._writer.dispose()
        self._reader.dispose()

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait until no other thread writes, on SQLite; on PostgreSQL many may."""
        if not self.is_sqlite:
            yield
            return
        if not self._turns.take(LOCK_WAIT_S):
            raise UnavailableError(
                f"other threads wrote to the database for {LOCK_WAIT_S} seconds; try again"
            )
        try:
            yield
        finally:
            self._turns.end()

    def _connected(self, setup: Sequence[str]) -> sqlite3.Connection:
        [file], more = self._writer.dialect.create_connect_args(self.url)
        connection = sqlite3.connect(
            file,
            isolation_level=None,
            timeout=LOCK_WAIT_S,
            check_same_thread=False,
            uri=bool(more.get("uri")),
        )
        _prepare(connection)
        for statement in setup:
            connection.execute(statement)
        return connection


def _checked(url: str) -> URL:
    try:
        parsed = make_url(url)
        parsed.get_backend_name()
    except ArgumentError:
        raise ConfigurationError("[database] url is not an SQLAlchemy URL") from None
    if parsed.drivername in {"postgresql", "postgres"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in {"sqlite", "postgresql+psycopg"}:
        raise ConfigurationError(
            f"[database] url begins with {parsed.drivername!r}; use sqlite:///… or postgresql://…"
        )
    if parsed.drivername == "sqlite" and parsed.database in {None, "", ":memory:"}:
        raise ConfigurationError("[database] url names no file; bridge keeps money on disk only")
    return parsed


def _sqlite_engine(url: URL, *, begin: str, connections_max: int) -> Engine:
    engine = create_engine(
        url,
        # autocommit at the driver: the database transactions begin where SQLAlchemy says, below
        connect_args={"isolation_level": None, "timeout": LOCK_WAIT_S},
        pool_size=connections_max,
        max_overflow=0,
        pool_timeout=LOCK_WAIT_S,
    )

    def prepare(connection: Any, _record: object) -> None:
        _prepare(connection)

    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", start)
    return engine


def _prepare(connection: sqlite3.Connection) -> None:
    for pragma in (
        "journal_mode=WAL",
        # FULL, since NORMAL loses acknowledged money when the power goes (WAL or not).
        "synchronous=FULL",
        # Commits checkpoint only where `checkpoints` cannot keep up: 64 MiB in pages of 4 KiB.
        "wal_autocheckpoint=16384",
        "foreign_keys=ON",
        "trusted_schema=OFF",
    ):
        connection.execute(f"PRAGMA {pragma}")


# We look rows up by index, some hundred at once, in the order they are asked for. PostgreSQL takes
# these for more than they are and would read small tables whole, and keeps to such a plan while
# they grow. Nested loops also keep the order, which is that in which wallets are locked. And where
# a whole table must be read, versions before 18 take the switched-off scan for one that is worth
# compiling. And a plan made once is kept: for arrays with few items PostgreSQL would plan anew each
# time, which takes longer than to execute.
_SETTINGS = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
    "lock_timeout": f"{LOCK_WAIT_S}s",
    "timezone": "UTC",
}


def _session(*, pooler: bool) -> dict[str, Any]:
    """Return how a session with PostgreSQL is begun."""
    options = " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())
    return {
        "connect_timeout": LOCK_WAIT_S,
        # What was sent and is not acknowledged, and what is awaited from a dead machine.
        "tcp_user_timeout": SILENCE_MAX_S * 1000,
        "keepalives_idle": SILENCE_MAX_S // 2,
        "keepalives_interval": SILENCE_MAX_S // 6,
        "keepalives_count": 3,
        # A pooler takes neither settings nor statements that only one connection would know of.
        **({"prepare_threshold": None} if pooler else {"options": options}),
    }


def _postgresql_engine(url: URL, *, pooler: bool) -> Engine:
    engine = create_engine(
        url,
        # The ledger reads after it has locked, and must see what was committed while it waited.
        isolation_level="READ COMMITTED",
        pool_size=READERS_MAX,
        max_overflow=0,
        pool_timeout=LOCK_WAIT_S,
        pool_pre_ping=True,
        connect_args=_session(pooler=pooler),
    )
    event.listen(engine, "handle_error", _leave_demoted)
    if pooler:
        event.listen(engine, "begin", _set_up)
    return engine


_TAKES_NO_WRITES = "25006"  # PostgreSQL's SQLSTATE for it


def _leave_demoted(context: ExceptionContext) -> None:
    """Give up the connections with a server that became a standby: the primary is elsewhere."""
    error = context.original_exception
    refused = isinstance(error, Error) and error.sqlstate == _TAKES_NO_WRITES
    options = context.connection.get_execution_options() if context.connection else {}
    if refused and not options.get("postgresql_readonly"):
        context.is_disconnect = True


def _set_up(connection: Connection) -> None:
    settings = (f"set_config('{name}', '{value}', true)" for name, value in _SETTINGS.items())
    connection.exec_driver_sql(f"SELECT {', '.join(settings)}")


_DAMAGED = frozenset({"file is not a database", "database disk image is malformed"})


@contextlib.contextmanager
def _advice() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        kind = DiskFullError if _is_full(error) else UnavailableError
        raise kind(f"the database is unavailable: {_cause(error)}") from error
    except PoolTimeoutError as error:
        raise UnavailableError(
            f"all connections to the database were busy for {LOCK_WAIT_S} seconds; try again"
        ) from error
    except DBAPIError as error:
        if str(error.orig) in _DAMAGED:
            raise ConfigurationError(
                f"[database] url: {error.orig}; name another file, or restore the backup"
            ) from error
        if not error.connection_invalidated:
            raise
        raise UnavailableError(f"the database went away: {_cause(error)}") from error


def _said(error: DBAPIError) -> str:
    """Return what the driver said, in one line."""
    return next(iter(str(error.orig).strip().splitlines()), "no reason given")


def _is_full(error: DBAPIError) -> bool:
    said = _said(error)
    return "full" in said or "No space left" in said


def _cause(error: DBAPIError) -> str:
    """Say what the driver said, and what usually helps."""
    said = _said(error)
    if _is_full(error):
        return f"{said}; free some space on its disk, nothing was lost"
    if "lock" in said:
        return f"{said}; another process writes for long, try again"
    return f"{said}; check that it runs and that [database] url is right"


__all__ = ["LOCK_WAIT_S", "READERS_MAX", "Connection", "Database", "DiskFullError"]
