"""A receiver of events on the loopback that can be as nasty as any, and verifies what it takes."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from email.parser import BytesHeaderParser
from io import BufferedIOBase
from itertools import takewhile
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any, Self

from standardwebhooks import Webhook

TLS = Path(__file__).parent / "tls"
NAME = "core.test"
"""The name in the receiver's certificate."""

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwFlnTNO6nQ1k="

DRIP_S = 0.02

Event = dict[str, Any]


class Answer:
    """What the receiver does after it has read a request."""

    status = 0

    def give(self, wire: BufferedIOBase, over: threading.Event) -> None:
        """Close the connection without a word."""


class Status(Answer):
    """A well-formed answer."""

    def __init__(self, status: int, body: str = "", **headers: str) -> None:
        self.status = status
        lines = [f"HTTP/1.1 {status} So", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self._text = "\r\n".join([*lines, "", body]).encode()

    def give(self, wire: BufferedIOBase, over: threading.Event) -> None:
        wire.write(self._text)


class Raw(Answer):
    """Some bytes, and the end of the connection."""

    def __init__(self, text: bytes) -> None:
        self._text = text

    def give(self, wire: BufferedIOBase, over: threading.Event) -> None:
        wire.write(self._text)


class Drip(Answer):
    """Some bytes, then for ever one at a time, each soon enough for a timeout of its own."""

    def __init__(self, start: bytes) -> None:
        self._start = start

    def give(self, wire: BufferedIOBase, over: threading.Event) -> None:
        wire.write(self._start)
        while not over.wait(DRIP_S):
            wire.write(b"a")


class Flood(Answer):
    """A body that ends only when nobody listens any more."""

    status = 500

    def give(self, wire: BufferedIOBase, over: threading.Event) -> None:
        wire.write(b"HTTP/1.1 500 So\r\nContent-Length: 99999999999\r\n\r\n")
        while not over.is_set():
            wire.write(b"x" * 65_536)


class Hang(Answer):
    """Nothing, and the connection stays open."""

    def give(self, wire: BufferedIOBase, over: threading.Event) -> None:
        over.wait()


OK = Status(200)
DOWN = Status(500, "we are down")
AWAY = Answer()


class Receiver:
    """Listens at `url`; what was answered with 2xx is in `taken`, everything in `asked`."""

    def __init__(self, *, tls: bool = False, secret: str = SECRET) -> None:
        self.answer: Callable[[Event], Answer] = lambda _: OK
        self.taken: list[Event] = []
        self.asked: list[Event] = []
        self.headers: list[dict[str, str]] = []
        self.wires: list[socket.socket] = []
        self.server_names: list[str | None] = []
        self.serving = 0
        self.over = threading.Event()
        self._secret = secret
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.receiver = self
        if tls:
            self._server.socket = self._wrapped(self._server.socket)
        self.port: int = self._server.server_address[1]
        self.url = (
            f"{'https' if tls else 'http'}://{NAME if tls else '127.0.0.1'}:{self.port}/in?a=b"
        )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._server.shutdown()
        self._thread.join()
        for wire in self.wires:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(wire, socket.SHUT_RDWR)
        self._server.server_close()

    def take(self, headers: dict[str, str], body: bytes) -> Answer:
        """Verify a request, and choose the answer; an answer of None closes the connection."""
        event: Event = Webhook(self._secret).verify(body, headers)
        assert event["id"] == headers["webhook-id"]
        self.asked.append(event)
        self.headers.append(headers)
        answer = self.answer(event)
        if 200 <= answer.status < 300:
            self.taken.append(event)
        return answer

    def numbers(self, tenant_id: str | None = "acme") -> list[int]:
        """The numbers in the events of a tenant that were taken, in order."""
        return [each["data"]["n"] for each in self.taken if each["tenant_id"] == tenant_id]

    def _wrapped(self, listener: socket.socket) -> socket.socket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(TLS / "server.pem")
        context.sni_callback = lambda _wire, name, _context: self.server_names.append(name)
        return context.wrap_socket(listener, server_side=True, do_handshake_on_connect=False)


class _Server(ThreadingTCPServer):
    receiver: Receiver
    daemon_threads = False
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Senders that cut us off, or like our certificate little, are what this is for."""


class _Handler(StreamRequestHandler):
    server: _Server
    wbufsize = 0

    def handle(self) -> None:
        receiver = self.server.receiver
        receiver.wires.append(self.connection)
        self.connection.settimeout(5)
        receiver.serving += 1
        try:
            self._serve(receiver)
        finally:
            receiver.serving -= 1

    def _serve(self, receiver: Receiver) -> None:
        while self.rfile.readline(65_537):
            block = b"".join(
                takewhile(lambda line: line != b"\r\n", iter(self.rfile.readline, b""))
            )
            if b"\n" not in block:
                return  # no request: somebody tries TLS, or went away
            headers = {k.lower(): v for k, v in BytesHeaderParser().parsebytes(block).items()}
            body = self.rfile.read(int(headers["content-length"]))
            answer = receiver.take(headers, body)
            answer.give(self.wfile, receiver.over)
            if not isinstance(answer, Status):
                return


@contextlib.contextmanager
def receiving(**how: Any) -> Iterator[Receiver]:
    """Run a receiver."""
    with Receiver(**how) as receiver:
        yield receiver
