"""Errors as RFC 9457 problems, with a `code` that programs can lean on."""

import json
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bridge.domain.errors import BridgeError, InvalidRequestError, UnavailableError
from bridge.domain.money import UnknownCurrencyError

RETRY_AFTER_S = 2
"""Seconds after which a caller may ask again when bridge could not answer."""

MEDIA_TYPE = "application/problem+json"
IDEMPOTENCY_KEY = "Idempotency-Key"

log = structlog.get_logger()


class Problem(BaseModel):
    """An error, as RFC 9457 has it. Decide by `code`; `detail` is written for people."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:problem-type:bridge:insufficient_balance",
                    "title": "Insufficient balance",
                    "status": 402,
                    "detail": "less is available than asked for; deposit at least the shortfall",
                    "code": "insufficient_balance",
                    "available": 1500,
                    "shortfall": 400,
                    "currency": "EUR",
                }
            ]
        },
    )

    type: str = Field(description="`urn:problem-type:bridge:` and the code.")
    title: str = Field(description="The code in words.")
    status: int
    detail: str = Field(description="What happened, and what to do.")
    code: str


class ProblemError(BridgeError):
    """An answer that is an error: HTTP status, stable code, advice and further members."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.http_status = status
        self.code = code
        self.headers = headers
        self.members = members


def shape(error: ProblemError) -> dict[str, Any]:
    """Return the problem's JSON object."""
    return {
        "type": f"urn:problem-type:bridge:{error.code}",
        "title": error.code.replace("_", " ").capitalize(),
        "status": error.http_status,
        "detail": str(error),
        "code": error.code,
        **error.members,
    }


def answer(error: Exception) -> Response:
    """Return the response for an error, and log it where it is ours."""
    problem = _problem(error)
    return Response(
        # In ASCII, since a refused field's name may hold what UTF-8 cannot: a lone surrogate.
        json.dumps(shape(problem)),
        problem.http_status,
        headers=problem.headers,
        media_type=MEDIA_TYPE,
    )


async def handle(_request: Request, error: Exception) -> Response:
    """Answer an error; the form frameworks call it by."""
    return answer(error)


def invalid(
    errors: Sequence[tuple[str, str]], code: str = InvalidRequestError.code
) -> ProblemError:
    """Return the problem of a request whose fields, by name, are wrong."""
    detail = "; ".join(f"{field} {message}" for field, message in errors)
    members = [{"field": field, "message": message} for field, message in errors]
    return ProblemError(422, code, detail, errors=members)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses of endpoints that may answer with problems of these statuses."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": content}
        for status in statuses
    }


def _problem(error: Exception) -> ProblemError:
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, UnavailableError):
        return _unavailable(error)
    if isinstance(error, BridgeError):
        return ProblemError(error.http_status, error.code, str(error))
    if isinstance(error, RequestValidationError):
        return _invalid_request(error.errors())
    if isinstance(error, HTTPException):
        return _http(error)
    log.error("request failed", exc_info=error)
    detail = "bridge made a mistake; its log says more under the X-Request-Id of this answer"
    return ProblemError(500, BridgeError.code, detail)


def _unavailable(error: UnavailableError) -> ProblemError:
    detail = str(error)
    if error.code == UnavailableError.code:
        # The driver's words may name hosts and roles: they are for the log only.
        log.warning("request refused", why=detail)
        detail = "bridge cannot answer now; retry later with the same Idempotency-Key"
    headers = {"Retry-After": str(RETRY_AFTER_S)}
    return ProblemError(error.http_status, error.code, detail, headers=headers)


def _http(error: HTTPException) -> ProblemError:
    """Explain what the router raises: 404 and 405."""
    if error.status_code == 404:
        detail = "there is nothing at this address; check the path"
        return ProblemError(404, "route_not_found", detail)
    detail = "this address does not answer to that method"
    return ProblemError(error.status_code, "method_not_allowed", detail, headers=error.headers)


def _invalid_request(errors: Iterable[Any]) -> ProblemError:
    found = [(_field(error["loc"]), _words(error["msg"])) for error in errors]
    if (IDEMPOTENCY_KEY, "is required") in found:
        detail = f"{IDEMPOTENCY_KEY} is required: a request sent again with its key counts once"
        return ProblemError(400, "idempotency_key_missing", detail)
    if {error["type"] for error in errors} == {UnknownCurrencyError.code}:
        return invalid(found, UnknownCurrencyError.code)
    return invalid(found)


def _field(place: Sequence[str | int]) -> str:
    """Write pydantic's ("body", "debits", 3, "amount") as debits[3].amount."""
    steps = place[1:] or place
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return text.removeprefix(".")


def _words(message: str) -> str:
    """Turn pydantic's sentences into ones that begin with the field's name."""
    for theirs, ours in _WORDS.items():
        if message.startswith(theirs):
            return ours + message.removeprefix(theirs)
    return message


_WORDS = {
    "Field required": "is required",
    "Extra inputs are not permitted": "is not a known field",
    "Input should": "should",
    "String should": "should",
    "Dictionary should": "should",
    "List should": "should",
    "Value error, ": "",
}
