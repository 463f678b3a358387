"""Offers: a link by which whoever holds it can pay for a tenant, and see nothing."""

import re
from typing import Any

import pytest

from bridge.domain.clock import DAY, MINUTE
from bridge.domain.deposit import Asked, Status
from bridge.domain.errors import LeaseHeldError
from bridge.domain.offer import Offers
from bridge.store import deposits
from bridge.store.deposits import Deposit
from tests.conftest import FakeClock
from tests.pages.test_pages import seen
from tests.pages.visiting import OFFERS, PAY_URL, Answer, Browser, Site, Till, browsing

OFFER = "/billing/offer"


def offered(
    browser: Browser, amount: int = 1900, currency: str = "EUR", offers: Offers = OFFERS
) -> str:
    """A link, as a letter has it."""
    return offers.link("acme", amount, currency, browser.site.clock())


def text_of(link: str) -> str:
    return link.partition("?link=")[2]


def accept(browser: Browser, link: str) -> Answer:
    """Press the button."""
    return browser.call("POST", OFFER, data={"link": text_of(link)})


def opened(browser: Browser) -> list[Deposit]:
    """The tenant's deposits, newest first."""
    with browser.site.database.read() as tx:
        return deposits.of_tenant(tx, "acme", limit=100)


def fare(browser: Browser, status: Status, **fields: Any) -> None:
    """Let the newest deposit fare on."""
    deposit = opened(browser)[0]
    with browser.site.database.write() as tx:
        if status in {Status.EXPIRED, Status.CANCELLED}:
            deposits.close(tx, deposit, status, browser.site.clock())
        else:
            deposits.save(tx, [deposit._replace(status=status, **fields)])


def test_an_offer_shows_its_amount_and_nothing_else_of_the_tenant(stranger: Browser) -> None:
    stranger.site.fund(123456)
    page = stranger.get(offered(stranger))
    assert page.status_code == 200
    told = seen(page)
    assert "You pay €19.00 Continue to the payment" in told
    assert "It can be used until Dec 6, 2026" in told
    assert "acme" not in told
    assert "1,2" not in told
    assert "set-cookie" not in page.headers


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_looking_at_an_offer_opens_nothing(stranger: Browser, method: str) -> None:
    """Or the preview of a mail program would."""
    for _ in range(3):
        assert stranger.call(method, offered(stranger)).status_code == 200
    assert opened(stranger) == []


def test_it_is_accepted_once_however_often_the_button_is_pressed(stranger: Browser) -> None:
    link = offered(stranger)
    for _ in range(3):
        answer = accept(stranger, link)
        assert answer.status_code == 200
        assert f'content="0;url={PAY_URL.replace("&", "&amp;")}"' in answer.text
    [deposit] = opened(stranger)
    assert (deposit.tenant_id, deposit.amount, deposit.currency) == ("acme", 1900, "EUR")
    assert (deposit.caller, deposit.return_url) == ("offer", link)


def test_whoever_paid_is_told_so_and_not_asked_again(stranger: Browser) -> None:
    link = offered(stranger)
    accept(stranger, link)
    fare(stranger, Status.CREDITED)
    for page in (stranger.get(link), accept(stranger, link)):
        assert "In your balance" in seen(page)
        assert "Continue to the payment" not in seen(page)
    assert len(opened(stranger)) == 1


def test_whoever_comes_back_before_the_payment_arrived_waits_for_it(stranger: Browser) -> None:
    link = offered(stranger)
    accept(stranger, link)
    back = stranger.get(f"/billing/return?deposit={opened(stranger)[0].deposit_id}")
    assert back.status_code == 303
    page = stranger.get(back.headers["location"])
    assert 'http-equiv="refresh" content="5"' in page.text
    assert "Not paid yet" in seen(page)
    fare(stranger, Status.OPEN, order_status="on-hold")
    waiting = stranger.get(back.headers["location"])
    assert "waiting for the bank" in seen(waiting)
    assert "Continue to the payment" not in seen(waiting)
    fare(stranger, Status.CREDITED)
    assert "http-equiv" not in stranger.get(back.headers["location"]).text


@pytest.mark.parametrize("ended", [Status.EXPIRED, Status.CANCELLED])
def test_a_deposit_that_nobody_paid_can_be_opened_again(
    stranger: Browser, clock: FakeClock, ended: Status
) -> None:
    link = offered(stranger)
    accept(stranger, link)
    fare(stranger, ended)
    clock.advance(60)
    assert "Continue to the payment" in seen(stranger.get(link))
    accept(stranger, link)
    assert [deposit.status for deposit in opened(stranger)] == [Status.OPEN, ended]


def test_a_second_click_while_the_first_one_is_at_it_comes_back_to_the_offer(
    site: Site,
) -> None:
    class Busy(Till):
        def open(self, asked: Asked, *, create_tenant: bool) -> tuple[Deposit, bool]:
            raise LeaseHeldError("a twin is at it; retry later")

    site.services = site.services._replace(deposits=Busy(site.database, site.clock))
    with browsing(site) as stranger:
        answer = accept(stranger, offered(stranger))
        assert (answer.status_code, answer.headers["location"]) == (303, offered(stranger))


def test_a_link_that_is_late_changed_or_of_other_keys_opens_nothing(
    stranger: Browser, clock: FakeClock
) -> None:
    good = offered(stranger)
    other = offered(stranger, offers=OFFERS._replace(keys=(b"x" * 32,)))
    for link in (good[:-1], good.replace("link=", "link=A"), f"{OFFER}?link=", OFFER, other):
        for answer in (stranger.get(link), accept(stranger, link)):
            assert answer.status_code == 401
            assert "Your link has expired" in seen(answer)
            assert "where you manage your subscription" in seen(answer), "the letter has no other"
    clock.now += 14 * DAY - MINUTE
    assert stranger.get(good).status_code == 200
    clock.now += MINUTE
    assert stranger.get(good).status_code == 401
    assert accept(stranger, good).status_code == 401
    assert opened(stranger) == []


def test_a_portal_link_is_no_offer_and_an_offer_is_no_way_in(stranger: Browser) -> None:
    entering = text_of(stranger.site.link())
    assert stranger.get(f"{OFFER}?link={entering}").status_code == 401
    assert stranger.get(f"/billing/enter?link={text_of(offered(stranger))}").status_code == 401
    accept(stranger, offered(stranger))
    assert stranger.get("/billing/").status_code == 401


def test_less_than_the_smallest_deposit_is_offered_as_that(stranger: Browser) -> None:
    link = offered(stranger, 3)
    assert "You pay €5.00" in seen(stranger.get(link))
    accept(stranger, link)
    assert opened(stranger)[0].amount == 500


def test_what_a_larger_deposit_brings_is_told(stranger: Browser) -> None:
    assert "Bonus +€5.00" in seen(stranger.get(offered(stranger, 10000)))


@pytest.mark.parametrize(("amount", "currency"), [(1_000_001, "EUR"), (1900, "JPY")])
def test_what_is_no_longer_taken_is_explained(
    stranger: Browser, amount: int, currency: str
) -> None:
    link = offered(stranger, amount, currency, OFFERS._replace(currencies=("EUR", "JPY")))
    for answer in (stranger.get(link), accept(stranger, link)):
        assert answer.status_code == 422
        assert "This deposit is not possible" in seen(answer)


def test_the_browser_chooses_the_language(stranger: Browser) -> None:
    page = stranger.call("GET", offered(stranger), headers={"accept-language": "de"})
    assert "Sie zahlen 19,00 € Weiter zur Zahlung" in seen(page)
    assert re.search('<html lang="de">', page.text)
