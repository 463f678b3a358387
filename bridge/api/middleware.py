"""What happens to every request, as plain ASGI: a name, an answer, a limit, a log line."""

import asyncio
import itertools
import logging
import re
import secrets
import time
from collections.abc import Iterable
from functools import cache
from http import HTTPStatus

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
        name = request_name(value for key, value in scope["headers"] if key == b"x-request-id")
        # The server gives each request a context of its own, so nothing need be taken back.
        structlog.contextvars.bind_contextvars(request_id=name)
        scope.setdefault("state", {})
        started = time.perf_counter()
        status = CLIENT_GONE

        async def reply(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append((b"x-request-id", name.encode()))
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


def _declared(scope: Scope) -> int:
    length = Headers(scope=scope).get("content-length", "")
    return int(length) if re.fullmatch("[0-9]{1,19}", length) else 0


def request_name(given: Iterable[bytes]) -> str:
    """Return the first good X-Request-Id that a request was given, or else a new one."""
    good = next(filter(_REQUEST_ID.fullmatch, given), None)
    return good.decode() if good else f"{_PROCESS}{next(_numbers):08x}"


def _tell(scope: Scope, status: int, seconds: float) -> None:
    """Count and log a request; the query is left out, since secrets end up in queries.

    What went well is logged for debugging only: the ledger tells of it, and a line takes as long as
    a debit.
    """
    route = getattr(scope.get("route"), "path", "none")
    count(route, status, seconds)
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


def count(route: str, status: int, seconds: float) -> None:
    """Count a request in the metrics."""
    requests, durations = _meters(route, status)
    requests.inc()
    durations.observe(seconds)


@cache
def _meters(route: str, status: int) -> tuple[Counter, Histogram]:
    return metrics.requests_total.labels(route, status), metrics.request_seconds.labels(route)
