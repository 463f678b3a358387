"""What comes, as tenants see it."""

import re
from html import unescape

import pytest

from bridge.domain.clock import parse
from bridge.domain.renewal import Renewal
from tests.conftest import FakeClock
from tests.pages.test_pages import seen
from tests.pages.visiting import Answer, Browser, Site, browsing
from tests.renewing import kept

PAY = "/billing/renewals/pay"
DUE = parse("2026-11-30T09:00:00Z")


@pytest.fixture
def renewing(browser: Browser) -> Browser:
    """acme pays 19.00 EUR every month, and has 50.00 EUR."""
    browser.site.fund(5000)
    browser.site.renew("pro", 1900, DUE, description="Plan Pro")
    return browser


def come(site: Site, clock: FakeClock, day: str) -> None:
    """Let a day come, and do what is due then."""
    clock.now = parse(day)
    site.run_renewals()


def entered(browser: Browser) -> Browser:
    """Come again, since sessions do not last for months."""
    assert browser.enter().status_code == 200
    return browser


def rows(page: Answer) -> list[list[str]]:
    """The cells of the table, row by row."""
    body = page.text.split("<tbody", 1)[1].split("</tbody>", 1)[0]
    return [
        [
            " ".join(unescape(re.sub("<[^>]+>", " ", cell)).split())
            for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL)
        ]
        for row in body.split("</tr>")[:-1]
    ]


def title(page: Answer) -> str:
    """What the picture is called for those who do not see it."""
    return unescape(page.text.split('<title id="ahead-title">')[1].split("</title>")[0])


def pay(browser: Browser, renewal: Renewal) -> Answer:
    return browser.post(PAY, reference=renewal.reference, period=renewal.period)


def test_the_first_page_says_what_comes_and_until_when_the_balance_lasts(
    renewing: Browser,
) -> None:
    told = seen(renewing.get("/billing/"))
    assert "Your balance lasts until Jan 30, 2027." in told
    assert "Plan Pro Nov 30, 2026 €19.00 €31.00 left then" in told
    assert "Jan 30, 2027 €19.00 -€7.00 left then" in told
    renewing.site.fund(20000, order_id=64)
    told = seen(renewing.get("/billing/"))
    assert "Your balance covers all that is due until Nov 22, 2027." in told


def test_without_renewals_nothing_is_said_of_them(browser: Browser) -> None:
    browser.site.fund(5000)
    assert "Coming up" not in seen(browser.get("/billing/"))
    browser.site.renew("over", 100, DUE)
    browser.site.renewals.end("over")
    assert "Coming up" not in seen(browser.get("/billing/"))
    assert "Nothing is due in this time." in seen(browser.get("/billing/ahead"))


def test_a_currency_that_only_renewals_are_in_is_shown_too(renewing: Browser) -> None:
    renewing.site.renew("usd", 700, DUE, currency="USD", description="Domain")
    told = seen(renewing.get("/billing/"))
    assert "$0.00" in told
    assert "Domain Nov 30, 2026 $7.00" in told
    assert "Your balance lasts until" in seen(renewing.get("/billing/ahead?currency=USD"))


def test_the_table_says_what_the_picture_shows(renewing: Browser) -> None:
    page = renewing.get("/billing/ahead?months=6")
    assert rows(page)[:3] == [
        ["Nov 30, 2026", "Plan Pro", "€19.00", "€31.00", "covered"],
        ["Dec 30, 2026", "Plan Pro", "€19.00", "€12.00", "covered"],
        [
            *("Jan 30, 2027", "Plan Pro", "€19.00", "-€7.00"),
            "Deposit €7.00 enough until Jan 30, 2027",
        ],
    ]
    [line] = set(re.findall(r'class="line" d="([^"]+)"', page.text))
    assert line.count("V") == len(rows(page)) + 1, "a step for each, and the way to the end"
    assert title(page).startswith("Forecast: €50.00 now; too little from Jan 30, 2027 on;")
    assert "Without a deposit, €64.00 is missing by May 22, 2027." in seen(page)


def test_every_day_can_be_deposited_for_exactly(renewing: Browser) -> None:
    page = renewing.get("/billing/ahead?months=12").text
    links = re.findall(r'href="/billing/deposit/review\?currency=EUR&amp;minor=(\d+)"', page)
    tiles, table = links[:3], links[3:]
    assert tiles == ["700", "6400", "17800"], "for 3, 6 and 12 months"
    assert table == [str(700 + 1900 * n) for n in range(10)]
    review = renewing.get("/billing/deposit/review?currency=EUR&minor=6400")
    assert "€64.00" in seen(review)


def test_a_deposit_is_offered_with_the_furthest_it_carries(renewing: Browser) -> None:
    renewing.site.renew("pro", 1900, DUE, unit="year")
    renewing.site.debit(3200, "spent")
    told = seen(renewing.get("/billing/ahead"))
    assert "Deposit ahead €5.00 enough until Nov 22, 2027 Coming payments" in told


def test_who_may_not_deposit_sees_what_is_needed_and_no_links(stranger: Browser) -> None:
    stranger.site.fund(5000)
    stranger.site.renew("pro", 1900, DUE)
    stranger.enter(can="")
    page = stranger.get("/billing/ahead")
    assert "/billing/deposit" not in page.text
    assert rows(page)[2][-1] == "€7.00"


def test_one_can_look_half_a_year_or_two_years_ahead(renewing: Browser) -> None:
    numbers = {
        months: len(rows(renewing.get(f"/billing/ahead?months={months}"))) for months in (6, 24)
    }
    assert numbers == {6: 6, 24: 24}
    for odd in ("7", "x", "1e1", ""):
        assert len(rows(renewing.get(f"/billing/ahead?months={odd}"))) == 12
    assert renewing.get("/billing/ahead?currency=nonsense").status_code == 200


def test_a_long_table_says_where_it_ends(renewing: Browser) -> None:
    renewing.site.renew("daily", 1, DUE, unit="day")
    page = renewing.get("/billing/ahead")
    assert len(rows(page)) == 200
    assert "The first 200 payments are listed." in seen(page)


def test_what_is_overdue_is_told_with_the_deposit_that_pays_it(
    renewing: Browser, clock: FakeClock
) -> None:
    renewing.site.debit(4000, "spent")
    come(renewing.site, clock, "2026-11-30T09:00:00Z")
    page = entered(renewing).get("/billing/")
    told = seen(page)
    assert "€9.00 is missing. Deposit €9.00" in told
    assert "Plan Pro Was due on Nov 30, 2026, not paid yet €19.00" in told
    assert "/billing/deposit/review?currency=EUR&amp;minor=900" in page.text
    assert "disabled" in page.text
    assert "For what is due already, this is missing €9.00" in seen(renewing.get("/billing/ahead"))


def test_a_double_click_pays_a_period_once(renewing: Browser, clock: FakeClock) -> None:
    renewing.site.renew("pro", 1900, DUE, description="Plan Pro", auto_renew=0)
    come(renewing.site, clock, "2026-11-30T09:00:00Z")
    told = seen(entered(renewing).get("/billing/"))
    assert "Plan Pro Was due on Nov 30, 2026, not paid yet €19.00 Pay from the balance" in told
    renewal = kept(renewing.site.database, "pro")
    for _ in range(2):
        answer = pay(renewing, renewal)
        assert (answer.status_code, answer.headers["location"]) == (303, "/billing/")
    assert renewing.site.balance() == 3100
    assert "not paid yet" not in seen(renewing.get("/billing/"))
    assert "Payment Nov 30, 2026 · Plan Pro" in seen(renewing.get("/billing/"))


def test_what_bridge_may_not_debit_is_asked_for_in_good_time(
    renewing: Browser, clock: FakeClock
) -> None:
    renewing.site.renew("pro", 1900, DUE, auto_renew=0)
    assert "please pay" not in seen(renewing.get("/billing/"))
    come(renewing.site, clock, "2026-11-25T09:00:00Z")
    assert "pro Due on Nov 30, 2026: please pay €19.00" in seen(entered(renewing).get("/billing/"))
    pay(renewing, kept(renewing.site.database, "pro"))
    assert renewing.site.balance() == 3100


def test_what_has_lapsed_can_be_paid_and_goes_on_from_then(
    renewing: Browser, clock: FakeClock
) -> None:
    renewing.site.debit(5000, "spent")
    come(renewing.site, clock, "2026-11-30T09:00:00Z")
    come(renewing.site, clock, "2026-12-20T09:00:00Z")
    told = seen(entered(renewing).get("/billing/"))
    assert "Was due on Nov 30, 2026, not paid in time €19.00" in told
    renewing.site.fund(2000, order_id=64)
    assert renewing.site.balance() == 2000
    lapsed = kept(renewing.site.database, "pro")
    for _ in range(2):
        assert pay(renewing, lapsed).status_code == 303
    assert renewing.site.balance() == 100
    assert kept(renewing.site.database, "pro").period == "2027-01-20"


def test_a_short_balance_changes_nothing(renewing: Browser, clock: FakeClock) -> None:
    renewing.site.debit(4000, "spent")
    come(renewing.site, clock, "2026-11-30T09:00:00Z")
    before = kept(renewing.site.database, "pro")
    assert pay(entered(renewing), before).status_code == 303
    assert kept(renewing.site.database, "pro") == before
    assert renewing.site.balance() == 1000


def test_a_period_that_is_not_the_one_to_be_paid_is_explained(renewing: Browser) -> None:
    answer = renewing.post(PAY, reference="pro", period="2030-01-01")
    assert answer.status_code == 409
    assert "This payment is closed" in seen(answer)
    assert renewing.post(PAY, reference="none", period="2030-01-01").status_code == 404
    for odd in ({}, {"reference": "pro"}, {"reference": "\0", "period": "2030-01-01"}):
        assert renewing.post(PAY, **odd).status_code == 422
    assert renewing.site.balance() == 5000


def test_nobody_pays_by_a_session_that_may_not_or_for_another_tenant(
    renewing: Browser, site: Site
) -> None:
    renewal = kept(site.database, "pro")
    with browsing(site) as other:
        other.enter("beta")
        assert pay(other, renewal).status_code == 404
        assert "Plan Pro" not in seen(other.get("/billing/"))
        other.enter(can="deposit")
        assert "Pay from the balance" not in seen(other.get("/billing/"))
        assert pay(other, renewal).status_code == 403
    foreign = renewing.call(
        "POST", PAY, data={"token": "x", "reference": "pro", "period": renewal.period}
    )
    assert foreign.status_code == 403
    assert site.balance() == 5000


def test_what_comes_is_told_in_german(stranger: Browser) -> None:
    stranger.site.fund(5000)
    stranger.site.renew("pro", 1900, DUE, description="Tarif Pro")
    stranger.enter(language="de")
    page = stranger.get("/billing/ahead")
    assert "Ihr Guthaben reicht bis 30.01.2027" in seen(page)
    assert "Tarif Pro 19,00 € 31,00 € gedeckt" in seen(page)
    assert title(page).startswith("Vorschau: jetzt 50,00\xa0€; zu wenig ab 30.01.2027;")


def test_markup_in_a_description_is_shown_as_text(renewing: Browser) -> None:
    renewing.site.renew("evil", 100, DUE, description="<script>alert(1)</script>")
    for path in ("/billing/", "/billing/ahead"):
        assert "<script>alert" not in renewing.get(path).text
