"""The wc/v3 REST interface: who may, which route, and what an error looks like."""

import re
from collections.abc import Sequence
from typing import Any

from bridge.sandbox.auth import Gate
from bridge.sandbox.orders import RefusedError
from bridge.sandbox.render import REST_ROOT
from bridge.sandbox.resources import Endpoint, Handler, Route
from bridge.sandbox.rest_orders import BrokenOrderError
from bridge.sandbox.wire import CRITICAL_ERROR_PAGE, Request, Response, RestError

_DENIALS = {
    "list": ("woocommerce_rest_cannot_view", "Sorry, you cannot list resources."),
    "view": ("woocommerce_rest_cannot_view", "Sorry, you cannot view this resource."),
    "create": ("woocommerce_rest_cannot_create", "Sorry, you are not allowed to create resources."),
    "edit": ("woocommerce_rest_cannot_edit", "Sorry, you are not allowed to edit this resource."),
    "delete": (
        "woocommerce_rest_cannot_delete",
        "Sorry, you are not allowed to delete this resource.",
    ),
}
_NO_ROUTE = (
    "rest_no_route",
    "No route was found matching the URL and request method.",
    404,
)


class Rest:
    """Answers everything below /wp-json."""

    def __init__(self, gate: Gate, site_url: str, routes: Sequence[Route]) -> None:
        self._gate = gate
        self._site_url = site_url
        self._routes = [
            (re.compile(f"{REST_ROOT}{route.pattern}/?", re.ASCII), route) for route in routes
        ]

    def answer(self, request: Request) -> Response:
        """Answer one request; every error is an answer too."""
        try:
            admitted = self._gate.admits(request, self._site_url)
            route, ids = self._route(request.path)
            handler = _permitted(_endpoint(route, request.method), admitted=admitted)
        except RestError as error:
            return self._dressed(error.response())
        response = _handled(handler, request, ids)
        return self._dressed(response, Allow=", ".join(route.endpoints))

    def _dressed(self, response: Response, **headers: str) -> Response:
        common = {
            "Link": f'<{self._site_url}/wp-json/>; rel="https://api.w.org/"',
            "X-Robots-Tag": "noindex",
            "X-Content-Type-Options": "nosniff",
        }
        return response._replace(headers={**common, **headers, **response.headers})

    def _route(self, path: str) -> tuple[Route, list[int]]:
        for pattern, route in self._routes:
            if match := pattern.fullmatch(path):
                return route, [int(group) for group in match.groups()]
        raise RestError(*_NO_ROUTE)


def _endpoint(route: Route, method: str) -> Endpoint:
    try:
        return route.endpoints["GET" if method == "HEAD" else method]
    except KeyError:
        raise RestError(*_NO_ROUTE) from None


def _permitted(endpoint: Endpoint, *, admitted: bool) -> Handler:
    deed, handler = endpoint
    if not admitted:
        raise RestError(*_DENIALS[deed], 401)
    return handler


def _handled(handler: Handler, request: Request, ids: list[int]) -> Response:
    try:
        return handler(request, *ids)
    except RestError as error:
        return error.response()
    except RefusedError as error:
        return _refused(error)
    except BrokenOrderError:
        return CRITICAL_ERROR_PAGE


def _refused(error: RefusedError) -> Response:
    """A refused refund carries a bare number as its data (seen on WooCommerce 10.5)."""
    data: Any = 500 if error.status == 500 else {"status": error.status}
    return Response.json({"code": error.code, "message": str(error), "data": data}, error.status)
