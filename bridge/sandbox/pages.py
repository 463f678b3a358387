"""The pages people see: the last orders with buttons, the pay page and the thanks after it.

WooCommerce's pay page asks for a nonce, a log-in or an e-mail in some cases; here the key suffices.
"""

import re
import secrets
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from html import escape
from typing import NamedTuple

from bridge.sandbox.controls import TAG_KEY, Controls, newest_orders
from bridge.sandbox.layout import button, choice, frame
from bridge.sandbox.model import CARD, GATEWAYS, STATUSES, Order
from bridge.sandbox.orders import RefusedError
from bridge.sandbox.render import Renderer
from bridge.sandbox.state import State
from bridge.sandbox.wire import Request, Response

ORDERS_SHOWN = 20
NO_TENANT = "no tenant"
_STATUS_AFTER_PAYING = {"bacs": "on-hold", "cheque": "on-hold", "cod": "processing"}
_PAY = re.compile(r"/checkout/order-pay/(\d+)/?")
_RECEIVED = re.compile(r"/checkout/order-received/(\d+)/?")
_ACT = re.compile(r"/sandbox/orders/(\d+)/([a-z-]+)")
_OPEN = ("pending", "on-hold", "processing", "failed")


class Action(NamedTuple):
    """A button: where it is offered, and what pressing it does."""

    label: str
    statuses: Collection[str]
    do: Callable[[Controls, int], object]


_ACTIONS = {
    "complete": Action("Complete", _OPEN, lambda hands, n: hands.set_status(n, "completed")),
    "cancel": Action(
        "Cancel", (*_OPEN, "completed"), lambda hands, n: hands.set_status(n, "cancelled")
    ),
    "refund": Action("Refund", ("completed", "processing"), Controls.refund),
    "restore": Action("Restore", ("trash",), Controls.restore),
    "trash": Action("Trash", STATUSES, Controls.trash),
}


class Pages:
    """Answers everything that is not REST."""

    def __init__(self, state: State, renderer: Renderer, controls: Controls) -> None:
        self._state = state
        self._renderer = renderer
        self._controls = controls

    def answer(self, request: Request) -> Response:
        """Answer one request of a browser."""
        posted = request.method == "POST"
        if match := _PAY.fullmatch(request.path):
            order = self._opened(int(match[1]), request.query)
            return self._pay(order, request.form) if posted and order else self._pay_page(order)
        if match := _RECEIVED.fullmatch(request.path):
            return self._received_page(self._opened(int(match[1]), request.query))
        if posted and request.path == "/sandbox/orders":
            return self._place(request.form)
        if posted and (match := _ACT.fullmatch(request.path)):
            return self._act(int(match[1]), match[2])
        return self._home() if request.path == "/" else _missing()

    def _opened(self, order_id: int, query: Mapping[str, str]) -> Order | None:
        """Return the order that the key in the address opens."""
        order = self._state.orders.get(order_id)
        key = query.get("key", "").encode()
        return order if order and secrets.compare_digest(order.key.encode(), key) else None

    def _home(self) -> Response:
        with self._state.lock:
            rows = "".join(map(self._row, newest_orders(self._state, ORDERS_SHOWN)))
        body = (
            "<p>Nothing here costs anything. Press, and watch the balances follow.</p>"
            f'<h2>Place an order</h2><form class="card" method="post" action="/sandbox/orders">'
            '<label>Tenant<input name="tenant" value="acme" required maxlength="64"></label>'
            '<label>Amount<input name="total" value="50.00" required inputmode="decimal" '
            'pattern="[0-9]{1,9}([.][0-9]+)?"></label>'
            '<button class="main">Place it, unpaid</button></form>'
            f"<h2>Last orders</h2><ul>{rows or '<li>None yet.</li>'}</ul>"
        )
        return Response.html(frame("Sandbox storefront", body))

    def _row(self, order: Order) -> str:
        tags = ", ".join(str(meta.value) for meta in order.meta if meta.key == TAG_KEY)
        refunded = order.total - order.refundable
        back = f" · {refunded} refunded" if refunded else ""
        buttons = "".join(
            button(f"/sandbox/orders/{order.id}/{name}", action.label, f"order {order.id}")
            for name, action in _ACTIONS.items()
            if order.status in action.statuses and (name != "refund" or order.refundable > 0)
        )
        address = escape(self._renderer.payment_url(order))
        pay = f'<a href="{address}">Pay</a>' if order.needs_payment else ""
        status = STATUSES.get(order.status, order.status.capitalize())
        return (
            f"<li><div><strong>{_price(order, order.total)}</strong> "
            f"for {escape(tags or NO_TENANT)}<br><small>Order {order.id}{back}</small></div>"
            f'<span class="status">{escape(status)}</span>{pay}{buttons}</li>'
        )

    def _place(self, form: Mapping[str, str]) -> Response:
        line = {"name": "Deposit", "total": form.get("total", ""), "tax_status": "none"}
        self._controls.place_order(tenant=form.get("tenant"), status="pending", fee_lines=[line])
        return Response.redirect("/", 303)

    def _act(self, order_id: int, action: str) -> Response:
        try:
            _ACTIONS[action].do(self._controls, order_id)
        except KeyError:
            return _missing()
        except RefusedError as error:
            return Response.html(frame("Not possible", f"<p>{escape(str(error))}</p>"), 409)
        return Response.redirect("/", 303)

    def _pay_page(self, order: Order | None) -> Response:
        """Offer the methods; a wrong key or a paid order shows none, still with 200."""
        if order is None or not order.needs_payment:
            return Response.html(frame("Pay for order", "<p>This order cannot be paid for.</p>"))
        lines = "".join(
            f"<li><div>{escape(line.name)}</div><strong>{_price(order, line.total)}</strong></li>"
            for line in order.products + order.fees
        )
        methods = "".join(
            choice("payment_method", method, title, chosen=method == CARD)
            for method, title in GATEWAYS.items()
        )
        body = (
            f"<p>Order {order.id}</p><ul>{lines}</ul>"
            f"<p>Total <strong>{_price(order, order.total)}</strong></p>"
            '<form class="card" method="post">'
            '<input type="hidden" name="woocommerce_pay" value="1">'
            f"<fieldset><legend>How do you pay?</legend>{methods}</fieldset>"
            '<button class="main">Pay for order</button></form>'
        )
        return Response.html(frame("Pay for order", body))

    def _pay(self, order: Order, form: Mapping[str, str]) -> Response:
        method = form.get("payment_method", "")
        with self._state.lock:
            if method not in GATEWAYS or not order.needs_payment:
                return self._pay_page(order)
            fields = {"payment_method": method, "payment_method_title": GATEWAYS[method]}
            self._controls.update_order(order.id, **fields)
            if method == CARD:
                self._controls.pay(order.id, f"sandbox_{secrets.token_hex(8)}")
            else:
                self._controls.set_status(order.id, _STATUS_AFTER_PAYING[method])
        place = f"{self._renderer.url}/checkout/order-received/{order.id}/?key={order.key}"
        return Response.redirect(place)

    def _received_page(self, order: Order | None) -> Response:
        if order is None:
            return _missing()
        status = STATUSES.get(order.status, order.status)
        body = (
            f"<p>Thank you. Order {order.id} over {_price(order, order.total)} "
            f'is now: {escape(status)}.</p><p><a href="/">Back to the storefront</a></p>'
        )
        return Response.html(frame("Order received", body))


def _price(order: Order, amount: Decimal) -> str:
    return f"{amount} {escape(order.currency)}"


def _missing() -> Response:
    return Response.html(frame("Not found", '<p><a href="/">Back to the storefront</a></p>'), 404)
