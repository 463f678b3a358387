"""Orders, refunds and lines as the JSON that WooCommerce 10.5 answers, key for key."""

import json
from decimal import Decimal
from typing import Any

from bridge.domain.clock import SECOND, Instant, to_datetime
from bridge.sandbox.model import Line, Meta, Order, Refund, Settings

Json = dict[str, Any]

REST_ROOT = "/wp-json/wc/v3"
_SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥", "KWD": "\u062f.\u0643"}
_ADDRESS = ("first_name", "last_name", "company", "address_1", "address_2", "city", "state")
_SHIPPING = (*_ADDRESS, "postcode", "country", "phone")
_BILLING = (*_ADDRESS, "postcode", "country", "email", "phone")
_ORDER_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_NO_IMAGE = {"id": "", "src": ""}


def dump(value: Any) -> bytes:
    """Encode as PHP does: no blanks, ASCII only, slashes escaped."""
    return json.dumps(value, separators=(",", ":")).replace("/", "\\/").encode()


class Renderer:
    """Renders for one site: its address, its decimals, its clock zone."""

    def __init__(self, settings: Settings, url: str) -> None:
        self.url = url
        self._settings = settings
        self._zeros = self._text(Decimal(0))

    def order(self, order: Order) -> Json:
        """Return the order as `GET /orders/N` shows it."""
        local, gmt = self._local, self._gmt
        return {
            "id": order.id,
            "parent_id": 0,
            "status": order.status,
            "currency": order.currency,
            "version": "10.5.0",
            "prices_include_tax": False,
            "date_created": local(order.created_at),
            "date_modified": local(order.modified_at),
            "discount_total": self._zeros,
            "discount_tax": self._zeros,
            "shipping_total": self._zeros,
            "shipping_tax": self._zeros,
            "cart_tax": self._zeros,
            "total": self._text(order.total),
            "total_tax": self._zeros,
            "customer_id": order.customer_id,
            "order_key": order.key,
            "billing": {name: order.billing.get(name, "") for name in _BILLING},
            "shipping": {name: order.shipping.get(name, "") for name in _SHIPPING},
            "payment_method": order.payment_method,
            "payment_method_title": order.payment_method_title,
            "transaction_id": order.transaction_id,
            "customer_ip_address": "",
            "customer_user_agent": "",
            "created_via": order.created_via,
            "customer_note": order.customer_note,
            "date_completed": local(order.completed_at),
            "date_paid": local(order.paid_at),
            "cart_hash": "",
            "number": str(order.id),
            "meta_data": [_meta(meta) for meta in order.meta],
            "line_items": [self._product_line(line) for line in order.products],
            "tax_lines": [],
            "shipping_lines": [],
            "fee_lines": [self._fee_line(line) for line in order.fees],
            "coupon_lines": [],
            "refunds": [self._short_refund(refund) for refund in order.refunds],
            "payment_url": self.payment_url(order),
            "is_editable": order.is_editable,
            "needs_payment": order.needs_payment,
            "needs_processing": order.needs_processing,
            "date_created_gmt": gmt(order.created_at),
            "date_modified_gmt": gmt(order.modified_at),
            "date_completed_gmt": gmt(order.completed_at),
            "date_paid_gmt": gmt(order.paid_at),
            "currency_symbol": _SYMBOLS.get(order.currency, order.currency),
            "_links": self._order_links(order),
        }

    def refund(self, refund: Refund, *, with_parent: bool = False) -> Json:
        """Return the refund as `GET /orders/N/refunds/M` shows it; `GET /refunds` adds the id."""
        parent = f"{self.url}{REST_ROOT}/orders/{refund.order_id}"
        return {
            "id": refund.id,
            **({"parent_id": refund.order_id} if with_parent else {}),
            "date_created": self._local(refund.created_at),
            "date_created_gmt": self._gmt(refund.created_at),
            "amount": self._text(refund.amount),
            "reason": refund.reason,
            "refunded_by": 1,
            "refunded_payment": refund.through_gateway,
            "meta_data": [_meta(refund.meta)],
            "line_items": [
                self._product_line(line, sign=-1) for line in refund.lines if line.product
            ],
            "shipping_lines": [],
            "tax_lines": [],
            "fee_lines": [
                self._fee_line(line, sign=-1) for line in refund.lines if not line.product
            ],
            "_links": {
                "self": [
                    {
                        "href": f"{parent}/refunds/{refund.id}",
                        "targetHints": {"allow": ["GET", "DELETE"]},
                    }
                ],
                "collection": [{"href": f"{parent}/refunds"}],
                "up": [{"href": parent}],
            },
        }

    def payment_url(self, order: Order) -> str:
        """Return the address of the order's pay page."""
        return f"{self.url}/checkout/order-pay/{order.id}/?pay_for_order=true&key={order.key}"

    def stamps(self, name: str, instant: Instant | None) -> Json:
        """Return one stamp twice, in the site's zone and in UTC, both without a suffix."""
        return {name: self._local(instant), f"{name}_gmt": self._gmt(instant)}

    def _order_links(self, order: Order) -> Json:
        collection = f"{self.url}{REST_ROOT}/orders"
        own = f"{collection}/{order.id}"
        customer = f"{self.url}{REST_ROOT}/customers/{order.customer_id}"
        return {
            "self": [{"href": own, "targetHints": {"allow": _ORDER_METHODS}}],
            "collection": [{"href": collection}],
            "email_templates": [{"embeddable": True, "href": f"{own}/actions/email_templates"}],
            **({"customer": [{"href": customer}]} if order.customer_id else {}),
        }

    def _product_line(self, line: Line, sign: int = 1) -> Json:
        product = line.product
        return {
            "id": line.id,
            "name": line.name,
            "product_id": product.id if product else 0,
            "variation_id": 0,
            "quantity": line.quantity,
            "tax_class": "",
            "subtotal": self._text(sign * line.subtotal),
            "subtotal_tax": self._zeros,
            "total": self._text(sign * line.total),
            "total_tax": self._zeros,
            "taxes": [],
            "meta_data": [_line_meta(meta) for meta in line.meta],
            "sku": product.sku if product else "",
            "global_unique_id": "",
            "price": _price(line),
            "image": _NO_IMAGE,
            "parent_name": None,
        }

    def _fee_line(self, line: Line, sign: int = 1) -> Json:
        return {
            "id": line.id,
            "name": line.name,
            "tax_class": "",
            "tax_status": line.tax_status,
            "amount": "",
            "total": self._text(sign * line.total),
            "total_tax": self._zeros,
            "taxes": [],
            "meta_data": [_line_meta(meta) for meta in line.meta],
        }

    def _short_refund(self, refund: Refund) -> Json:
        return {"id": refund.id, "reason": refund.reason, "total": self._text(-refund.amount)}

    def _text(self, amount: Decimal) -> str:
        return str(self._settings.rounded(amount))

    def _gmt(self, instant: Instant | None) -> str | None:
        return None if instant is None else to_datetime(instant).strftime("%Y-%m-%dT%H:%M:%S")

    def _local(self, instant: Instant | None) -> str | None:
        offset = self._settings.time_zone_offset_s * SECOND
        return self._gmt(None if instant is None else instant + offset)


def _meta(meta: Meta) -> Json:
    return {"id": meta.id, "key": meta.key, "value": meta.value}


def _line_meta(meta: Meta) -> Json:
    return _meta(meta) | {"display_key": meta.key, "display_value": meta.value}


def _price(line: Line) -> int | float:
    """The unit price is the one amount that is a JSON number; whole ones have no point."""
    price = float(line.total / line.quantity) if line.quantity else 0.0
    return int(price) if price.is_integer() else price
