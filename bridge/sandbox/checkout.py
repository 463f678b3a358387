"""Paying for an order: the pay page, its methods, and the thanks after it.

WooCommerce's pay page asks for a nonce, a log-in or an e-mail in some cases; here the key suffices.
"""

import re
import secrets
from collections.abc import Mapping
from decimal import Decimal
from html import escape
from urllib.parse import urlencode, urlsplit, urlunsplit

from bridge.sandbox.companion import RETURN_KEY
from bridge.sandbox.controls import Controls
from bridge.sandbox.layout import choice, frame, missing
from bridge.sandbox.model import CARD, GATEWAYS, PAID_STATUSES, STATUSES, Order
from bridge.sandbox.render import Renderer
from bridge.sandbox.state import State
from bridge.sandbox.wire import Request, Response

_STATUS_AFTER_PAYING = {"bacs": "on-hold", "cheque": "on-hold", "cod": "processing"}
_PAY = re.compile(r"/checkout/order-pay/(\d+)/?")
_RECEIVED = re.compile(r"/checkout/order-received/(\d+)/?")


class Checkout:
    """The pages about one order; `returns` is whether the companion plugin leads tenants back."""

    def __init__(
        self, state: State, renderer: Renderer, controls: Controls, *, returns: bool
    ) -> None:
        self._state = state
        self._renderer = renderer
        self._controls = controls
        self._returns = returns

    def answer(self, request: Request) -> Response | None:
        """Answer a request for one of these pages; None for any other."""
        if match := _PAY.fullmatch(request.path):
            order = self._opened(int(match[1]), request.query)
            if order and request.method == "POST":
                return self.pay(order, request.form.get("payment_method", ""))
            return _pay_page(order)
        if match := _RECEIVED.fullmatch(request.path):
            return self._received(self._opened(int(match[1]), request.query))
        return None

    def pay(self, order: Order, method: str) -> Response:
        """Do as the payment method does, and lead to the thanks."""
        with self._state.lock:
            if method not in GATEWAYS or not order.needs_payment:
                return _pay_page(order)
            fields = {"payment_method": method, "payment_method_title": GATEWAYS[method]}
            self._controls.update_order(order.id, **fields)
            if method == CARD:
                self._controls.pay(order.id, f"sandbox_{secrets.token_hex(8)}")
            else:
                self._controls.set_status(order.id, _STATUS_AFTER_PAYING[method])
        place = f"{self._renderer.url}/checkout/order-received/{order.id}/?key={order.key}"
        return Response.redirect(place)

    def _opened(self, order_id: int, query: Mapping[str, str]) -> Order | None:
        """Return the order that the key in the address opens."""
        order = self._state.orders.get(order_id)
        key = query.get("key", "").encode()
        return order if order and secrets.compare_digest(order.key.encode(), key) else None

    def _received(self, order: Order | None) -> Response:
        """Say thanks, or lead back at once what is paid: the bank's details stay readable."""
        if order is None:
            return missing()
        back = _return_url(order) if self._returns else ""
        if back and order.status in PAID_STATUSES:
            return Response.redirect(back)
        status = STATUSES.get(order.status, order.status)
        label = "Back to your balance" if back else "Back to the storefront"
        body = (
            f"<p>Thank you. Order {order.id} over {price(order.total, order.currency)} "
            f'is now: {escape(status)}.</p><p><a href="{escape(back or "/")}">{label}</a></p>'
        )
        return Response.html(frame("Order received", body))


def payment_form(label: str) -> str:
    """Return the form that asks for a payment method."""
    methods = "".join(
        choice("payment_method", method, title, chosen=method == CARD)
        for method, title in GATEWAYS.items()
    )
    return (
        '<form class="card" method="post"><input type="hidden" name="woocommerce_pay" value="1">'
        f"<fieldset><legend>How do you pay?</legend>{methods}</fieldset>"
        f'<button class="main">{escape(label)}</button></form>'
    )


def price(amount: Decimal, currency: str) -> str:
    """Return an amount as HTML."""
    return f"{amount} {escape(currency)}"


def _pay_page(order: Order | None) -> Response:
    """Offer the methods; a wrong key or a paid order shows none, still with 200."""
    if order is None or not order.needs_payment:
        return Response.html(frame("Pay for order", "<p>This order cannot be paid for.</p>"))
    lines = "".join(
        f"<li><div>{escape(line.name)}</div>"
        f"<strong>{price(line.total, order.currency)}</strong></li>"
        for line in order.products + order.fees
    )
    body = (
        f"<p>Order {order.id}</p><ul>{lines}</ul>"
        f"<p>Total <strong>{price(order.total, order.currency)}</strong></p>"
        f"{payment_form('Pay for order')}"
    )
    return Response.html(frame("Pay for order", body))


def _return_url(order: Order) -> str:
    """Return where the tenant goes when it is paid, with the order's id; empty where unknown."""
    metas = [*order.meta, *(meta for line in order.products for meta in line.meta)]
    url = next((str(meta.value) for meta in metas if meta.key == RETURN_KEY), "")
    parts = urlsplit(url)
    query = "&".join(filter(None, [parts.query, urlencode({"order": order.id})]))
    return url and urlunsplit(parts._replace(query=query))
