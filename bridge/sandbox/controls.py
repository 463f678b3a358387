"""The hands on the storefront: what shoppers and admins do, called directly."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import islice
from typing import Any

from bridge.domain.clock import Instant
from bridge.sandbox import orders
from bridge.sandbox.model import GATEWAYS, Meta, Order, Product
from bridge.sandbox.state import State

TAG_KEY = "_tenant_id"


class Controls:
    """Places and changes orders. Order ids that do not exist raise KeyError."""

    def __init__(self, state: State) -> None:
        self._state = state

    def place_order(
        self,
        total: str = "50.00",
        *,
        tenant: str | None = "acme",
        status: str = "completed",
        payment_method: str = "bacs",
        **fields: Any,
    ) -> int:
        """Place an order with one deposit line and return its id.

        `fields` are REST fields (`currency`, `fee_lines`, `line_items`, `billing`, …); given lines
        stand in the place of the deposit line. `tenant` None leaves the order untagged.
        """
        defaults: dict[str, Any] = {
            "status": status,
            "payment_method": payment_method,
            "payment_method_title": GATEWAYS.get(payment_method, payment_method),
            "meta_data": [] if tenant is None else [{"key": TAG_KEY, "value": tenant}],
        }
        if not fields.keys() & {"line_items", "fee_lines"}:
            defaults["line_items"] = [{"product_id": 11, "subtotal": total, "total": total}]
        with self._state.lock:
            return orders.create(self._state, defaults | fields).id

    def add_product(
        self,
        name: str,
        sku: str,
        price: str = "1.00",
        *,
        virtual: bool = True,
        downloadable: bool = False,
    ) -> int:
        """Put a product on sale and return its id."""
        with self._state.lock:
            product_id = next(self._state.product_ids)
            product = Product(product_id, name, sku, Decimal(price), virtual, downloadable)
            self._state.products[product_id] = product
            return product_id

    def update_order(self, order_id: int, **fields: Any) -> None:
        """Change REST fields of an order, as a PUT does."""
        with self._state.lock:
            orders.update(self._state, self._state.orders[order_id], fields)

    def set_status(self, order_id: int, status: str) -> None:
        """Change the status, with its stamps, refunds and webhooks."""
        self.update_order(order_id, status=status)

    def edit_total(self, order_id: int, total: str) -> None:
        """Edit the first line so that it costs `total`; the order keeps its status."""
        with self._state.lock:
            order = self._state.orders[order_id]
            lines = "line_items" if order.products else "fee_lines"
            line = (order.products or order.fees)[0]
        self.update_order(order_id, **{lines: [{"id": line.id, "subtotal": total, "total": total}]})

    def set_tags(self, order_id: int, *values: Any, key: str = TAG_KEY) -> None:
        """Give an order these values of one key, none or several (PHP: add_meta_data)."""
        with self._state.lock:
            self._retag(self._state.orders[order_id].meta, key, values)
            self.update_order(order_id, meta_data=[])

    def set_line_tags(self, order_id: int, *values: Any, line: int = 0, key: str = TAG_KEY) -> None:
        """Give one line of an order, product lines counted first, these values of one key."""
        with self._state.lock:
            order = self._state.orders[order_id]
            self._retag((order.products + order.fees)[line].meta, key, values)
            self.update_order(order_id, line_items=[])

    def refund(
        self,
        order_id: int,
        amount: str | None = None,
        *,
        reason: str = "",
        lines: Sequence[Any] = (),
    ) -> int:
        """Refund an amount (the whole rest by default) and return the refund's id.

        `lines` attribute it: {"id": line id, "refund_total": "10.00"}. RefusedError if too much.
        """
        with self._state.lock:
            order = self._state.orders[order_id]
            due = amount if amount is not None or lines else order.refundable
            return orders.refund(self._state, order, due, reason=reason, lines=lines).id

    def delete_refund(self, order_id: int, refund_id: int) -> None:
        """Delete a refund: silent, and the modification stamp stays."""
        with self._state.lock:
            orders.delete_refund(self._state.orders[order_id], refund_id)

    def pay(self, order_id: int, transaction_id: str = "") -> None:
        """Let a gateway report an order as paid (payment_complete)."""
        with self._state.lock:
            orders.complete_payment(self._state, self._state.orders[order_id], transaction_id)

    def trash(self, order_id: int) -> None:
        """Move an order to the trash."""
        with self._state.lock:
            orders.trash(self._state, self._state.orders[order_id])

    def restore(self, order_id: int) -> None:
        """Take an order out of the trash, as the admin does."""
        with self._state.lock:
            orders.restore(self._state, self._state.orders[order_id])

    def delete_forever(self, order_id: int) -> None:
        """Delete an order by force: silent."""
        with self._state.lock:
            self._state.forget(self._state.orders[order_id])

    def replace_order(self, order_id: int, total: str, **fields: Any) -> None:
        """Give an order's id to a new order, as after a restore from an old backup."""
        with self._state.lock:
            self._state.forget(self._state.orders[order_id])
            order = self._state.orders[self.place_order(total, **fields)]
            self._state.forget(order)
            order.id = order_id
            self._state.add(order)

    def touch(self, order_id: int) -> None:
        """Save an order without changing it: that bumps its stamp, but not in legacy storage."""
        self.update_order(order_id)

    def stamp(self, order_id: int, modified_at: Instant) -> None:
        """Set when an order was last modified, as no storefront would let you."""
        with self._state.lock:
            self._state.stamp(self._state.orders[order_id], modified_at)

    def order_ids(self) -> list[int]:
        """Return the ids of all orders, the trashed ones too, oldest first."""
        with self._state.lock:
            return list(self._state.orders)

    def _retag(self, metas: list[Meta], key: str, values: Sequence[Any]) -> None:
        metas[:] = [meta for meta in metas if meta.key != key]
        metas.extend(Meta(next(self._state.meta_ids), key, value) for value in values)


def newest_orders(state: State, count: int) -> list[Order]:
    """Return the last orders placed, newest first; the caller holds the lock."""
    return list(islice(reversed(state.orders.values()), count))
