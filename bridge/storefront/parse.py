"""Reading WooCommerce's JSON as orders. What bridge does not need goes no further than this."""

import json
import re
from datetime import UTC, datetime
from typing import Any

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
_GMT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}", re.ASCII)


class _OddError(ValueError):
    """A field is not what WooCommerce sends; the text names the field, never its content."""


def order(row: Any, storefront: str, tag_key: str, fetched_at: Instant) -> Order | Unreadable:
    """Read an order of wc/v3, or Unreadable (id 0 if even that is odd) for one not as documented.

    Amounts stay as they came. Tags are every value under `tag_key` but null and "". Lines, refunds
    and tags are sorted, since WooCommerce promises no order: equal states have equal snapshots.
    """
    try:
        return _order(row, storefront, tag_key, fetched_at)
    except _OddError as odd:
        return Unreadable(storefront, row_id(row) or 0, str(odd))


def refunds(rows: list[Any], known: Order) -> tuple[Refund, ...]:
    """Return the order's refunds with their lines, from the rows of /orders/N/refunds.

    A refund that only one of the two readings shows is kept too (without lines if only the order
    has it): a cached list must not turn into credit. ValueError for rows not as documented.
    """
    merged = {refund.id: refund for refund in known.refunds}
    for row in rows:
        refund_id = _id(row)
        total = merged[refund_id].total if refund_id in merged else f"-{_needed(row, 'amount')}"
        parts = ("line_items", "fee_lines", "shipping_lines")
        lines = sorted(_refund_line(line) for part in parts for line in _dicts(row, part))
        merged[refund_id] = Refund(refund_id, total, tuple(lines))
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
    """Return the id of a JSON object, None if it has no usable one."""
    return _positive(row.get("id")) if isinstance(row, dict) else None


def _order(row: Any, storefront: str, tag_key: str, fetched_at: Instant) -> Order:
    return Order(
        storefront=storefront,
        id=_id(row),
        key=key_digest(_text(row, "order_key")),
        status=_text(row, "status"),
        currency=_text(row, "currency"),
        total=_needed(row, "total"),
        total_tax=_needed(row, "total_tax"),
        payment_method=_text(row, "payment_method"),
        has_transaction_id=bool(_needed(row, "transaction_id")),
        created_at=_instant(row, "date_created_gmt"),
        modified_at=_instant(row, "date_modified_gmt"),
        paid_at=_instant_or_none(row, "date_paid_gmt"),
        completed_at=_instant_or_none(row, "date_completed_gmt"),
        tags=_tags(row, tag_key),
        lines=_lines(row, tag_key),
        refunds=_short_refunds(row),
        fetched_at=fetched_at,
        seals=_tags(row, TAG_KEY),
    )


def _lines(row: Any, tag_key: str) -> tuple[Line, ...]:
    products = [_line(line, "product", tag_key) for line in _dicts(row, "line_items")]
    fees = [_line(line, "fee", tag_key) for line in _dicts(row, "fee_lines")]
    return tuple(sorted([*products, *fees], key=lambda line: line.id))


def _line(row: Any, kind: str, tag_key: str) -> Line:
    """Read a line. Fees have no product, and of a deleted one WooCommerce writes a null SKU."""
    return Line(
        id=_id(row),
        kind=kind,
        name=str(row.get("name") or ""),
        product_id=_positive(row.get("product_id")) or 0,
        sku=str(row.get("sku") or ""),
        total=_needed(row, "total"),
        total_tax=_needed(row, "total_tax"),
        tags=_tags(row, tag_key),
        seals=_tags(row, TAG_KEY),
    )


def _short_refunds(row: Any) -> tuple[Refund, ...]:
    short = [
        Refund(_id(refund), _needed(refund, "total"), None) for refund in _dicts(row, "refunds")
    ]
    return tuple(sorted(short, key=lambda refund: refund.id))


def _refund_line(row: Any) -> RefundLine:
    """Read a refund's line; line id 0 where WooCommerce does not say which line was refunded."""
    lines = [str(value) for value in _meta(row, _REFUNDED_LINE)]
    line_id = int(lines[0]) if lines and lines[0].isascii() and lines[0].isdigit() else 0
    return RefundLine(line_id, _needed(row, "total"), _needed(row, "total_tax"))


def _tags(row: Any, tag_key: str) -> tuple[Any, ...]:
    return tuple(sorted(_meta(row, tag_key), key=lambda tag: json.dumps(tag, sort_keys=True)))


def _meta(row: Any, key: str) -> list[Any]:
    values = [meta.get("value") for meta in _dicts(row, "meta_data") if meta.get("key") == key]
    return [value for value in values if value is not None and value != ""]


def _dicts(row: Any, name: str) -> list[dict[str, Any]]:
    values = _needed(row, name)
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise _OddError(f"{name} is not a list of objects")
    return values


def _id(row: Any) -> int:
    found = row_id(row)
    if found is None:
        raise _OddError("id is not a positive integer")
    return found


def _text(row: Any, name: str) -> str:
    value = _needed(row, name)
    if not isinstance(value, str):
        raise _OddError(f"{name} is not text")
    return value


def _instant_or_none(row: Any, name: str) -> Instant | None:
    return None if _needed(row, name) is None else _instant(row, name)


def _instant(row: Any, name: str) -> Instant:
    """Read a UTC time, which WooCommerce writes without a suffix, to the second."""
    text = _text(row, name)
    try:
        if _GMT.fullmatch(text):
            return from_datetime(datetime.fromisoformat(text).replace(tzinfo=UTC))
    except ValueError:
        pass
    raise _OddError(f"{name} is not a time such as 2026-11-22T15:39:29")


def _needed(row: Any, name: str) -> Any:
    if name not in row:
        raise _OddError(f"{name} is missing")
    return row[name]


def _positive(value: Any) -> int | None:
    return value if type(value) is int and 0 < value <= ID_MAX else None
