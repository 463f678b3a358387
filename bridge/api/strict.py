"""JSON bodies read strictly: what two readers could take in two ways is refused."""

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from bridge.api.problems import ProblemError


def loads(raw: bytes) -> Any:
    """Parse UTF-8 JSON; ProblemError 400 where it is not, or where an object has a name twice."""
    try:
        return json.loads(raw.decode(), object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise ProblemError(400, "invalid_json", f"the body is not JSON: {error}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has the same name twice")
    return found


class StrictRoute(APIRoute):
    """A route whose body was read, checked and parsed before anything else looks at it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, with a strict reader before it where the route takes a body."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle
        required = self.body_field.field_info.is_required()

        async def strict(request: Request) -> Response:
            parsed = _Parsed(request.scope, request.receive)
            await parsed.parse(required=required)
            return await handle(parsed)

        return strict


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
