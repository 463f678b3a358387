"""Receivers, a clock for both sides, and a name service that says what a test wants."""

import socket
from collections.abc import Iterator
from datetime import datetime, tzinfo
from typing import Any

import pytest
import standardwebhooks.webhooks

from bridge.domain.clock import to_datetime
from tests.conftest import FakeClock
from tests.notify.receiver import NAME, TLS, Receiver

Answers = list[list[str]]


class FakeResolver:
    """Answers each look-up of a name by the next of its lists, the last one for ever."""

    def __init__(self) -> None:
        self.names: dict[str, Answers] = {}
        self.asked: list[str] = []
        self._real = socket.getaddrinfo

    def __call__(self, host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        if host not in self.names:
            return self._real(host, port, *args, **kwargs)
        self.asked.append(host)
        answers = self.names[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        found: list[Any] = []
        for address in addresses:
            found += self._real(address, port, *args, **kwargs)
        return found


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> FakeResolver:
    resolver = FakeResolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    return resolver


@pytest.fixture(autouse=True)
def same_time(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Receivers refuse what is older than five minutes, by the same clock as the sender's."""

    class Then(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # not Self
            return to_datetime(clock()).astimezone(tz)

    monkeypatch.setattr(standardwebhooks.webhooks, "datetime", Then)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def tls_receiver(resolver: FakeResolver, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver by https, whose name leads to the loopback and whose CA is trusted."""
    resolver.names[NAME] = [["127.0.0.1"]]
    monkeypatch.setenv("SSL_CERT_FILE", str(TLS / "ca.pem"))
    with Receiver(tls=True) as receiver:
        yield receiver
