"""What happens to every request, as plain ASGI: a name, an answer, a limit, a log line."""

import asyncio
import itertools
import logging
import re
import secrets
import time
from functools import cache
from http import HTTPStatus
from typing import Any

import structlog
from prometheus_client import Counter, Histogram
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bridge import metrics
from bridge.api import problems
from bridge.api.problems import ProblemError

BODY_SIZE_MAX = 1_048_576
"""Bytes in a request's body."""

BODY_WAIT_MAX_S = 30
"""Seconds for a request's body to arrive."""

CLIENT_GONE = 499
"""What the log and the metrics call a request whose caller went away; nobody is answered."""

# A name of this process and a number: asking the kernel for chance each time takes longer.
_PROCESS = secrets.token_hex(6)
_numbers = itertools.count(1)
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")

log = structlog.get_logger()


class BodyTooLargeError(ProblemError):
    """The body has more than BODY_SIZE_MAX bytes."""

    def __init__(self) -> None:
        detail = f"the body is larger than {BODY_SIZE_MAX} bytes; split the request"
        super().__init__(413, "body_too_large", detail)


class BodyTooSlowError(ProblemError):
    """The body did not arrive within BODY_WAIT_MAX_S."""

    def __init__(self) -> None:
        detail = f"the body did not arrive within {BODY_WAIT_MAX_S} seconds; send the request again"
        super().__init__(408, "body_too_slow", detail, headers={"Connection": "close"})


class Observe:
    """Names a request by X-Request-Id, and tells of it once."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        # The server gives each request a context of its own, so nothing need be taken back.
        structlog.contextvars.bind_contextvars(request_id=request_id)
        scope.setdefault("state", {})
        started = time.perf_counter()
        status = CLIENT_GONE

        async def reply(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append((b"x-request-id", request_id.encode()))
            await send(message)

        try:
            await self._app(scope, receive, reply)
        finally:
            _tell(scope, status, time.perf_counter() - started)


class Explain:
    """Answers what goes wrong within, unless an answer has begun."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        begun = False

        async def reply(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, reply)
        except ClientDisconnect:
            log.info("caller went away")
        except Exception as error:
            if begun or scope["type"] != "http":
                raise
            await problems.answer(error)(scope, receive, reply)


class LimitBody:
    """Stops reading a body that is, or says it is, larger than BODY_SIZE_MAX, or that dawdles."""

    def __init__(self, app: ASGIApp, wait_max_s: float = BODY_WAIT_MAX_S) -> None:
        self._app = app
        self._wait_max_s = wait_max_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; whoever reads its body gets BodyTooLarge- or BodyTooSlowError."""
        refused = scope["type"] == "http" and _declared(scope) > BODY_SIZE_MAX
        deadline = asyncio.get_running_loop().time() + self._wait_max_s
        size = 0
        more = scope["type"] == "http"

        async def limited() -> Message:
            nonlocal size, more
            if refused:
                raise BodyTooLargeError
            message = await (_before(deadline, receive) if more else receive())
            more = more and message.get("more_body", False)
            size += len(message.get("body", b""))
            if size > BODY_SIZE_MAX:
                raise BodyTooLargeError
            return message

        await self._app(scope, limited, send)


async def _before(deadline: float, receive: Receive) -> Message:
    try:
        async with asyncio.timeout_at(deadline):
            return await receive()
    except TimeoutError:
        raise BodyTooSlowError from None


class Patience:
    """Receives messages that are nearly always there, and ends the waits for those that are not.

    It looks at all waits now and then: a timer for each would take longer than reading the message.
    """

    def __init__(self, wait_max_s: float = BODY_WAIT_MAX_S, look_interval_s: float = 1) -> None:
        self._wait_max_s = wait_max_s
        self._look_interval_s = look_interval_s
        self._deadlines: dict[asyncio.Task[Any], float] = {}
        self._ended: set[asyncio.Task[Any]] = set()
        self._looking = False

    async def receive(self, receive: Receive) -> Message:
        """Receive a message; BodyTooSlowError where it takes longer than `wait_max_s`."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        if task is None:  # only a task can be made to stop waiting
            return await receive()
        self._deadlines[task] = loop.time() + self._wait_max_s
        if not self._looking:
            self._looking = True
            loop.call_later(self._look_interval_s, self._look, loop)
        try:
            return await receive()
        except asyncio.CancelledError:
            if task in self._ended and not task.uncancel():
                raise BodyTooSlowError from None
            raise
        finally:
            del self._deadlines[task]
            self._ended.discard(task)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for task in [task for task, deadline in self._deadlines.items() if deadline <= now]:
            self._ended.add(task)
            task.cancel()
        self._looking = bool(self._deadlines)
        if self._looking:
            loop.call_later(self._look_interval_s, self._look, loop)


def _declared(scope: Scope) -> int:
    length = Headers(scope=scope).get("content-length", "")
    return int(length) if re.fullmatch("[0-9]{1,19}", length) else 0


def _request_id(scope: Scope) -> str:
    for name, given in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(given):
            return str(given, "ascii")
    return f"{_PROCESS}{next(_numbers):08x}"


def _tell(scope: Scope, status: int, seconds: float) -> None:
    """Count and log a request; the query is left out, since secrets end up in queries.

    What went well is logged for debugging only: the ledger tells of it, and a line takes as long as
    a debit.
    """
    route = getattr(scope.get("route"), "path", "none")
    requests, durations = _meters(route, status)
    requests.inc()
    durations.observe(seconds)
    good = status < HTTPStatus.BAD_REQUEST
    if good and not logging.getLogger().isEnabledFor(logging.DEBUG):
        return
    tell = log.debug if good else log.info
    tell(
        "request",
        method=scope["method"],
        path=scope["path"],
        status=status,
        ms=round(seconds * 1000, 1),
        caller=getattr(scope["state"].get("key"), "name", None),
    )


@cache
def _meters(route: str, status: int) -> tuple[Counter, Histogram]:
    return metrics.requests_total.labels(route, status), metrics.request_seconds.labels(route)
