"""A storefront whose webhooks go out, and a place for PostgreSQL instances."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bridge.sandbox import Sandbox

WEBHOOK_INTERVAL_S = 0.2


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(webhook_interval_s=WEBHOOK_INTERVAL_S) as sandbox:
        yield sandbox


@pytest.fixture
def instances() -> Iterator[Path]:
    """A directory for PostgreSQL instances; its path is short, as that of a socket must be.

    Not `tmp_path`: each session of pytest closes the directory of all sessions to other users, and
    as root the instances are another user's.
    """
    with TemporaryDirectory(prefix="bridge-") as directory:
        yield Path(directory)
