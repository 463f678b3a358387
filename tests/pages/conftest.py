"""The tenants' page on SQLite, and a browser that is in."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.store.database import Database
from tests.conftest import FakeClock
from tests.pages.visiting import Browser, Site, browsing


@pytest.fixture
def site(migrated_sqlite: Path, tmp_path: Path, clock: FakeClock) -> Iterator[Site]:
    database = Database(f"sqlite:///{shutil.copy(migrated_sqlite, tmp_path / 'bridge.db')}")
    yield Site(database, clock)
    database.close()


@pytest.fixture
def stranger(site: Site) -> Iterator[Browser]:
    """A browser that has no session."""
    with browsing(site) as browser:
        yield browser


@pytest.fixture
def browser(stranger: Browser) -> Browser:
    """A browser in which acme has opened its page."""
    assert stranger.enter().status_code == 200
    return stranger
