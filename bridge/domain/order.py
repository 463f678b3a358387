"""An order as bridge sees it: what WooCommerce said, reduced to what crediting needs.

Amounts stay the text the storefront wrote, because reading them can fail and only `crediting` may
say what follows from that. Nothing of the shopper is here.
"""

import hashlib
from typing import Any, NamedTuple

from bridge.domain.clock import Instant, isoformat


class Line(NamedTuple):
    """A product or fee line. `total` is after coupons and without `total_tax`."""

    id: int
    kind: str  # "product" or "fee"
    name: str
    product_id: int
    sku: str
    total: Any
    total_tax: Any
    tags: tuple[Any, ...]
    seals: tuple[Any, ...] = ()


class RefundLine(NamedTuple):
    """The part of a refund that belongs to one order line; amounts are negative."""

    line_id: int
    total: Any
    total_tax: Any


class Refund(NamedTuple):
    """A refund of an order: `total` is negative text, tax included.

    `lines` is None where only the order's short form was read, and empty for an amount-only refund.
    """

    id: int
    total: Any
    lines: tuple[RefundLine, ...] | None


class Order(NamedTuple):
    """One order's present state. `fetched_at` is by our clock, taken before the request.

    `key` is the `key_digest` of its order key. `seals` are the signed tags of deposits as they
    came, here and on lines; `domain.started` reads them.
    """

    storefront: str
    id: int
    key: str
    status: str
    currency: str
    total: Any
    total_tax: Any
    payment_method: str
    has_transaction_id: bool
    created_at: Instant
    modified_at: Instant
    paid_at: Instant | None
    completed_at: Instant | None
    tags: tuple[Any, ...]
    lines: tuple[Line, ...]
    refunds: tuple[Refund, ...]
    seals: tuple[Any, ...] = ()
    fetched_at: Instant = 0

    @property
    def fingerprint(self) -> str:
        """What tells this order from another that was given the same id, e.g. after a restore."""
        return f"{self.key}@{isoformat(self.created_at)}"


class Unreadable(NamedTuple):
    """An order sent in a form bridge cannot read; it is held, its neighbours are not."""

    storefront: str
    id: int
    why: str


def key_digest(order_key: str) -> str:
    """Return what tells order keys apart but, unlike one, opens no pay page (32 hex digits)."""
    return hashlib.sha256(order_key.encode()).hexdigest()[:32]
