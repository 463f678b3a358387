"""The API, served on SQLite alone, or on both databases where money moves."""

import io
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from bridge import logs
from bridge.store.database import Database
from tests.api.calling import Api, served
from tests.conftest import FakeClock


@pytest.fixture
def api(migrated_sqlite: Path, tmp_path: Path, clock: FakeClock) -> Iterator[Api]:
    """The API on SQLite."""
    database = Database(f"sqlite:///{shutil.copy(migrated_sqlite, tmp_path / 'bridge.db')}")
    with served(database, clock) as api:
        yield api
    database.close()


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What is logged meanwhile, as JSON lines."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    stream = io.StringIO()
    logs.configure(json=True, stream=stream)
    yield stream
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def money(database: Database, clock: FakeClock) -> Iterator[Api]:
    """The API on each database."""
    with served(database, clock) as api:
        yield api


@pytest.fixture
def depositing(database: Database, clock: FakeClock) -> Iterator[Api]:
    """The API on each database, with deposits and the tenants' page."""
    with served(database, clock) as api:
        api.take_deposits()
        yield api
