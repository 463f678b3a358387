"""The pages people see: the last orders with buttons, and those of carts and payments."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from html import escape
from typing import NamedTuple

from bridge.sandbox.cart import Cart
from bridge.sandbox.checkout import Checkout, price
from bridge.sandbox.controls import TAG_KEY, Controls, newest_orders
from bridge.sandbox.layout import button, frame, missing
from bridge.sandbox.model import STATUSES, Order
from bridge.sandbox.orders import RefusedError
from bridge.sandbox.render import Renderer
from bridge.sandbox.state import State
from bridge.sandbox.wire import Request, Response

ORDERS_SHOWN = 20
NO_TENANT = "no tenant"
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

    def __init__(
        self,
        state: State,
        renderer: Renderer,
        controls: Controls,
        others: Sequence[Checkout | Cart],
    ) -> None:
        self._state = state
        self._renderer = renderer
        self._controls = controls
        self._others = others

    def answer(self, request: Request) -> Response:
        """Answer one request of a browser."""
        for other in self._others:
            if answer := other.answer(request):
                return answer
        posted = request.method == "POST"
        if posted and request.path == "/sandbox/orders":
            return self._place(request.form)
        if posted and (match := _ACT.fullmatch(request.path)):
            return self._act(int(match[1]), match[2])
        return self._home() if request.path == "/" else missing()

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
            f"<li><div><strong>{price(order.total, order.currency)}</strong> "
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
            return missing()
        except RefusedError as error:
            return Response.html(frame("Not possible", f"<p>{escape(str(error))}</p>"), 409)
        return Response.redirect("/", 303)
