"""What all REST resources share: their routes, JSON bodies, `_fields` and pages."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from bridge.sandbox.params import PAGING, check
from bridge.sandbox.query import page_headers, page_of
from bridge.sandbox.wire import OAUTH_PREFIX, Request, Response, RestError

Handler = Callable[..., Response]
Endpoint = tuple[str, Handler]


class Route(NamedTuple):
    """An address below wc/v3; for each method its kind of access ("list", "edit") and handler."""

    pattern: str
    endpoints: Mapping[str, Endpoint]


def editing(handler: Handler) -> dict[str, Endpoint]:
    """Return the three methods that WooCommerce takes for an update."""
    return dict.fromkeys(("POST", "PUT", "PATCH"), ("edit", handler))


def json_fields(request: Request) -> dict[str, Any]:
    """Read a JSON body; an empty one is an empty object, as in WordPress."""
    try:
        fields = json.loads(request.body or b"{}")
    except ValueError as error:
        cut = isinstance(error, json.JSONDecodeError) and error.msg.startswith(
            "Unterminated string"
        )
        why = (
            (3, "Control character error, possibly incorrectly encoded")
            if cut
            else (4, "Syntax error")
        )
        raise RestError(
            "rest_invalid_json",
            "Invalid JSON body passed.",
            400,
            json_error_code=why[0],
            json_error_message=why[1],
        ) from None
    return fields if isinstance(fields, dict) else {}


def page_response(
    request: Request, site_url: str, rows: Sequence[Any], show: Callable[[Any], Any]
) -> Response:
    """Answer one page of the rows, showing only those."""
    check(request.params, PAGING)
    page = page_of(rows, request.params)
    echoed = {name: text for name, text in request.query.items() if name.startswith(OAUTH_PREFIX)}
    headers = page_headers(page, site_url + request.path, request.params, echoed)
    shown = [only_fields(show(row), request.params) for row in page.rows]
    return Response.json(shown, headers=headers)


def only_fields(shown: dict[str, Any], params: Mapping[str, str]) -> dict[str, Any]:
    """Keep the `_fields` asked for; dots reach into objects (rest_filter_response_fields)."""
    if "_fields" not in params:
        return shown
    wanted: dict[str, Any] = {}
    for path in re.split(r"[\s,]+", params["_fields"].strip()):
        branch = wanted
        for name in path.split("."):
            branch = branch.setdefault(name, {})
    return _pruned(shown, wanted)


def _pruned(shown: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _pruned(value, wanted[name]) if wanted[name] and isinstance(value, dict) else value
        for name, value in shown.items()
        if name in wanted
    }
