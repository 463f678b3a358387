"""Endpoints that take events by HTTP: one POST for each, watched by the clock, never redirected."""

import json
import re
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import ClassVar
from urllib.parse import SplitResult, urlsplit

from bridge import __version__
from bridge.domain.clock import SECOND, Instant
from bridge.notify import signing
from bridge.notify.guard import TargetRefusedError, dial
from bridge.notify.sender import DELIVERED, Body, Sent
from bridge.notify.signing import Secret
from bridge.store.attempts import BECAUSE_MAX

IDLE_MAX_S = 1.0
"""Seconds after which a connection is not used again: few servers close theirs sooner."""


@dataclass(frozen=True, eq=False)
class HttpEndpoint:
    """A receiver of Standard Webhooks. Safe to use from several threads.

    An attempt takes at most `timeout_s` seconds, and what the look-up of the name takes. Each of
    `secrets` signs, so that the receiver may know any of them.
    """

    name: str
    url: str
    secrets: tuple[Secret, ...] = field(repr=False)
    types: frozenset[str]
    timeout_s: float = 15
    allow_private: bool = False

    gathers_s: ClassVar[float] = 0
    _own: threading.local = field(default_factory=threading.local, init=False, repr=False)

    def send(self, bodies: Sequence[Body], now: Instant) -> Sent:
        """Send one event; what goes wrong is an outcome, and nothing is raised for it."""
        (body,) = bodies
        content = json.dumps(body, separators=(",", ":")).encode()
        headers = signing.headers(self.secrets, body["id"], content, now) | _HEADERS
        connection = self._connection()
        with _watched(connection, self.timeout_s):
            try:
                return connection.exchange(content, headers)
            except TargetRefusedError as refused:
                sent = Sent(refused.code, str(refused))
            except (OSError, HTTPException, UnicodeError) as error:
                sent = self._failure(error, late=connection.late)
            connection.close()
        return sent

    def _connection(self) -> "_Connection":
        """Return this thread's connection; it opens itself where it is closed."""
        if not hasattr(self._own, "connection"):
            parts = urlsplit(self.url)
            kind = _TlsConnection if parts.scheme == "https" else _Connection
            self._own.connection = kind(parts, self.timeout_s, allow_private=self.allow_private)
        connection: _Connection = self._own.connection
        return connection

    def _failure(self, error: Exception, *, late: bool) -> Sent:
        if late or isinstance(error, TimeoutError):
            return Sent("timeout", f"no answer within {self.timeout_s:g} s")
        outcome = "tls" if isinstance(error, ssl.SSLError) else "unreachable"
        return Sent(outcome, f"{type(error).__name__}: {error}"[:BECAUSE_MAX])


_HEADERS = {"content-type": "application/json", "user-agent": f"bridge/{__version__}"}


class _Connection(HTTPConnection):
    """A connection with a checked address, kept for a moment. `late`: it was cut off."""

    late = False
    _wire: socket.socket | None = None
    _used_at = 0.0

    def __init__(self, parts: SplitResult, timeout_s: float, *, allow_private: bool) -> None:
        port = parts.port or self.default_port
        super().__init__(parts.hostname or "", port, timeout=timeout_s)
        self._path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        self._timeout_s = timeout_s
        self._allow_private = allow_private

    def __del__(self) -> None:
        """Close with the thread whose connection it was."""
        self.close()

    def connect(self) -> None:
        """Dial, where http.client would look the name up once more."""
        self.sock = dial(self.host, self.port, self._timeout_s, allow_private=self._allow_private)
        self.sock.settimeout(self._timeout_s)
        self._wire = self.sock

    def exchange(self, content: bytes, headers: dict[str, str]) -> Sent:
        """Post, and read as much of the answer as is kept; raises OSError and HTTPException."""
        if self.sock and (time.monotonic() > self._used_at + IDLE_MAX_S or _is_over(self.sock)):
            self.close()
        if self.sock is None:
            self.connect()
            self._check_time()
        self.request("POST", self._path, content, headers)
        response = self.getresponse()
        self._check_time()  # to http.client, headers that were cut off are at their end
        sent = _answer(response)
        if not response.isclosed():
            self.close()
        self._used_at = time.monotonic()
        return sent

    def _check_time(self) -> None:
        if self.late:
            raise TimeoutError

    def cut(self) -> None:
        """End whatever another thread waits for here."""
        self.late = True
        if self._wire is not None:
            with suppress(OSError):
                # Not SSLSocket's own, which is not made for two threads.
                socket.socket.shutdown(self._wire, socket.SHUT_RDWR)


class _TlsConnection(_Connection):
    """The same by TLS: the certificate is that of the name, whatever the address."""

    default_port = 443

    def __init__(self, parts: SplitResult, timeout_s: float, *, allow_private: bool) -> None:
        super().__init__(parts, timeout_s, allow_private=allow_private)
        self._tls = ssl.create_default_context()

    def connect(self) -> None:
        super().connect()
        wire = self._tls.wrap_socket(
            self.sock, server_hostname=self.host, do_handshake_on_connect=False
        )
        self.sock = self._wire = wire  # before the handshake, so that it can be cut off, too
        wire.do_handshake()


@contextmanager
def _watched(connection: _Connection, seconds: float) -> Iterator[None]:
    """Cut the connection off after a time: each byte of a drip would come in time by itself."""
    connection.late = False
    timer = threading.Timer(seconds, connection.cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _is_over(wire: socket.socket) -> bool:
    """Tell whether the other side closed, or said what nobody asked for."""
    poller = select.poll()
    poller.register(wire, select.POLLIN)
    return bool(poller.poll(0))


def _answer(response: HTTPResponse) -> Sent:
    said = f"HTTP {response.status}"
    with suppress(OSError, HTTPException):  # the status is the answer, whatever becomes of the rest
        said += f": {response.read(BECAUSE_MAX).decode(errors='replace')}"
    because = "".join(c if c.isprintable() else " " for c in said).rstrip(": ")[:BECAUSE_MAX]
    if 200 <= response.status < 300:
        return Sent(DELIVERED, f"HTTP {response.status}")
    if 300 <= response.status < 400:
        return Sent("redirected", f"HTTP {response.status}; redirects are not followed")
    outcome = "gone" if response.status == 410 else "refused"
    asked = response.headers.get("Retry-After", "")
    retry_after = int(asked) * SECOND if re.fullmatch("[0-9]{1,9}", asked) else 0
    return Sent(outcome, because, retry_after)
