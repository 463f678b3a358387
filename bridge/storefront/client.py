"""Asking a WooCommerce storefront for orders (REST API wc/v3)."""

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from bridge.domain.clock import Clock, Instant
from bridge.domain.errors import ConfigurationError
from bridge.domain.order import Order, Unreadable
from bridge.storefront import address, paging, parse
from bridge.storefront.checkout import Checkout
from bridge.storefront.errors import SMALLER_MAY_DO, OrderGoneError, StorefrontAnswerError
from bridge.storefront.paging import Broken
from bridge.storefront.session import Limits, Params, SessionAPI
from bridge.storefront.transport import Transport
from bridge.storefront.window import CREATED, LISTS, MODIFIED, Axis, StatusListing, Window

PAGE_SIZE_MAX = 100
"""WooCommerce's own limit for `per_page`."""

_LIMITS = Limits()
# WooCommerce began in 2011: no order is older, so the list is empty and cheap, whatever is broken.
_NOTHING: Params = {
    "before": "2000-01-01T00:00:00",
    "dates_are_gmt": "true",
    "per_page": 1,
    "_fields": "id",
}


class Page(NamedTuple):
    """Some orders of a window, and orders that could not be read.

    `until` is the instant up to which the whole window reaches, by the storefront's clock and by
    ours: the cursor moves there once every page is dealt with.
    """

    orders: tuple[Order | Unreadable, ...]
    broken: tuple[Broken, ...]
    until: Instant


class Webhook(NamedTuple):
    """A webhook as the storefront has it: "active", or "disabled" after too many failures."""

    id: int
    topic: str
    status: str
    delivery_url: str


class Client:
    """One storefront. Its methods may be called from several threads, and those of `checkout`.

    They raise the errors of bridge.storefront.errors, which never hold a key or shopper data.
    """

    def __init__(  # noqa: PLR0913 - one storefront's settings, each by its name
        self,
        name: str,
        url: str,
        consumer_key: str,
        consumer_secret: str,
        *,
        clock: Clock,
        tag_key: str,
        connect_timeout_s: float = _LIMITS.connect_timeout_s,
        read_timeout_s: float = _LIMITS.read_timeout_s,
        body_bytes_max: int = _LIMITS.body_bytes_max,
        attempts_max: int = _LIMITS.attempts_max,
        retry_after_max_s: float = _LIMITS.retry_after_max_s,
        page_size_max: int = PAGE_SIZE_MAX,
        insecure_http: bool = False,
        verify_tls: bool | str = True,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not 1 <= page_size_max <= PAGE_SIZE_MAX:
            raise ConfigurationError(
                f"storefront {name}: page_size_max must be from 1 to {PAGE_SIZE_MAX}"
            )
        limits = Limits(
            connect_timeout_s, read_timeout_s, body_bytes_max, attempts_max, retry_after_max_s
        )
        base = address.checked(name, url, insecure_http=insecure_http)
        api = SessionAPI(base, consumer_key, consumer_secret, limits, verify_tls=verify_tls)
        self.name = name
        self._tag_key = tag_key
        self._page_size_max = page_size_max
        self._transport = Transport(name, api, limits, clock, sleep)
        self.checkout = Checkout(name, self._transport)

    def order(self, order_id: int) -> Order | Unreadable | None:
        """Return the order as it is now ("trash" is a status), None if it was deleted for good."""
        try:
            reply = self._transport.get(f"orders/{order_id}", {"_fields": parse.FIELDS})
        except OrderGoneError:
            return None
        return self._parse(reply.payload, reply.sent_at)

    def orders(self, order_ids: Iterable[int]) -> dict[int, Order | Unreadable | None]:
        """Return each order as it is now, None if deleted for good, many with one request.

        One the storefront breaks on, while it answers otherwise, is Unreadable.
        """
        found: dict[int, Order | Unreadable | None] = {}
        waiting = iter(dict.fromkeys(order_ids))
        while batch := list(islice(waiting, self._page_size_max)):
            for status in LISTS:
                found |= self._listed([one for one in batch if one not in found], status)
            found |= {one: self._single(one) for one in batch if one not in found}
        return found

    def with_refund_lines(self, order: Order) -> Order:
        """Return the order with `lines` in its refunds; OrderGoneError if it was deleted since."""
        if not order.refunds:
            return order
        path = f"orders/{order.id}/refunds"
        reply = self._transport.get(
            path, {"per_page": PAGE_SIZE_MAX, "_fields": parse.REFUND_FIELDS}
        )
        try:
            if reply.total() <= PAGE_SIZE_MAX:
                return order._replace(refunds=parse.refunds(reply.rows(), order))
            why = f"it has more than {PAGE_SIZE_MAX} refunds"
        except ValueError as odd:
            why = str(odd)
        raise StorefrontAnswerError(
            f"storefront {self.name}: the refunds of order {order.id} cannot be read ({why}); "
            "settle that order by an adjustment"
        )

    def changed(self, since: Instant, until: Instant | None = None) -> Iterator[Page]:
        """Yield the orders modified from `since` on, up to `until` or now; at least one page.

        An order touched meanwhile may be missing: its new stamp is past `Page.until`. So may one
        committed late, with an older stamp: the next window has to begin earlier than `Page.until`
        by more than the storefront's slowest save (WooCommerce stamps before it commits).
        """
        return self._window(MODIFIED, since, until)

    def created(self, since: Instant, until: Instant | None = None) -> Iterator[Page]:
        """Yield the orders created from `since` on, up to `until` or now; at least one page.

        One restored from the trash meanwhile may be missing: ask for `order` before you call an
        order vanished.
        """
        return self._window(CREATED, since, until)

    def ping(self) -> float:
        """Prove address, key and permission by one cheap request; return the skew in seconds."""
        reply = self._transport.get("orders", _NOTHING)
        reply.rows()
        return reply.skew_s

    def webhooks(self) -> list[Webhook]:
        """Return up to PAGE_SIZE_MAX webhooks. WooCommerce disables one without telling anybody."""
        fields = ",".join(Webhook._fields)
        reply = self._transport.get("webhooks", {"per_page": PAGE_SIZE_MAX, "_fields": fields})
        rows = [row for row in reply.rows() if isinstance(row, dict)]
        return [
            Webhook(
                parse.row_id(row) or 0, *(str(row.get(name, "")) for name in Webhook._fields[1:])
            )
            for row in rows
        ]

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def _window(self, axis: Axis, since: Instant, until: Instant | None) -> Iterator[Page]:
        window = Window(self._transport, axis, since, until)
        for status in LISTS:
            listing = StatusListing(window, status, self.ping)
            for piece in paging.pieces(listing, self._page_size_max):
                orders = tuple(self._parse(row, piece.sent_at) for row in piece.rows)
                yield Page(orders, piece.broken, window.until)

    def _listed(self, order_ids: list[int], status: str) -> dict[int, Order | Unreadable | None]:
        """Return those of the orders that list has, by halves where it fails on them all."""
        if not order_ids:
            return {}
        wanted: Params = {
            "include": ",".join(map(str, order_ids)),
            "status": status,
            "per_page": len(order_ids),
            "_fields": parse.FIELDS,
        }
        try:
            reply = self._transport.get("orders", wanted, insist=False)
        except SMALLER_MAY_DO:
            self.ping()
            half = len(order_ids) // 2
            if not half:
                return {}
            return self._listed(order_ids[:half], status) | self._listed(order_ids[half:], status)
        orders = [self._parse(row, reply.sent_at) for row in reply.order_rows()]
        return {order.id: order for order in orders if order.id in order_ids}

    def _single(self, order_id: int) -> Order | Unreadable | None:
        try:
            return self.order(order_id)
        except SMALLER_MAY_DO as error:
            self.ping()
            return Unreadable(self.name, order_id, str(error))

    def _parse(self, row: object, sent_at: Instant) -> Order | Unreadable:
        return parse.order(row, self.name, self._tag_key, sent_at)
