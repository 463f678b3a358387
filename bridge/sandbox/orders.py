"""What happens to orders: placing, editing, paying, refunding, trashing, with all side effects.

Callers hold `state.lock`. Every function leaves the stamps as WooCommerce 10.5 does and announces
the webhook topics that it would, no more: some changes are silent.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from bridge.domain.clock import SECOND
from bridge.sandbox.model import CARD, DRAFT_STATUSES, Line, Meta, Order, Product, Refund
from bridge.sandbox.state import State, new_order_key, read_amount

Fields = Mapping[str, Any]

_PLAIN_FIELDS = (
    "currency",
    "payment_method",
    "payment_method_title",
    "transaction_id",
    "customer_id",
    "customer_note",
    "created_via",
)
_META_ONLY = {"meta_data"}
_TRASHED_STATUS = "_wp_trash_meta_status"
_TRASHED_TIME = "_wp_trash_meta_time"
_PAYMENT_COMPLETES_FROM = ("on-hold", "pending", "failed", "cancelled")


class RefusedError(Exception):
    """WooCommerce refuses what was asked, with this code and this HTTP status."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


def create(state: State, fields: Fields) -> Order:
    """Place an order from REST fields. Without idempotency, as in WooCommerce: twice makes two."""
    now = state.now()
    order = Order(next(state.ids), new_order_key(), state.settings.currency, now, now)
    _edit(state, order, fields)
    state.add(order)
    _move(state, order, fields.get("status", "pending"), "")
    if order.status not in DRAFT_STATUSES:
        state.announce("order.created", order.id)
    if fields.get("set_paid"):
        complete_payment(state, order)
    return order


def update(state: State, order: Order, fields: Fields) -> None:
    """Apply a REST update. Under legacy storage, tags alone do not bump the modification stamp."""
    old = order.status
    _edit(state, order, fields)
    if not (state.settings.legacy_storage and set(fields) <= _META_ONLY):
        touch(state, order)
    _move(state, order, fields.get("status", old), old)
    _announce_update(state, order, old)
    if fields.get("set_paid"):
        complete_payment(state, order)


def set_status(state: State, order: Order, status: str) -> None:
    """Change the status alone."""
    update(state, order, {"status": status})


def touch(state: State, order: Order) -> None:
    """Bump the modification stamp and nothing else."""
    state.stamp(order, state.now())


def complete_payment(state: State, order: Order, transaction_id: str = "") -> None:
    """What a gateway does once paid (WC_Order::payment_complete); nothing if it was already."""
    if order.status not in _PAYMENT_COMPLETES_FROM:
        return
    order.transaction_id = transaction_id or order.transaction_id
    order.paid_at = order.paid_at or state.now()
    set_status(state, order, order.payment_complete_status)


def refund(  # noqa: PLR0913 - a refund's own fields
    state: State,
    order: Order,
    amount: object | None = None,
    *,
    reason: str = "",
    lines: Iterable[Fields] = (),
    through_gateway: bool = False,
) -> Refund:
    """Refund an amount, or the sum of the lines' `refund_total`; all of it makes `refunded`."""
    if through_gateway and order.payment_method != CARD:
        raise _refund_refused(
            "The payment gateway for this order does not support automatic refunds."
        )
    parts = [_refund_line(state, order, part) for part in lines]
    asked = sum(part.total for part in parts) if amount is None else read_amount(amount)
    due = state.settings.rounded(Decimal(asked))
    if not 0 < due <= order.refundable:
        raise _refund_refused("Invalid refund amount.")
    made = _record_refund(state, order, due, reason)
    made.lines, made.through_gateway = parts, through_gateway
    touch(state, order)
    state.announce("order.updated", order.id)
    if not order.refundable and order.status != "refunded":
        set_status(state, order, "refunded")
    return made


def delete_refund(order: Order, refund_id: int) -> None:
    """Delete a refund. WooCommerce: no webhook, no stamp, and `refunded` stays."""
    order.refunds = [kept for kept in order.refunds if kept.id != refund_id]


def trash(state: State, order: Order) -> None:
    """Move an order to the trash, unless it is there."""
    if order.status == "trash":
        return
    set_meta(state, order.meta, _TRASHED_STATUS, f"wc-{order.status}")
    set_meta(state, order.meta, _TRASHED_TIME, str(state.now() // SECOND))
    order.status = "trash"
    touch(state, order)
    state.announce("order.deleted", order.id)


def restore(state: State, order: Order) -> None:
    """Take a trashed order back as the admin does; the status action fires again."""
    if order.status != "trash":
        return
    before = next(meta.value for meta in order.meta if meta.key == _TRASHED_STATUS)
    order.meta = [meta for meta in order.meta if meta.key not in {_TRASHED_STATUS, _TRASHED_TIME}]
    order.status = before.removeprefix("wc-")
    touch(state, order)
    state.announce("order.restored", order.id)
    state.announce(f"action.woocommerce_order_status_{order.status}", order.id)


def set_meta(state: State, metas: list[Meta], key: str, value: Any) -> None:
    """Give a key one value, in the place of all it had."""
    kept = next((meta for meta in metas if meta.key == key), None)
    metas[:] = [meta for meta in metas if meta.key != key or meta is kept]
    if kept is None:
        metas.append(Meta(next(state.meta_ids), key, value))
    else:
        kept.value = value


def _edit(state: State, order: Order, fields: Fields) -> None:
    for name in _PLAIN_FIELDS:
        if name in fields:
            setattr(order, name, fields[name])
    order.billing.update(fields.get("billing", {}))
    order.shipping.update(fields.get("shipping", {}))
    _edit_meta(state, order.meta, fields)
    for line in fields.get("line_items", ()):
        _edit_line(state, order.products, line, _product(state, order, line))
    for line in fields.get("fee_lines", ()):
        _edit_line(state, order.fees, line, None)
    if "line_items" in fields or "fee_lines" in fields:
        exact = sum((line.total for line in order.products + order.fees), Decimal(0))
        order.total = state.settings.rounded(exact)


def _announce_update(state: State, order: Order, old: str) -> None:
    """A draft is silent until it is placed; HPOS says nothing of an order that was in the trash."""
    if order.status in DRAFT_STATUSES:
        return
    if old in DRAFT_STATUSES:
        state.announce("order.created", order.id)
    if old != "trash" or state.settings.legacy_storage:
        state.announce("order.updated", order.id)


def _edit_meta(state: State, metas: list[Meta], fields: Fields) -> None:
    for meta in fields.get("meta_data", ()):
        value = meta["value"]
        set_meta(state, metas, meta["key"], str(value) if isinstance(value, int | float) else value)


def _edit_line(state: State, lines: list[Line], fields: Fields, product: Product | None) -> None:
    line = next((line for line in lines if line.id == fields.get("id")), None)
    if line is None:
        price = product.price if product else 0
        total = Decimal(price * int(fields.get("quantity", 1)))
        name = product.name if product else ""
        line = Line(next(state.line_ids), name, total, total, product)
        lines.append(line)
    line.name = fields.get("name", line.name)
    line.quantity = int(fields.get("quantity", line.quantity))
    line.total = read_amount(fields.get("total", line.total))
    line.subtotal = read_amount(fields.get("subtotal", line.subtotal))
    line.tax_status = fields.get("tax_status", line.tax_status)
    _edit_meta(state, line.meta, fields)


def _product(state: State, order: Order, fields: Fields) -> Product | None:
    edited = next((line for line in order.products if line.id == fields.get("id")), None)
    if edited is not None:
        return edited.product
    for product in state.products.values():
        if product.id == fields.get("product_id") or product.sku == fields.get("sku"):
            return product
    raise RefusedError(
        "woocommerce_rest_required_product_reference", "Product ID or SKU is required.", 400
    )


def _move(state: State, order: Order, status: str, old: str) -> None:
    """Set a status with what it brings; only a change has effects (WC_Order::set_status)."""
    order.status = status
    if status == old:
        return
    if order.paid_at is None and status in {order.payment_complete_status, "completed"}:
        order.paid_at = state.now()
    if status == "completed":
        order.completed_at = state.now()
    if status == "refunded" and order.refundable > 0:
        _record_refund(state, order, order.refundable, "Order fully refunded.")
    state.announce(f"action.woocommerce_order_status_{status}", order.id)
    if old:
        state.announce("action.woocommerce_order_status_changed", order.id)


def _record_refund(state: State, order: Order, amount: Any, reason: str) -> Refund:
    kind = Meta(
        next(state.meta_ids), "_refund_type", "full" if amount == order.refundable else "partial"
    )
    made = Refund(next(state.ids), order.id, amount, reason, state.now(), False, kind)
    order.refunds.append(made)
    state.announce("action.woocommerce_order_refunded", order.id)
    return made


def _refund_line(state: State, order: Order, part: Fields) -> Line:
    refunded = next((line for line in order.products + order.fees if line.id == part["id"]), None)
    if refunded is None:
        raise RefusedError("woocommerce_rest_invalid_line_item", "Invalid line item.", 400)
    amount = read_amount(part["refund_total"])
    origin = Meta(next(state.meta_ids), "_refunded_item_id", str(refunded.id))
    line_id = next(state.line_ids)
    return Line(
        line_id, refunded.name, amount, amount, refunded.product, 0, refunded.tax_status, [origin]
    )


def _refund_refused(why: str) -> RefusedError:
    return RefusedError("woocommerce_rest_cannot_create_order_refund", why, 500)
