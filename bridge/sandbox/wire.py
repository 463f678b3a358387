"""Requests and answers, as plain values between the server and what answers."""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from bridge.sandbox.render import dump

OAUTH_PREFIX = "oauth_"
NO_HEADERS: Mapping[str, str] = MappingProxyType({})
UNCACHED = {
    "Expires": "Wed, 11 Jan 1984 05:00:00 GMT",
    "Cache-Control": "no-cache, must-revalidate, max-age=0, no-store, private",
}


class Request(NamedTuple):
    """A request as received. `params` has the last of each name, OAuth's own left out."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def params(self) -> dict[str, str]:
        """The query without OAuth's parameters."""
        return {
            name: value for name, value in self.query.items() if not name.startswith(OAUTH_PREFIX)
        }

    @property
    def form(self) -> dict[str, str]:
        """The body of a posted HTML form."""
        return dict(parse_qsl(self.body.decode(errors="replace"), keep_blank_values=True))

    @classmethod
    def received(
        cls, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> "Request":
        """Take a request line's target apart; of a doubled parameter the last counts, as in PHP."""
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        return cls(method, parts.path, query, headers, body)


class Response(NamedTuple):
    """An answer, whole."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @classmethod
    def json(
        cls, value: Any, status: int = HTTPStatus.OK, headers: Mapping[str, str] = NO_HEADERS
    ) -> "Response":
        """Answer JSON."""
        kind = {"Content-Type": "application/json; charset=UTF-8"}
        return cls(status, dump(value), {**kind, **UNCACHED, **headers})

    @classmethod
    def html(
        cls, page: str, status: int = HTTPStatus.OK, headers: Mapping[str, str] = NO_HEADERS
    ) -> "Response":
        """Answer a page."""
        kind = {"Content-Type": "text/html; charset=UTF-8"}
        return cls(status, page.encode(), {**kind, **UNCACHED, **headers})

    @classmethod
    def redirect(cls, location: str, status: int = HTTPStatus.FOUND) -> "Response":
        """Answer a redirect without a body."""
        return cls.html("", status, {"Location": location})


class RestError(Exception):
    """A WP_Error: its code, message and HTTP status, with more data where WordPress gives it."""

    def __init__(self, code: str, message: str, status: int, **data: Any) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.data = data

    def body(self) -> dict[str, Any]:
        """Return the error as the JSON object that WordPress makes of it."""
        data = {"status": self.status, **self.data}
        return {"code": self.code, "message": str(self), "data": data}

    def response(self) -> Response:
        """Return the error as WordPress answers it."""
        return Response.json(self.body(), self.status)


CRITICAL_ERROR_PAGE = Response.html(
    "<!DOCTYPE html><title>WordPress &rsaquo; Error</title>"
    "<p>There has been a critical error on this website.</p>",
    500,
)
