"""Requests read strictly: what two readers could take in two ways is refused."""

import json
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from bridge.api.problems import ProblemError, invalid


def loads(raw: bytes) -> Any:
    """Parse UTF-8 JSON; ProblemError 400 where it is not, or where an object has a name twice."""
    try:
        return _decode(raw.decode())
    except (ValueError, RecursionError) as error:
        raise ProblemError(400, "invalid_json", f"the body is not JSON: {error}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has the same name twice")
    return found


# Made once: json.loads would make a decoder each time.
_decode = json.JSONDecoder(object_pairs_hook=_object).decode


class StrictRoute(APIRoute):
    """A route whose query and body were checked and parsed before anything else looks at them."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler with a strict reader before it."""
        handle = super().get_route_handler()
        body = self.body_field

        async def strict(request: Request) -> Response:
            _refuse_doubled(request)
            if body is None:
                return await handle(request)
            parsed = _Parsed(request.scope, request.receive)
            await parsed.parse(required=body.field_info.is_required())
            return await handle(parsed)

        return strict


def _refuse_doubled(request: Request) -> None:
    given = Counter(name for name, _ in request.query_params.multi_items())
    doubled = [(name, "is given more than once") for name, times in given.items() if times > 1]
    if doubled:
        raise invalid(doubled)


class _Parsed(Request):
    """A request whose JSON is known."""

    value: Any = None

    async def parse(self, *, required: bool) -> None:
        """Read the body; an empty one is fine where none is required."""
        raw = await self.body()
        if not raw:
            if required:
                raise ProblemError(400, "invalid_json", "the body is empty; send a JSON object")
            return
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            detail = f"the Content-Type is {kind or 'missing'}; send application/json"
            raise ProblemError(415, "unsupported_media_type", detail)
        self.value = loads(raw)

    async def json(self) -> Any:
        """Return what was parsed."""
        return self.value
