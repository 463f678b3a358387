"""Offers: signed links by which whoever holds one may open one deposit, and nothing else."""

from collections.abc import Collection
from typing import NamedTuple

from bridge.domain.clock import Instant
from bridge.domain.signing import Keys, seal, unseal


class Offer(NamedTuple):
    """A deposit that may be opened until `expires_at`; `amount` in minor units."""

    tenant_id: str
    amount: int
    currency: str
    expires_at: Instant


class Offers(NamedTuple):
    """Makes the links.

    `public_url` is the origin of the tenants' page, "" where there is none; `currencies` are those
    that can be deposited.
    """

    public_url: str
    keys: Keys
    lifetime: Instant
    currencies: Collection[str]

    def link(self, tenant_id: str, amount: int, currency: str, now: Instant) -> str:
        """Return the address of a page that offers a deposit; "" where there can be none.

        Its GET changes nothing, so previews of the link do no harm.
        """
        if not self.public_url or not self.keys or currency not in self.currencies:
            return ""
        offer = Offer(tenant_id, amount, currency, now + self.lifetime)
        return f"{self.public_url}/billing/offer?link={seal(self.keys, *offer)}"


def read_offer(keys: Keys, text: object, now: Instant) -> Offer | None:
    """Return the offer that was sealed with one of the keys; None for other texts, or too late."""
    values = unseal(keys, text)
    offer = None if values is None else Offer._make(values)
    return offer if offer and offer.expires_at > now else None
