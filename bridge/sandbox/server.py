"""The HTTP server: a thread per connection, on the loopback; nothing is left behind on stop."""

import socket
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from bridge.domain.clock import SECOND, Clock
from bridge.sandbox.wire import Request, Response

HOST = "127.0.0.1"
BODY_BYTES_MAX = 1_000_000
STOP_TIMEOUT_S = 5.0
_POLL_S = 0.02

Answerer = Callable[[Request], Response | None]


class Server(ThreadingHTTPServer):
    """Serves `answer` on its own thread; an answer of None drops the connection without a word."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, answer: Answerer, clock: Clock) -> None:
        super().__init__((HOST, port), _Handler)
        self.answer = answer
        self.clock = clock
        self._connections: dict[threading.Thread, socket.socket] = {}
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(_POLL_S,), daemon=True)

    def server_bind(self) -> None:
        """Bind without asking the name service for our own name, as the base class would."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    @property
    def url(self) -> str:
        """The address, without a slash at its end."""
        return f"http://{HOST}:{self.server_port}"

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving, close every connection and wait for their threads."""
        if self._thread.is_alive():
            self.shutdown()
            self._thread.join(STOP_TIMEOUT_S)
        self.server_close()
        with self._lock:
            connections = dict(self._connections)
        for thread, connection in connections.items():
            _hang_up(connection)
            thread.join(STOP_TIMEOUT_S)

    def opened(self, connection: socket.socket) -> None:
        """Remember a connection, so that `stop` can close it."""
        with self._lock:
            self._connections[threading.current_thread()] = connection

    def closed(self) -> None:
        """Forget this thread's connection."""
        with self._lock:
            del self._connections[threading.current_thread()]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that went away in the middle; say on stderr what else went wrong."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Server

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The Date header, by the storefront's clock."""
        now = self.server.clock() / SECOND if timestamp is None else timestamp
        return super().date_time_string(now)

    def setup(self) -> None:
        super().setup()
        self.server.opened(self.connection)

    def finish(self) -> None:
        self.server.closed()
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing; `Sandbox.requests` remembers."""

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > BODY_BYTES_MAX:
            self.close_connection = True
            self._send(Response.html("Request Entity Too Large", 413))
            return
        headers = {name.title(): text for name, text in self.headers.items()}
        request = Request.received(self.command, self.path, headers, self.rfile.read(length))
        response = self.server.answer(request)
        if response is None:
            self.close_connection = True
            _hang_up(self.connection)
        else:
            self._send(response)

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        for name, text in response.headers.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)
        self.wfile.flush()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - their names


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
