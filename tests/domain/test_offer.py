"""Offers: a link opens the deposit that it names, until its time is over, and no other."""

from typing import Any

import pytest

from bridge.domain.clock import DAY
from bridge.domain.offer import Offer, Offers, read_offer
from bridge.domain.signing import derived
from tests.examples import NOON

KEYS = derived(["correct horse battery staple stapler"], "deposit-offer")
OTHERS = derived(["another secret of thirty-two letters"], "deposit-offer")
PAGE = "https://billing.example.com"
OFFERS = Offers(PAGE, KEYS, 14 * DAY, {"EUR"})


def link(offers: Offers = OFFERS, currency: str = "EUR") -> str:
    return offers.link("acme", 1500, currency, NOON)


def seal_of(link: str) -> str:
    return link.removeprefix(f"{PAGE}/billing/offer?link=")


def test_a_link_offers_what_it_was_made_for() -> None:
    offer = read_offer(KEYS, seal_of(link()), NOON)
    assert offer == Offer("acme", 1500, "EUR", NOON + 14 * DAY)


def test_a_link_still_opens_when_the_keys_were_rotated() -> None:
    assert read_offer(OTHERS + KEYS, seal_of(link()), NOON)


def test_a_link_is_over_when_its_time_is() -> None:
    assert read_offer(KEYS, seal_of(link()), NOON + 14 * DAY - 1)
    assert read_offer(KEYS, seal_of(link()), NOON + 14 * DAY) is None


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(seal_of(link()).replace("W", "X", 1), id="changed"),
        pytest.param(seal_of(link(OFFERS._replace(keys=OTHERS))), id="of another installation"),
        pytest.param("", id="empty"),
        pytest.param(None, id="missing"),
    ],
)
def test_a_changed_link_opens_nothing(text: object) -> None:
    assert read_offer(KEYS, text, NOON) is None


@pytest.mark.parametrize("missing", [{"public_url": ""}, {"keys": ()}, {"currencies": ()}])
def test_there_is_no_link_without_a_page_a_key_or_a_storefront_that_takes_the_currency(
    missing: dict[str, Any],
) -> None:
    assert link(OFFERS._replace(**missing)) == ""
    assert link(currency="USD") == ""
