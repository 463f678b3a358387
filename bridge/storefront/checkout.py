"""Orders that bridge itself starts at a storefront, and links into its cart."""

import re
from typing import Any, NamedTuple

import structlog

from bridge.domain.crediting import VANISHED
from bridge.domain.deposit import RETURN_KEY, TAG_KEY
from bridge.domain.errors import InvalidRequestError
from bridge.domain.money import format_amount, parse_amount
from bridge.domain.signing import Keys, seal
from bridge.storefront.errors import OrderGoneError, StorefrontAnswerError
from bridge.storefront.parse import row_id
from bridge.storefront.reply import Reply
from bridge.storefront.session import Params
from bridge.storefront.transport import Transport

FOUND_MAX = 20
"""Orders that one search looks through."""

_FIELDS = "id,status,total,currency,needs_payment,payment_url,date_paid_gmt,meta_data"
_SHOWN: Params = {"_fields": _FIELDS}
_PAY_URL = re.compile(r"https?://[!-~]{1,2000}")
_log = structlog.get_logger()


class OrderForm(NamedTuple):
    """What the order for a deposit says: `amount` is minor units, `tag` the sealed one.

    `tag_key` is the meta key of the tenant's id; the tenant goes to `return_url`, unless it is "".
    """

    deposit_id: str
    tenant_id: str
    amount: int
    currency: str
    tag: str
    tag_key: str
    return_url: str


class Placed(NamedTuple):
    """An order that waits for its payment at `pay_url`."""

    order_id: int
    pay_url: str


class Checkout:
    """Places, finds and cancels orders. Raises the errors of bridge.storefront.errors."""

    def __init__(self, name: str, transport: Transport) -> None:
        self._name = name
        self._transport = transport

    def place(self, form: OrderForm) -> Placed:
        """Place the order for a deposit, in one attempt.

        After StorefrontUnavailableError there may be one nevertheless: WooCommerce makes two of
        two requests, so `find` it before another attempt. StorefrontAnswerError where the
        storefront made another order of it, which is cancelled then.
        """
        return self._placed(form, _row(self._transport.post("orders", _SHOWN, _body(form))))

    def find(self, form: OrderForm) -> Placed | None:
        """Return the order that was placed for a deposit and can be paid; None if there is none.

        Raises what `place` does for one that says another amount.
        """
        # WooCommerce searches the names of fees, but no metadata.
        wanted: Params = {"search": form.deposit_id, "status": "any", "per_page": FOUND_MAX}
        rows = self._transport.get("orders", wanted | _SHOWN).rows()
        found = [row for row in rows if _carries(row, form.tag) and row.get("needs_payment")]
        return self._placed(form, min(found, key=lambda row: row_id(row) or 0)) if found else None

    def cancel(self, order_id: int, *, awaited: bool = False) -> str:
        """Cancel an order unless it is paid; return the status it has then, or VANISHED.

        With `awaited` also one that waits for its payment to arrive, by bank transfer say.
        """
        path = f"orders/{order_id}"
        try:
            order = _row(self._transport.get(path, _SHOWN))
            unpaid = order.get("needs_payment") or (awaited and order.get("status") == "on-hold")
            if unpaid and not order.get("date_paid_gmt"):
                order = self._cancelled(path)
        except OrderGoneError:
            return VANISHED
        return str(order.get("status"))

    def _cancelled(self, path: str) -> dict[str, Any]:
        """Cancel the order; give it back the status of a paid one if it was paid meanwhile.

        WooCommerce: an order of fees alone is completed by its payment.
        """
        order = _row(self._transport.put(path, _SHOWN, {"status": "cancelled"}))
        if not order.get("date_paid_gmt"):
            return order
        _log.warning("checkout.paid_while_cancelled", storefront=self._name, path=path)
        return _row(self._transport.put(path, _SHOWN, {"status": "completed"}))

    def _placed(self, form: OrderForm, order: dict[str, Any]) -> Placed:
        """Return the order; cancel it and raise StorefrontAnswerError if it is not as asked."""
        order_id, pay_url = row_id(order), order.get("payment_url")
        if order_id and _is_as_asked(form, order) and _PAY_URL.fullmatch(str(pay_url)):
            return Placed(order_id, str(pay_url))
        if order_id:
            self.cancel(order_id)
        asked = f"{format_amount(form.amount, form.currency)} {form.currency}"
        raise StorefrontAnswerError(
            f"storefront {self._name}: an order over {asked} could not be placed there as one to "
            "be paid; set its decimals to those of the currency, and let no plugin alter orders "
            "of the REST API"
        )


def cart_link(url: str, keys: Keys, *values: str | int) -> str:
    """Return the link that the companion plugin at `url` turns into a cart."""
    return f"{url.rstrip('/')}/?bridge_deposit={seal(keys, *values)}"


def _body(form: OrderForm) -> dict[str, Any]:
    """Return the order as WooCommerce takes it.

    Without a billing e-mail the pay page asks nothing, and a fee's taxes must be said to be none.
    """
    fee = {
        "name": f"Deposit {form.deposit_id}",
        "total": format_amount(form.amount, form.currency),
        "tax_status": "none",
    }
    meta = {form.tag_key: form.tenant_id, TAG_KEY: form.tag, RETURN_KEY: form.return_url}
    return {
        "status": "pending",
        "currency": form.currency,
        "fee_lines": [fee],
        "meta_data": [{"key": key, "value": value} for key, value in meta.items() if value],
    }


def _row(reply: Reply) -> dict[str, Any]:
    if not isinstance(reply.payload, dict):
        raise StorefrontAnswerError(
            reply.say(
                "it sent no order where WooCommerce sends one; let no plugin or proxy alter its API"
            )
        )
    return reply.payload


def _carries(row: Any, tag: str) -> bool:
    metas = row.get("meta_data") if isinstance(row, dict) else None
    wanted = (TAG_KEY, tag)
    return any(
        isinstance(meta, dict) and (meta.get("key"), meta.get("value")) == wanted
        for meta in metas or ()
    )


def _is_as_asked(form: OrderForm, order: dict[str, Any]) -> bool:
    try:
        total = parse_amount(order.get("total"), form.currency)
    except InvalidRequestError:
        return False
    return (total, order.get("currency"), order.get("needs_payment")) == (
        form.amount,
        form.currency,
        True,
    )
