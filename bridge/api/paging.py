"""Opaque cursors: where the next page of a list begins."""

import base64
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from bridge.api.problems import invalid
from bridge.domain.clock import Instant
from bridge.domain.money import AMOUNT_MAX

T = TypeVar("T")


def page(
    rows: Sequence[T], limit: int, place: Callable[[T], Any]
) -> tuple[Sequence[T], str | None]:
    """Split what was read, one row more than `limit`, into the page and the next page's cursor."""
    if len(rows) <= limit:
        return rows, None
    text = json.dumps(place(rows[limit - 1]), separators=(",", ":"))
    return rows[:limit], base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def place(cursor: str, *types: type) -> list[Any]:
    """Return the values, of these types, that a cursor names; ProblemError 422 for other text."""
    padded = cursor + "=" * (-len(cursor) % 4)
    try:
        found = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or [type(value) for value in found] != list(types):
        raise _foreign()
    if not all(map(_storable, found)):
        raise _foreign()
    return found


def before(cursor: str | None) -> tuple[Instant, str] | None:
    """Return time and id of the last row of the page before, where the newest come first."""
    if cursor is None:
        return None
    created_at, row_id = place(cursor, int, str)
    return created_at, row_id


def _storable(value: str | int) -> bool:
    if isinstance(value, int):
        return abs(value) <= AMOUNT_MAX
    return value.isascii() and "\0" not in value


def _foreign() -> Exception:
    return invalid([("cursor", "should be the next_cursor of the page before, unchanged")])
