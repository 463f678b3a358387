"""The command line on an installation with a database of each kind."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from bridge.sandbox import Sandbox
from tests.cli.terminal import Terminal
from tests.installation import installed


@pytest.fixture(autouse=True)
def _process_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Commands set up logging for a process of their own."""
    monkeypatch.delenv("BRIDGE_CONFIG", raising=False)
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def terminal(
    tmp_path: Path, sandbox: Sandbox, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Terminal:
    monkeypatch.setenv("LC_MONETARY", "en_US.UTF-8")  # after initdb, which may not know it
    return Terminal(installed(tmp_path, sandbox, database_url=database_url), sandbox)
