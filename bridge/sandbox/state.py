"""The storefront's memory: orders by id and by modification, counters, products, one lock."""

import re
import secrets
import string
import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable
from decimal import Decimal
from itertools import count

from bridge.domain.clock import SECOND, Clock, Instant
from bridge.sandbox.model import Order, Product, Settings

ID_FIRST = 17
PRODUCT_ID_FIRST = 15
_PRODUCTS = (
    Product(11, "Deposit", "DEPOSIT", Decimal("1.00")),
    Product(12, "Deposit 50", "DEPOSIT-50", Decimal("50.00")),
    Product(13, "T-Shirt", "TSHIRT", Decimal("19.99"), virtual=False),
    Product(14, "Deposit, completing itself", "DEPOSIT-AUTO", Decimal("1.00"), downloadable=True),
)
_KEY_LETTERS = string.ascii_letters + string.digits
_KEY_LENGTH = 13


class State:
    """Everything the storefront remembers. Hold `lock` around reading and changing it."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self.lock = threading.RLock()
        self.orders: dict[int, Order] = {}
        self.products = {product.id: product for product in _PRODUCTS}
        self.product_ids = count(PRODUCT_ID_FIRST)
        self.ids = count(ID_FIRST)
        self.line_ids = count(1)
        self.meta_ids = count(1)
        self.announce: Callable[[str, int], None] = lambda _topic, _order_id: None
        self._clock = clock
        self._by_modified: list[tuple[Instant, int]] = []

    def now(self) -> Instant:
        """Return the present instant, cut to the whole second as WooCommerce stores it."""
        return self._clock() // SECOND * SECOND

    def add(self, order: Order) -> None:
        """Remember a new order."""
        self.orders[order.id] = order
        insort(self._by_modified, (order.modified_at, order.id))

    def stamp(self, order: Order, modified_at: Instant) -> None:
        """Set when the order was last modified."""
        self._unindex(order)
        order.modified_at = modified_at
        insort(self._by_modified, (modified_at, order.id))

    def forget(self, order: Order) -> None:
        """Drop an order for good."""
        self._unindex(order)
        del self.orders[order.id]

    def modified_between(self, after: Instant | None, before: Instant | None) -> list[Order]:
        """Return the orders modified in between (both exclusive), by (modified, id) ascending."""
        rows = self._by_modified
        first = 0 if after is None else bisect_right(rows, after, key=_modified_at)
        last = len(rows) if before is None else bisect_left(rows, before, key=_modified_at)
        return [self.orders[order_id] for _, order_id in rows[first:last]]

    def _unindex(self, order: Order) -> None:
        del self._by_modified[bisect_left(self._by_modified, (order.modified_at, order.id))]


def read_amount(value: object) -> Decimal:
    """Read an amount as WooCommerce does: what is no digit, point or sign is dropped."""
    text = re.sub(r"[^0-9.\-]", "", str(value))
    return Decimal(text) if re.fullmatch(r"-?(\d+\.?\d*|\.\d+)", text, re.ASCII) else Decimal(0)


def new_order_key() -> str:
    """Return a key such as wc_order_Dx0aNHJ9IF4Wz, which opens the order's pay page."""
    return "wc_order_" + "".join(secrets.choice(_KEY_LETTERS) for _ in range(_KEY_LENGTH))


def _modified_at(row: tuple[Instant, int]) -> Instant:
    return row[0]
