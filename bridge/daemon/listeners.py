"""Listening: sockets of our own, bound before anything starts, and uvicorn behind them."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bridge import metrics
from bridge.api.express import Protocol
from bridge.config import Listen
from bridge.domain.errors import ConfigurationError, UnavailableError

KEEP_ALIVE_S = 75
"""Seconds an idle connection stays open: proxies, which wait for less, close first."""

CONNECTIONS_WAITING_MAX = 2048
"""Connections the kernel keeps until they are accepted."""

ACCEPTED_AT_ONCE = 16
"""Connections accepted in one turn of the event loop.

libuv accepts one from each socket (libuv/libuv#3696), and a turn with debits takes milliseconds:
of a thousand callers that connect at once the last one waited for seconds.
"""

# Whoever reaches the socket must still have a key or a signature, as on a TCP port of the loopback.
_SOCKET_MODE = 0o666


def bind(listen: Listen) -> socket.socket:
    """Return a socket bound to the address; port 0 takes any free one.

    Raises UnavailableError where the address is taken or not there yet, ConfigurationError where it
    cannot be ours.
    """
    try:
        return _bind_unix(listen.path) if listen.path else _bind_tcp(listen)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UnavailableError(
                f"another program listens on {listen}; stop it, or choose another address"
            ) from None
        if error.errno == errno.EADDRNOTAVAIL:
            raise UnavailableError(f"this machine has no address {listen.host} (yet)") from None
        raise ConfigurationError(f"cannot listen on {listen}: {error.strerror}") from None


def bound_to(listener: socket.socket) -> Listen:
    """Return the address a socket is bound to."""
    if listener.family == socket.AF_UNIX:
        return Listen(path=listener.getsockname())
    host, port = listener.getsockname()[:2]
    return Listen(host, port)


def release(listen: Listen) -> None:
    """Remove what a closed listener leaves behind: the file of a unix socket."""
    if listen.path:
        Path(listen.path).unlink(missing_ok=True)


class Server(uvicorn.Server):
    """uvicorn, but signals are the daemon's business, and a crowd is let in by the handful."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen on the sockets, and on copies of them: each is accepted from once in a turn."""
        copies = [one.dup() for one in sockets or () for _ in range(ACCEPTED_AT_ONCE - 1)]
        await super().startup([*(sockets or ()), *copies])

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signal handlers alone."""
        yield


def server(app: ASGIApp, drain_timeout_s: int, connections_max: int | None = None) -> Server:
    """Return a server for `Server.serve(sockets=[…])`; the applications log their own requests.

    With `connections_max` it is for the public: it has so many connections at once, and closes
    those that say nothing.
    """
    return Server(
        uvicorn.Config(
            app,
            http=_public(connections_max) if connections_max else Protocol,
            ws="none",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=CONNECTIONS_WAITING_MAX,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=drain_timeout_s,
        )
    )


def _public(connections_max: int) -> type[HttpToolsProtocol]:
    """Return uvicorn's protocol for so many connections at once.

    uvicorn's own `limit_concurrency` refuses requests, but takes any number of connections.
    """

    class Public(HttpToolsProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            if len(self.connections) < connections_max:
                super().connection_made(transport)
                self.timeout_keep_alive_task = self.loop.call_later(
                    self.timeout_keep_alive, self.timeout_keep_alive_handler
                )
            else:
                self.transport = transport
                metrics.requests_total.labels("none", 503).inc()
                transport.write(_CROWDED)
                transport.close()

    return Public


_CROWDED = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\nconnection: close\r\n"
    b"content-type: text/plain; charset=utf-8\r\ncontent-length: 32\r\n\r\n"
    b"too many connections; try later\n"
)


def _bind_tcp(listen: Listen) -> socket.socket:
    found = socket.getaddrinfo(
        listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def _bind_unix(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(path)
        listener.bind(path)
        Path(path).chmod(_SOCKET_MODE)
    except OSError:
        listener.close()
        raise
    return listener


def _remove_stale(path: str) -> None:
    """Remove the file that a killed process left; binding to one that is in use fails."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink()
        except OSError:
            return
