"""Reading WooCommerce's JSON as orders. What bridge does not need goes no further than this.

The rows below declare what WooCommerce sends, as far as bridge needs it; msgspec decodes a page
straight into them. Amounts and meta values may be anything: what follows from odd ones others say.
"""

import contextlib
import json
import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from typing import Annotated, Any, TypeVar

import msgspec

from bridge.domain.clock import Instant, from_datetime
from bridge.domain.deposit import TAG_KEY
from bridge.domain.order import Line, Order, Refund, RefundLine, Unreadable, key_digest

ID_MAX = 2**63 - 1
"""The largest id a BIGINT holds."""
FIELDS = (
    "id,status,currency,total,total_tax,order_key,payment_method,transaction_id,date_created_gmt,"
    "date_modified_gmt,date_paid_gmt,date_completed_gmt,meta_data,line_items,fee_lines,refunds"
)
"""The `_fields` to ask for: nothing of the shopper among them."""
REFUND_FIELDS = "id,amount,line_items,fee_lines,shipping_lines"

_REFUNDED_LINE = "_refunded_item_id"

_Row = TypeVar("_Row")
_Numbered = TypeVar("_Numbered", Line, Refund)
_Id = Annotated[int, msgspec.Meta(gt=0, le=ID_MAX)]


# Nothing that was JSON is circular, so the garbage collector need not look through it.
class _Sent(msgspec.Struct, gc=False):
    """What WooCommerce sent."""


class _MetaRow(_Sent):
    key: Any = None
    value: Any = None


class _LineRow(_Sent):
    """A line. Fees have no product, and of a deleted one WooCommerce writes a null SKU."""

    id: _Id
    total: Any
    total_tax: Any
    meta_data: list[_MetaRow]
    name: Any = None
    product_id: Any = None
    sku: Any = None


class _ShortRefundRow(_Sent):
    id: _Id
    total: Any


class _OrderRow(_Sent):
    id: _Id
    status: str
    currency: str
    total: Any
    total_tax: Any
    order_key: str
    payment_method: str
    transaction_id: Any
    date_created_gmt: str
    date_modified_gmt: str
    date_paid_gmt: str | None
    date_completed_gmt: str | None
    meta_data: list[_MetaRow]
    line_items: list[_LineRow]
    fee_lines: list[_LineRow]
    refunds: list[_ShortRefundRow]


class _RefundLineRow(_Sent):
    total: Any
    total_tax: Any
    meta_data: list[_MetaRow]


class _RefundRow(_Sent):
    id: _Id
    amount: Any
    line_items: list[_RefundLineRow]
    fee_lines: list[_RefundLineRow]
    shipping_lines: list[_RefundLineRow]


_ORDER = msgspec.json.Decoder(_OrderRow)
_ORDERS = msgspec.json.Decoder(list[_OrderRow])
_REFUND = msgspec.json.Decoder(_RefundRow)

# Stamps of one order, and of orders read twice, are often the same.
_STAMPS_MAX = 1000
_GMT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}", re.ASCII)


class _OddError(ValueError):
    """A field is not what WooCommerce sends; the text names the field, never its content."""


def rows(text: str) -> list[Any] | None:
    """Return a page of orders, each ready for `order`; None for anything but orders as documented.

    They are what `json.loads` makes of it, which `order` takes too, but cost less.
    """
    with contextlib.suppress(msgspec.MsgspecError, RecursionError):
        return _ORDERS.decode(text)
    return None


def order(row: Any, storefront: str, tag_key: str, fetched_at: Instant) -> Order | Unreadable:
    """Read an order of wc/v3, or Unreadable (id 0 if even that is odd) for one not as documented.

    Amounts stay as they came. Tags are every value under `tag_key` but null and "". Lines, refunds
    and tags are sorted, since WooCommerce promises no order: equal states have equal snapshots.
    """
    try:
        typed = row if isinstance(row, _OrderRow) else _typed(row, _ORDER)
        return _order(typed, storefront, tag_key, fetched_at)
    except _OddError as odd:
        return Unreadable(storefront, row_id(row) or 0, str(odd))


def refunds(rows: list[Any], known: Order) -> tuple[Refund, ...]:
    """Return the order's refunds with their lines, from the rows of /orders/N/refunds.

    A refund that only one of the two readings shows is kept too (without lines if only the order
    has it): a cached list must not turn into credit. ValueError for rows not as documented.
    """
    merged = {refund.id: refund for refund in known.refunds}
    for row in (_typed(row, _REFUND) for row in rows):
        total = merged[row.id].total if row.id in merged else f"-{row.amount}"
        lines = (*row.line_items, *row.fee_lines, *row.shipping_lines)
        merged[row.id] = Refund(row.id, total, tuple(sorted(map(_refund_line, lines))))
    return tuple(merged[refund_id] for refund_id in sorted(merged))


def hint(raw_body: bytes) -> int | None:
    """Return the order id a webhook body names, None for junk. The rest of the body is never used.

    `order.*` bodies are an order (`order.deleted`: only its id); `action.*` bodies are
    {"action": ..., "arg": id}.
    """
    try:
        body = json.loads(raw_body)
    except (ValueError, RecursionError):
        return None
    if isinstance(body, dict) and "action" in body:
        return _positive(body.get("arg"))
    return row_id(body)


def row_id(row: Any) -> int | None:
    """Return the id of a row or of a JSON object, None if it has no usable one."""
    return _positive(field(row, "id"))


def field(row: Any, name: str) -> Any:
    """Return a field of a row or of a JSON object, None if it has no such."""
    if isinstance(row, dict):
        return row.get(name)
    return getattr(row, name) if isinstance(row, _OrderRow) else None


def _typed(row: Any, decoder: msgspec.json.Decoder[_Row]) -> _Row:
    """Read what is no page of orders as documented, row by row, to tell which one is odd, and why.

    By way of text, since msgspec reads there neither broken Unicode nor NaN.
    """
    try:
        return decoder.decode(json.dumps(row))
    except (msgspec.MsgspecError, RecursionError) as odd:
        what, _, place = str(odd).replace("`", "").partition(" - at $")
        name = re.sub(r"\[.*?\]", "", place).lstrip(".") or "it"
        raise _OddError(f"{name} is not as documented: {what}") from None


def _order(row: _OrderRow, storefront: str, tag_key: str, fetched_at: Instant) -> Order:
    return Order(
        storefront,
        row.id,
        key_digest(row.order_key),
        row.status,
        row.currency,
        row.total,
        row.total_tax,
        row.payment_method,
        has_transaction_id=bool(row.transaction_id),
        created_at=_instant("date_created_gmt", row.date_created_gmt),
        modified_at=_instant("date_modified_gmt", row.date_modified_gmt),
        paid_at=_instant_or_none("date_paid_gmt", row.date_paid_gmt),
        completed_at=_instant_or_none("date_completed_gmt", row.date_completed_gmt),
        tags=_tags(row.meta_data, tag_key),
        lines=_lines(row, tag_key),
        refunds=_by_id([Refund(refund.id, refund.total, None) for refund in row.refunds]),
        seals=_tags(row.meta_data, TAG_KEY),
        fetched_at=fetched_at,
    )


def _lines(row: _OrderRow, tag_key: str) -> tuple[Line, ...]:
    products = [_line(line, "product", tag_key) for line in row.line_items]
    return _by_id(products + [_line(line, "fee", tag_key) for line in row.fee_lines])


def _line(row: _LineRow, kind: str, tag_key: str) -> Line:
    return Line(
        row.id,
        kind,
        name=str(row.name or ""),
        product_id=_positive(row.product_id) or 0,
        sku=str(row.sku or ""),
        total=row.total,
        total_tax=row.total_tax,
        tags=_tags(row.meta_data, tag_key),
        seals=_tags(row.meta_data, TAG_KEY),
    )


def _by_id(rows: list[_Numbered]) -> tuple[_Numbered, ...]:
    return tuple(sorted(rows, key=attrgetter("id")) if len(rows) > 1 else rows)


def _refund_line(row: _RefundLineRow) -> RefundLine:
    """Read a refund's line; line id 0 where WooCommerce does not say which line was refunded."""
    lines = [str(value) for value in _meta(row.meta_data, _REFUNDED_LINE)]
    line_id = int(lines[0]) if lines and lines[0].isascii() and lines[0].isdigit() else 0
    return RefundLine(line_id, row.total, row.total_tax)


def _tags(metas: list[_MetaRow], key: str) -> tuple[Any, ...]:
    found = _meta(metas, key) if metas else ()
    if len(found) > 1:
        found = sorted(found, key=lambda tag: json.dumps(tag, sort_keys=True))
    return tuple(found)


def _meta(metas: list[_MetaRow], key: str) -> Sequence[Any]:
    return [
        meta.value
        for meta in metas
        if meta.key == key and meta.value is not None and meta.value != ""
    ]


def _instant_or_none(name: str, text: str | None) -> Instant | None:
    return None if text is None else _instant(name, text)


def _instant(name: str, text: str) -> Instant:
    instant = _read_instant(text)
    if instant is None:
        raise _OddError(f"{name} is not a time such as 2026-11-22T15:39:29")
    return instant


@lru_cache(_STAMPS_MAX)
def _read_instant(text: str) -> Instant | None:
    """Read a UTC time, which WooCommerce writes without a suffix, to the second."""
    try:
        return from_datetime(datetime.fromisoformat(f"{text}Z")) if _GMT.fullmatch(text) else None
    except ValueError:
        return None


def _positive(value: Any) -> int | None:
    return value if type(value) is int and 0 < value <= ID_MAX else None
