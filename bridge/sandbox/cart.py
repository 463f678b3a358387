"""The cart of the companion plugin: from bridge's link over the cart and the checkout to an order.

WooCommerce keeps carts behind a cookie; here the address names the cart, so that a test and a
browser need none. A cart holds one deposit and nothing else.
"""

import secrets
from decimal import Decimal
from html import escape

from bridge.domain.clock import SECOND
from bridge.sandbox import orders
from bridge.sandbox.checkout import Checkout, payment_form, price
from bridge.sandbox.companion import PARAMETER, RETURN_KEY, SKU, TAG_KEY, Companion, Link
from bridge.sandbox.controls import Controls
from bridge.sandbox.layout import frame
from bridge.sandbox.model import GATEWAYS, Order
from bridge.sandbox.state import State
from bridge.sandbox.wire import Request, Response

CARTS_MAX = 1000
_PAGES = ("/cart/", "/checkout/")


class Cart:
    """What the companion adds to the storefront."""

    def __init__(
        self, state: State, companion: Companion, controls: Controls, checkout: Checkout
    ) -> None:
        controls.add_product("Deposit", SKU, "0", downloadable=True)
        self._state = state
        self._companion = companion
        self._checkout = checkout
        self._carts: dict[str, str] = {}

    def answer(self, request: Request) -> Response | None:
        """Answer a link or a request for one of these pages; None for any other."""
        if request.path == "/" and PARAMETER in request.query:
            return self._fill(request.query[PARAMETER])
        if request.path not in _PAGES:
            return None
        session = request.query.get("session", "")
        link = self._open(self._carts.get(session, ""))
        if link is None:
            return _empty()
        if request.path == "/cart/":
            return _cart_page(link, session)
        if request.method == "POST" and (method := request.form.get("payment_method")) in GATEWAYS:
            return self._pay(session, method)
        return _checkout_page(link)

    def _open(self, token: str) -> Link | None:
        return self._companion.open(token, self._state.now() // SECOND)

    def _fill(self, token: str) -> Response:
        """Put the deposit into a cart of its own; the link stays good for another one."""
        link = self._open(token)
        if link is None:
            return _refused("This link is not valid, or has expired.", 403)
        settings, amount = self._state.settings, Decimal(link.amount)
        if link.currency != settings.currency or settings.rounded(amount) != amount:
            return _refused(f"This storefront cannot take {link.amount} {link.currency}.", 409)
        session = secrets.token_urlsafe(16)
        with self._state.lock:
            self._carts[session] = token
            if len(self._carts) > CARTS_MAX:
                del self._carts[next(iter(self._carts))]
        return Response.redirect(f"/{link.page}/?session={session}")

    def _pay(self, session: str, method: str) -> Response:
        """Make the order and pay for it; the cart is empty then, also for a second click."""
        with self._state.lock:
            link = self._open(self._carts.pop(session, ""))
            return self._checkout.pay(self._placed(link), method) if link else _empty()

    def _placed(self, link: Link) -> Order:
        """Make the order as the plugin does: the deposit's line carries tag and return."""
        returns = [{"key": RETURN_KEY, "value": link.return_url}] if link.return_url else []
        line = {
            "sku": SKU,
            "name": f"Deposit {link.deposit_id}",
            "subtotal": link.amount,
            "total": link.amount,
            "meta_data": [{"key": TAG_KEY, "value": link.tag}, *returns],
        }
        fields = {"created_via": "checkout", "currency": link.currency, "line_items": [line]}
        return orders.create(self._state, fields)


def _cart_page(link: Link, session: str) -> Response:
    onward = f'<p><a href="/checkout/?session={escape(session)}">Proceed to checkout</a></p>'
    return Response.html(frame("Cart", _shown(link) + onward))


def _checkout_page(link: Link) -> Response:
    return Response.html(frame("Checkout", _shown(link) + payment_form("Place order")))


def _shown(link: Link) -> str:
    return (
        f"<ul><li><div>Deposit {escape(link.deposit_id)}<br><small>Deposit for: "
        f"{escape(link.tenant_id)}</small></div>"
        f"<strong>{price(Decimal(link.amount), link.currency)}</strong></li></ul>"
    )


def _empty() -> Response:
    return Response.html(frame("Cart", "<p>Your cart is empty, or has expired.</p>"))


def _refused(why: str, status: int) -> Response:
    return Response.html(frame("Not possible", f"<p>{escape(why)}</p>"), status)
