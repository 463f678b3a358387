"""Where deposits are paid: a storefront's terms, and what it is given to take one."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from bridge.domain.clock import SECOND
from bridge.domain.deposit import DepositRefusedError, Tag, Terms
from bridge.domain.money import format_amount
from bridge.domain.signing import Keys
from bridge.store.deposits import Deposit
from bridge.storefront.checkout import Checkout, OrderForm, cart_link


class Till(NamedTuple):
    """One storefront's deposits: its terms, its keys, and how to ask it.

    `checkout` may read secrets; it is called when an order is needed.
    """

    name: str
    url: str
    tag_key: str
    terms: Terms
    tag_keys: Keys
    link_keys: Keys
    checkout: Callable[[], Checkout]

    def form(self, deposit: Deposit, return_url: str) -> OrderForm:
        """Return what the order for a deposit says; the tenant goes to `return_url` when paid."""
        tag = Tag(*(getattr(deposit, name) for name in Tag._fields))
        return OrderForm(
            deposit_id=deposit.deposit_id,
            tenant_id=deposit.tenant_id,
            amount=deposit.amount,
            currency=deposit.currency,
            tag=tag.sealed(self.tag_keys),
            tag_key=self.tag_key,
            return_url=return_url,
        )

    def link(self, deposit: Deposit, form: OrderForm) -> str:
        """Return the link that the companion plugin turns into a cart with the deposit."""
        return cart_link(
            self.url,
            self.link_keys,
            form.tag,
            format_amount(form.amount, form.currency),
            form.currency,
            deposit.expires_at // SECOND,
            deposit.mode,
            form.return_url,
            form.tenant_id,
            form.deposit_id,
        )


def till_for(tills: Iterable[Till], currency: str, storefront: str = "") -> Till:
    """Return the first till that takes the currency, of one storefront where that is named.

    DepositRefusedError where there is none; it names the currencies there are.
    """
    asked = [till for till in tills if storefront in {"", till.name}]
    for till in asked:
        if currency in till.terms.limits:
            return till
    where = f"storefront {storefront!a:.60}" if storefront else "any storefront"
    there = ", ".join(sorted({code for till in asked for code in till.terms.limits})) or "none"
    raise DepositRefusedError(
        f"no deposits in {currency!a:.10} at {where}; its currencies are: {there}"
    )
