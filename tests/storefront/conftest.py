"""A sandbox storefront, and the client under test pointed at it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bridge.domain.clock import utc_now
from bridge.sandbox import Sandbox
from bridge.storefront.client import Client

Connect = Callable[..., Client]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def naps() -> list[float]:
    """How long the client slept between its attempts; it never really does."""
    return []


@pytest.fixture
def connect(sandbox: Sandbox, naps: list[float]) -> Iterator[Connect]:
    """Makes clients of the sandbox, with other settings where a test says so."""
    clients: list[Client] = []

    def connect(**settings: Any) -> Client:
        usual: dict[str, Any] = {
            "name": "main",
            "url": sandbox.url,
            "consumer_key": sandbox.consumer_key,
            "consumer_secret": sandbox.consumer_secret,
            "clock": utc_now,
            "tag_key": "_tenant_id",
            "sleep": naps.append,
        }
        clients.append(Client(**(usual | settings)))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def client(connect: Connect) -> Client:
    return connect()
