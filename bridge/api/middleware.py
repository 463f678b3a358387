"""What happens to every request, as plain ASGI: a name, a limit, an answer, a log line."""

import asyncio
import re
import secrets
import time

import structlog
from starlette.datastructures import Headers, MutableHeaders
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

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)

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
    """Names a request by X-Request-Id, answers what went wrong within, and tells of it once."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        started = time.perf_counter()
        status = 0

        async def reply(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, reply)
            except ClientDisconnect:
                log.info("caller went away")
            except Exception as error:
                if status:
                    raise
                await problems.answer(error)(scope, receive, reply)
            finally:
                _tell(scope, status or CLIENT_GONE, time.perf_counter() - started)


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


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def _tell(scope: Scope, status: int, seconds: float) -> None:
    """Count and log a request; the query is left out, since secrets end up in queries."""
    route = getattr(scope.get("route"), "path", "none")
    metrics.requests_total.labels(route, status).inc()
    metrics.request_seconds.labels(route).observe(seconds)
    log.info(
        "request",
        method=scope["method"],
        path=scope["path"],
        status=status,
        ms=round(seconds * 1000, 1),
        caller=getattr(scope.get("state", {}).get("key"), "name", None),
    )
