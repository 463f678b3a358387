"""The express lane: debits, which are most of what a SaaS core asks, past the framework and ASGI.

It takes only requests that are plainly good, from the protocol that parsed them, and answers with
one write and without a task: both cost more than a debit. Whatever else a request may be goes on to
the framework as it came, so that one place refuses and explains; both make the same drafts and the
same answers (docs/decisions/0017).
"""

import asyncio
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import msgspec
from pydantic import ValidationError
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from bridge.api import debits, middleware, moves, strict
from bridge.api.asks import DebitAsk, DebitBatchAsk
from bridge.api.auth import KeyRing
from bridge.api.problems import ProblemError, invalid
from bridge.api.services import Desk
from bridge.domain.entry import REPLAYED, Draft, Outcome
from bridge.domain.errors import BridgeError
from bridge.domain.tenant import is_tenant_id
from bridge.store.batcher import Result
from bridge.store.shown import shown

LENGTH_DIGITS_MAX = 6
"""Digits of a Content-Length that surely is within the limit of `LimitBody`."""

PATIENCE_S = 1
"""Seconds for the rest of a body to arrive, before the framework waits for it."""


class Express:
    """An ASGI app, and how its plain debits are read and posted past it.

    `refusing` makes the app that answers with an error.
    """

    def __init__(
        self, app: ASGIApp, desk: Desk, ring: KeyRing, refusing: Callable[[Exception], ASGIApp]
    ) -> None:
        self._app = app
        self._ring = ring
        self._services = desk.services
        self.refusing = refusing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request that does not take the lane."""
        await self._app(scope, receive, send)

    def lane(self, scope: Scope) -> "_Lane | None":
        """Return the lane of a request whose head is plainly good; its key is in the scope then."""
        lane = _LANES.get(scope["path"])
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"")
        plain = (
            scope["method"] == "POST"
            and not scope["query_string"]
            and len(headers) == len(scope["headers"])  # none is given twice
            and headers.get(b"content-type") == b"application/json"
            and 0 < len(length) <= LENGTH_DIGITS_MAX
        )
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        # A log that tells of every request is written where all requests come by.
        if not (lane and plain) or scheme != b"Bearer" or _telling_all():
            return None
        key = self._ring.at_once(token.decode("latin-1"))
        if key is None or "debit" not in key.scopes:
            return None
        scope["state"]["key"] = key
        return lane

    def drafts(self, lane: "_Lane", scope: Scope, body: bytes) -> list[Draft] | None:
        """Return what a request asks for, None where it is not plainly good."""
        caller = scope["state"]["key"].name
        try:
            drafts = lane.read(strict.loads(body), caller, dict(scope["headers"]))
        except (ProblemError, ValidationError):
            return None
        pattern = self._services.tenant_pattern
        return drafts if all(is_tenant_id(d.tenant_id, pattern) for d in drafts) else None

    def post(self, drafts: Sequence[Draft], answer: Callable[[Result], None]) -> None:
        """Post drafts in one commit that other requests share."""
        try:
            self._services.batcher.hand_in(drafts, answer)
        except BridgeError as error:
            answer(error)


def _telling_all() -> bool:
    return logging.getLogger().isEnabledFor(logging.DEBUG)


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol, but plain debits of an `Express` are served without a task."""

    _taken: "_Taken | None" = None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Serve a request: uvicorn calls this when its head is there and its turn has come."""
        free = isinstance(app, Express) and cycle.keep_alive and not cycle.waiting_for_100_continue
        lane = app.lane(cycle.scope) if free else None
        if lane is None:
            self.hand_over(cycle, app)
            return
        self._taken = _Taken(self, cycle, app, lane)
        if not cycle.more_body:  # it came while the one before was served
            self._taken.serve()

    def data_received(self, data: bytes) -> None:
        """Parse what arrived; the rest of a body is waited for, a little."""
        super().data_received(data)
        if self._taken is not None and self._taken.cycle.more_body:
            self._taken.wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """End; half a request is the framework's, which tells of it."""
        super().connection_lost(exc)
        if self._taken is not None and self._taken.cycle.more_body:
            self._taken.hand_over()

    def on_body(self, body: bytes) -> None:
        """Gather a body; the lane's may be longer than uvicorn reads ahead."""
        super().on_body(body)
        if self._taken is not None and self._taken.cycle is self.cycle:
            self.flow.resume_reading()

    def on_message_complete(self) -> None:
        """Serve what is whole."""
        super().on_message_complete()
        if self._taken is not None and self._taken.cycle is self.cycle:
            self._taken.serve()

    def hand_over(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Let an app serve a request, as uvicorn does."""
        self._taken = None
        super()._start_asgi_task(cycle, app)

    def complete(self, cycle: RequestResponseCycle, head: bytes, body: bytes) -> None:
        """Answer a request in one write; `head` is the status line and headers."""
        self._taken = None
        cycle.response_started = cycle.response_complete = True
        if cycle.disconnected:
            return
        standing = [b"%b: %b\r\n" % header for header in cycle.default_headers]
        closing = b"" if cycle.keep_alive else b"connection: close\r\n"
        self.transport.write(b"".join((head, *standing, closing, b"\r\n", body)))
        if closing:
            self.transport.close()
        self.on_response_complete()


class _Taken:
    """A request in the lane."""

    def __init__(
        self, protocol: Protocol, cycle: RequestResponseCycle, express: Express, lane: "_Lane"
    ) -> None:
        self.cycle = cycle
        self._protocol = protocol
        self._express = express
        self._lane = lane
        self._scope = cast("Scope", cycle.scope)
        self._started = time.perf_counter()
        self._patience: asyncio.TimerHandle | None = None
        self._drafts: Sequence[Draft] = ()

    def wait(self) -> None:
        """Leave the request to the framework if its body does not come soon."""
        if self._patience is None:
            self._patience = self._protocol.loop.call_later(PATIENCE_S, self.hand_over)

    def serve(self) -> None:
        """Post what the request asks for, or leave it to the framework."""
        if self._patience is not None:
            self._patience.cancel()
        drafts = self._express.drafts(self._lane, self._scope, bytes(self.cycle.body))
        if drafts is None or self._protocol.flow.write_paused:
            self.hand_over()
        else:
            self._drafts = drafts
            self._express.post(drafts, self._answer)

    def hand_over(self) -> None:
        """Leave the request to the framework."""
        if self._patience is not None:
            self._patience.cancel()
        self._protocol.hand_over(self.cycle, self._express)

    def _answer(self, result: Result) -> None:
        try:
            if isinstance(result, Exception):
                raise result  # noqa: TRY301 - all errors are explained in one place
            status, more, body = self._lane.answer(self._drafts, result)
        except Exception as error:  # noqa: BLE001 - as above
            self._scope["route"] = self._lane
            self._protocol.hand_over(self.cycle, self._express.refusing(error))
            return
        name = middleware.request_id(self._scope)
        middleware.count(self._lane.path, status, time.perf_counter() - self._started)
        head = _HEAD % (_STATUS[status], name.encode(), len(body), more)
        self._protocol.complete(self.cycle, head, body)


_HEAD = (
    b"HTTP/1.1 %b\r\nx-request-id: %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%b"
)
_STATUS = {200: b"200 OK", 201: b"201 Created"}
_REPLAYED = moves.REPLAYED_HEADER.lower().encode() + b": true\r\n"
_Answer = tuple[int, bytes, bytes]


class _Lane(NamedTuple):
    """How one path is served. `path` is its name in the metrics.

    `read` makes drafts of a body, a caller and headers, and raises what is wrong with them.
    `answer` returns a status, more header lines and a body, or raises why there is none.
    """

    path: str
    read: Callable[[Any, str, Mapping[bytes, bytes]], list[Draft]]
    answer: Callable[[Sequence[Draft], Sequence[Outcome]], _Answer]


_KEY = re.compile(rb"[ -~]{1,255}")


def _read_one(body: Any, caller: str, headers: Mapping[bytes, bytes]) -> list[Draft]:
    key = headers.get(b"idempotency-key", b"")
    if not _KEY.fullmatch(key):
        raise invalid([("Idempotency-Key", "is required")])
    return [debits.draft(DebitAsk.model_validate(body), caller, key.decode())]


def _answer_one(drafts: Sequence[Draft], outcomes: Sequence[Outcome]) -> _Answer:
    [draft], [outcome] = drafts, outcomes
    if outcome.entry is None:
        raise moves.declined(draft, outcome)
    replayed = _REPLAYED if outcome.status == REPLAYED else b""
    return 201, replayed, msgspec.json.encode(shown(outcome.entry))


def _read_many(body: Any, caller: str, _headers: Mapping[bytes, bytes]) -> list[Draft]:
    asked = DebitBatchAsk.model_validate(body)
    return [debits.draft(debit, caller, debit.idempotency_key) for debit in asked.debits]


def _answer_many(drafts: Sequence[Draft], outcomes: Sequence[Outcome]) -> _Answer:
    data = list(map(debits.became, drafts, outcomes))
    return 200, b"", msgspec.json.encode({"data": data})


_LANES = {
    lane.path: lane
    for lane in (
        _Lane("/v1/debits", _read_one, _answer_one),
        _Lane("/v1/debits/batch", _read_many, _answer_many),
    )
}
