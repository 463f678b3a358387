"""A window of time on a storefront's orders: by change (the poll) or by creation (the sweep)."""

from collections.abc import Callable
from typing import NamedTuple

from bridge.domain.clock import SECOND, Instant, to_datetime
from bridge.storefront.errors import SMALLER_MAY_DO
from bridge.storefront.paging import Slice
from bridge.storefront.parse import FIELDS, row_id
from bridge.storefront.reply import Reply
from bridge.storefront.session import Params
from bridge.storefront.transport import Transport

LISTS = ("any", "trash")
"""WooCommerce's `any` holds every status, custom ones too, but not trash. In this order, an order
trashed while we read is met in the second list."""


class Axis(NamedTuple):
    """One time stamp and its parameters: both bounds are exclusive and count whole seconds."""

    field: str
    after: str
    before: str
    orderby: str


MODIFIED = Axis("date_modified_gmt", "modified_after", "modified_before", "modified")
CREATED = Axis("date_created_gmt", "after", "before", "date")


class Window:
    """Orders stamped from `since` on, up to `until` or the storefront's present.

    The first answer fixes the upper bound, by the storefront's own clock, for all that follow.
    From then on `until` (0 before) says how far the window reaches for certain: by the earlier of
    that clock and ours, since either may be wrong and reading twice costs nothing.
    """

    def __init__(
        self, transport: Transport, axis: Axis, since: Instant, until: Instant | None
    ) -> None:
        self._transport = transport
        self.axis = axis
        self._params: Params = {
            axis.after: _second(since - SECOND),
            "orderby": axis.orderby,
            "order": "asc",
            "dates_are_gmt": "true",
        }
        self._limit = until
        if until is not None:
            self._params[axis.before] = _second(until + SECOND - 1)
        self.until: Instant = 0

    def ask(
        self, status: str, offset: int, count: int, *, fields: str = FIELDS, insist: bool
    ) -> Slice:
        """Return rows of one of LISTS; errors as `Transport.get`."""
        place: Params = {"status": status, "offset": offset, "per_page": count, "_fields": fields}
        reply = self._transport.get("orders", self._params | place, insist=insist)
        found = Slice(reply.order_rows(), reply.total(), reply.sent_at)
        if not self.until:
            self._fix(reply)
        return found

    def _fix(self, reply: Reply) -> None:
        """Let `until` be when we asked, for what is stamped later may not have been seen."""
        asked_at = min(reply.asked_at, reply.sent_at)
        self.until = asked_at if self._limit is None else min(asked_at, self._limit)
        present = reply.date or reply.received_at
        self._params.setdefault(self.axis.before, _second(present + SECOND))


class StatusListing:
    """One of a window's LISTS, as paging reads it."""

    def __init__(self, window: Window, status: str, ping: Callable[[], float]) -> None:
        self.sorted_by = window.axis.field
        self._window = window
        self._status = status
        self._ping = ping

    def ask(self, offset: int, count: int, *, insist: bool) -> Slice:
        """Return up to `count` rows from `offset`."""
        return self._window.ask(self._status, offset, count, insist=insist)

    def id_at(self, offset: int) -> int | None:
        """Return the id of a row that cannot be had in full, if at least that can."""
        try:
            rows = self._window.ask(self._status, offset, 1, fields="id", insist=False).rows
        except SMALLER_MAY_DO:
            return None
        return row_id(rows[0]) if rows else None

    def prove_alive(self) -> None:
        """Raise if the storefront does not even answer a ping."""
        self._ping()


def _second(instant: Instant) -> str:
    return to_datetime(instant).strftime("%Y-%m-%dT%H:%M:%S")
