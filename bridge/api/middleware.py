"""What happens to every request, as plain ASGI: a name, a limit, an answer, a log line."""

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

CLIENT_GONE = 499
"""What the log and the metrics call a request whose caller went away; nobody is answered."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)

log = structlog.get_logger()


class BodyTooLargeError(ProblemError):
    """The body has more than BODY_SIZE_MAX bytes."""

    def __init__(self) -> None:
        detail = f"the body is larger than {BODY_SIZE_MAX} bytes; split the request"
        super().__init__(413, "body_too_large", detail)


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
    """Stops reading a body that is, or says it is, larger than BODY_SIZE_MAX."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; whoever reads its body gets BodyTooLargeError."""
        refused = scope["type"] == "http" and _declared(scope) > BODY_SIZE_MAX
        size = 0

        async def limited() -> Message:
            nonlocal size
            if refused:
                raise BodyTooLargeError
            message = await receive()
            size += len(message.get("body", b""))
            if size > BODY_SIZE_MAX:
                raise BodyTooLargeError
            return message

        await self._app(scope, limited, send)


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
