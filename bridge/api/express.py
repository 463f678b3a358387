"""The express lane: most of what a SaaS core asks goes past the framework and ASGI.

These are debits and balance checks. It takes only requests that are plainly good, as they come from
the socket, and answers with one write and without a task: the way through the server and the
framework costs more than a debit. Whatever else a request may be goes on to them as it came, so
that one place refuses and explains; both ask the same and answer alike (docs/decisions/0017).
"""

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from bridge.api import middleware
from bridge.api.auth import KeyRing
from bridge.api.lanes import Answer, Ask, Lane, Reply, lane_of
from bridge.api.plain import Headers, headers
from bridge.api.services import Desk
from bridge.store.keys import ApiKey

PATIENCE_S = 1
"""Seconds for the rest of a body to arrive, before the framework waits for it."""


class Request(NamedTuple):
    """A request whose head is plainly good. `missing` bytes of its body are still to come.

    Its key was found before, and may have been revoked since.
    """

    lane: Lane
    token: str
    key: ApiKey
    headers: Headers
    body: bytes
    missing: int
    raw: bytes
    since: float


class Express:
    """An ASGI app, and how its plain requests are read past it.

    `refusing` makes the app that answers with an error.
    """

    def __init__(
        self, app: ASGIApp, desk: Desk, ring: KeyRing, refusing: Callable[[Exception], ASGIApp]
    ) -> None:
        self._app = app
        self._ring = ring
        self._services = desk.services
        self._refusing = refusing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request that does not take the lane."""
        await self._app(scope, receive, send)

    def request(self, raw: bytes) -> Request | None:
        """Read what arrived; None unless it begins with a whole head that is plainly good."""
        since = time.perf_counter()
        start, end = raw.find(b"\r\n"), raw.find(b"\r\n\r\n")
        lane = lane_of(raw[:start])
        # A log that tells of every request is written where all requests come by.
        if lane is None or _telling_all():
            return None
        found = headers(raw, start + 2, end + 2)
        scheme, _, given = found.get(b"authorization", b"").partition(b" ")
        token = given.decode() if scheme == b"Bearer" else ""
        key = self._ring.known(token)
        length = lane.length(found)
        if key is None or lane.scope not in key.scopes or length is None:
            return None
        body = raw[end + 4 :]
        return Request(lane, token, key, found, body, length - len(body), raw, since)

    def read(self, request: Request) -> Ask | None:
        """Return what asks for the reply to a whole request, None where it is not plainly good."""
        if self._ring.at_once(request.token):
            return self._read(request)
        # Else the first who come after some seconds of silence would all be the framework's.
        return partial(self._confirm, request)

    def _read(self, request: Request) -> Ask | None:
        caller = request.key.name
        return request.lane.read(self._services, caller, request.headers, request.body)

    def _confirm(self, request: Request, answer: Answer) -> None:
        def then(found: bool) -> None:
            if found and (ask := self._read(request)):
                ask(answer)
            else:
                answer(lambda: None)

        self._ring.confirm(request.token, then)

    def refusal(self, request: Request, error: Exception) -> ASGIApp:
        """Return the app that explains to a request why it is refused."""
        refuse = self._refusing(error)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope["route"], scope["state"]["key"] = request.lane, request.key
            await refuse(scope, receive, send)

        return app


def _telling_all() -> bool:
    return logging.getLogger().isEnabledFor(logging.DEBUG)


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol, but plain requests to an `Express` are served before it parses them.

    `_unread` is what may be a plain request, or came behind one that is being served. `_within`
    tells that uvicorn has read a part of a request, `_last` that no other is to be served.
    """

    _express: Express | None = None
    _unread = b""
    _serving = False
    _within = False
    _last = False
    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        super().connection_made(transport)
        self._express = self.app if isinstance(self.app, Express) else None

    def data_received(self, data: bytes) -> None:
        """Serve what arrived where it is a plain request, or let uvicorn read it."""
        self._unread += data
        if self._serving:
            self.flow.pause_reading()
        else:
            self._read()

    def on_message_begin(self) -> None:
        """Follow uvicorn's parser."""
        self._within = True
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """Follow uvicorn's parser."""
        self._within = False
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """End; half a request is the framework's, which tells of it."""
        if not self._serving:
            self._hand_over()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """End once what is under way is answered."""
        self._last = self._serving
        if not self._serving:
            self._hand_over()
            super().shutdown()

    def _read(self) -> None:
        express = self._express
        if express is None or not (request := self._request(express)):
            self._hand_over()
        elif request.missing:
            self._patience = self._patience or self.loop.call_later(PATIENCE_S, self._hand_over)
        else:
            self._serve(express, request)

    def _request(self, express: Express) -> Request | None:
        """Return the one plain request that is unread; None where uvicorn is to read."""
        cycle: RequestResponseCycle | None = self.cycle
        busy = self._within or (cycle is not None and not cycle.response_complete)
        request = None if busy or self.flow.write_paused else express.request(self._unread)
        return request if request and request.missing >= 0 else None

    def _serve(self, express: Express, request: Request) -> None:
        ask = express.read(request)
        if ask is None:
            self._hand_over()
        else:
            self._taken()
            self._serving = True
            ask(partial(self._answer, express, request))

    def _taken(self) -> bytes:
        """Return what was unread, which somebody takes now."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        self._unset_keepalive_if_required()
        taken, self._unread = self._unread, b""
        return taken

    def _hand_over(self) -> None:
        if unread := self._taken():
            super().data_received(unread)

    def _answer(self, express: Express, request: Request, reply: Reply) -> None:
        self._serving = False
        if self.transport.is_closing():
            seconds = time.perf_counter() - request.since
            middleware.count(request.lane.path, middleware.CLIENT_GONE, seconds)
            return
        try:
            told = reply()
        except Exception as error:  # noqa: BLE001 - all errors are explained in one place
            self._pass_on(request, express.refusal(request, error))
            return
        if told is None:
            self._pass_on(request, express)
            return
        status, more, body = told
        name = middleware.request_name([request.headers.get(b"x-request-id", b"")])
        middleware.count(request.lane.path, status, time.perf_counter() - request.since)
        self._write(_HEAD % (_STATUS[status], name.encode(), len(body), more), body)

    def _pass_on(self, request: Request, app: ASGIApp) -> None:
        """Let uvicorn read a request after all, and this app answer it."""
        express, self.app = self.app, app
        super().data_received(request.raw)
        self.app = express
        if self._last:
            self.shutdown()
        self._hand_over()

    def _write(self, head: bytes, body: bytes) -> None:
        standing = [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
        closing = b"connection: close\r\n" if self._last else b""
        self.transport.write(b"".join((head, *standing, closing, b"\r\n", body)))
        if closing:
            self.transport.close()
        self.on_response_complete()
        if self._unread and not closing:
            self._read()


_HEAD = (
    b"HTTP/1.1 %b\r\nx-request-id: %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%b"
)
_STATUS = {200: b"200 OK", 201: b"201 Created"}
