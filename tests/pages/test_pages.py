"""What tenants see, and what they can do."""

import csv
import html
import io
import re

import pytest

from bridge.api.pages import statement
from bridge.domain.clock import DAY
from bridge.domain.deposit import Status
from bridge.domain.entry import Kind
from bridge.store import deposits, payment_requests
from tests.conftest import FakeClock
from tests.pages.visiting import PAY_URL, Answer, Browser, Site, browsing

MARKUP = '<script>alert("1")</script><b>&amp;'


def seen(answer: Answer) -> str:
    """The text of a page, as it is read."""
    text = re.sub(r"<(head|style|title id).*?</\1>", " ", answer.text, flags=re.DOTALL)
    text = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", text)))
    return text.replace("\xa0", " ")


def test_the_first_page_shows_balance_what_is_held_and_what_happened(browser: Browser) -> None:
    site = browser.site
    site.fund(10000)
    site.debit(1900, "d1", description="Plan Pro")
    site.debit(1000, "h1", Kind.HOLD, expires_at=site.clock() + DAY)
    text = seen(browser.get("/billing/"))
    assert "Balance €81.00" in text
    assert "Available €71.00" in text
    assert "Reserved €10.00" in text
    assert "Order 63" in text
    assert "Plan Pro" in text
    assert "-€19.00" in text


def test_a_tenant_who_has_nothing_yet_sees_that(browser: Browser) -> None:
    text = seen(browser.get("/billing/"))
    assert "€0.00" in text
    assert "Nothing has happened here yet." in text


def test_a_tenant_without_wallets_sees_a_page_also_where_nothing_can_be_deposited(
    site: Site,
) -> None:
    site.services = site.services._replace(portal=site.look._replace(currencies=()))
    with browsing(site) as browser:
        browser.enter()
        assert "Nothing has happened here yet." in seen(browser.get("/billing/"))
        for path in ("/billing/entries", "/billing/statement.pdf", "/billing/deposit"):
            assert browser.get(path).status_code == 404


def test_a_debt_is_told(browser: Browser) -> None:
    browser.site.fund(5000)
    browser.site.debit(5000, "d1")
    browser.site.fund(0)
    assert "Your balance is below zero" in seen(browser.get("/billing/"))


def test_the_picture_is_told_in_words(browser: Browser, clock: FakeClock) -> None:
    browser.site.fund(10000)
    clock.advance(86400)
    browser.site.debit(4000, "d1")
    clock.advance(86400)
    browser.enter()
    text = browser.get("/billing/").text
    assert (
        "Balance from €100.00 on Nov 22, 2026 to €60.00 on Nov 24, 2026;"
        " lowest €60.00, highest €100.00" in text
    )
    assert 'role="img"' in text


def test_the_page_speaks_the_language_of_the_session_of_the_browser_or_of_the_operator(
    stranger: Browser,
) -> None:
    stranger.site.fund(123456)
    stranger.enter(language="de")
    page = stranger.get("/billing/")
    assert '<html lang="de">' in page.text
    assert "Guthaben 1.234,56 €" in seen(page)
    stranger.enter()
    german = stranger.call("GET", "/billing/", headers={"Accept-Language": "de"})
    assert "Guthaben" in seen(german)
    assert "Balance" in seen(stranger.get("/billing/"))


def test_markup_in_any_text_is_shown_as_text(stranger: Browser, clock: FakeClock) -> None:
    site = stranger.site
    tenant_id = "<i>acme</i>"
    site.fund(50000, tenant_id)
    request = site.request(100, tenant_id, description=MARKUP, reference=MARKUP)
    deposit = site.deposit(100, tenant_id, metadata=f'{{"a": "{MARKUP}"}}'.replace('"1"', "1"))
    stranger.enter(tenant_id)
    for path in (
        "/billing/",
        "/billing/entries",
        f"/billing/requests/{request.request_id}",
        f"/billing/deposits/{deposit.deposit_id}",
        "/billing/deposit/review?minor=5000&currency=EUR",
    ):
        text = stranger.get(path).text
        assert "<script>" not in text
        assert "<i>" not in text
        assert "&lt;i&gt;acme" in text
    assert html.escape(MARKUP, quote=False)[:20] in stranger.get("/billing/").text


def test_the_storefronts_own_texts_are_not_shown(browser: Browser) -> None:
    browser.site.fund(5000)
    assert "an order" not in seen(browser.get("/billing/"))


# ---- Deposits ----


def test_what_larger_deposits_bring_is_shown_before_paying(browser: Browser) -> None:
    browser.site.fund(1000)
    form = seen(browser.get("/billing/deposit", currency="EUR"))
    assert "From €100.00 you get 5% on top." in form
    review = seen(browser.get("/billing/deposit/review", currency="EUR", minor="10000"))
    assert "You pay €100.00" in review
    assert "Bonus +€5.00" in review
    assert "Balance afterwards €115.00" in review


def test_a_review_opens_nothing(browser: Browser) -> None:
    browser.get("/billing/deposit/review", currency="EUR", minor="10000")
    with browser.site.database.read() as tx:
        assert deposits.of_tenant(tx, "acme", limit=10) == []


def test_a_deposit_is_opened_once_however_often_its_form_is_sent(browser: Browser) -> None:
    review = browser.get("/billing/deposit/review", currency="EUR", amount="50.00").text
    form = dict(re.findall(r'name="(\w+)" value="([^"]*)"', review))
    first = browser.post("/billing/deposit", **form)
    second = browser.post("/billing/deposit", **form)
    assert first.status_code == 303
    assert first.headers["location"] == second.headers["location"]
    with browser.site.database.read() as tx:
        [deposit] = deposits.of_tenant(tx, "acme", limit=10)
    assert (deposit.amount, deposit.currency, deposit.caller) == (5000, "EUR", "portal")
    assert first.headers["location"] == f"/billing/deposits/{deposit.deposit_id}?pay=1"


@pytest.mark.parametrize(
    "form",
    [
        {"minor": "5000", "currency": "EUR"},
        {"minor": "5000", "currency": "EUR", "key": "x"},
        {"amount": "1e3", "currency": "EUR", "key": "k" * 24},
        {"plan": "pro", "periods": "x", "key": "k" * 24},
    ],
)
def test_a_form_that_no_review_made_opens_nothing(browser: Browser, form: dict[str, str]) -> None:
    assert browser.post("/billing/deposit", **form).status_code == 422
    with browser.site.database.read() as tx:
        assert deposits.of_tenant(tx, "acme", limit=10) == []


def test_the_way_to_the_payment_is_a_page_that_leads_on_not_a_redirect(browser: Browser) -> None:
    deposit = browser.site.deposit(5000)
    paying = browser.get(f"/billing/deposits/{deposit.deposit_id}", pay="1").text
    assert f'http-equiv="refresh" content="0;url={html.escape(PAY_URL)}"' in paying
    staying = browser.get(f"/billing/deposits/{deposit.deposit_id}").text
    assert "0;url" not in staying


def test_a_plan_times_its_periods_can_be_deposited(browser: Browser) -> None:
    path = "/billing/deposit/review"
    review = browser.get(path, plan="pro", periods="12")
    assert "12 \N{MULTIPLICATION SIGN} €19.00" in seen(review)
    assert "You pay €228.00" in seen(review)
    form = dict(re.findall(r'name="(\w+)" value="([^"]*)"', review.text))
    browser.post("/billing/deposit", **form)
    with browser.site.database.read() as tx:
        [deposit] = deposits.of_tenant(tx, "acme", limit=10)
    assert (deposit.plan, deposit.periods, deposit.amount) == ("pro", 12, 22800)


@pytest.mark.parametrize(
    ("query", "advice"),
    [
        ({"amount": "4.99"}, "Deposits are from €5.00 to €10,000.00."),
        ({"amount": "10000.01"}, "Deposits are from €5.00 to €10,000.00."),
        ({"minor": "1"}, "Deposits are from €5.00"),
        ({"amount": "1e3"}, "Please write the amount like this: 12.34."),
        ({"amount": ""}, "Please write the amount like this"),
        ({"plan": "pro", "periods": "0"}, "Please choose from 1 to 120."),
        ({"plan": "pro", "periods": "121"}, "Please choose from 1 to 120."),
    ],
)
def test_an_impossible_amount_is_explained_beside_the_field(
    browser: Browser, query: dict[str, str], advice: str
) -> None:
    answer = browser.get("/billing/deposit/review", currency="EUR", **query)
    assert answer.status_code == 422
    assert advice in seen(answer)
    assert 'aria-invalid="true"' in answer.text


def test_what_would_exceed_the_largest_balance_with_what_is_under_way_is_refused(
    browser: Browser,
) -> None:
    browser.site.fund(4_500_000)
    browser.site.deposit(499_000)
    answer = browser.get("/billing/deposit/review", currency="EUR", minor="2500")
    assert answer.status_code == 422
    assert "With it, your balance would exceed €50,000.00." in seen(answer)


def test_a_currency_that_is_not_taken_is_not_there(browser: Browser) -> None:
    assert browser.get("/billing/deposit", currency="CHF").status_code == 404
    assert browser.get("/billing/deposit", currency="x").status_code == 404


@pytest.mark.parametrize(
    ("status", "order_status", "told", "live"),
    [
        (Status.OPEN, "pending", "Not paid yet", True),
        (Status.OPEN, "on-hold", "Not paid yet: waiting for the bank", True),
        (Status.OPEN, "processing", "Paid, being completed", True),
        (Status.PAID, "processing", "Paid, being completed", True),
        (Status.CREDITED, "completed", "In your balance", False),
        (Status.EXPIRED, "cancelled", "Expired", False),
        (Status.CANCELLED, "cancelled", "Cancelled", False),
        (Status.REVERSED, "refunded", "Taken back", False),
    ],
)
def test_a_deposit_says_how_it_fares_and_is_looked_at_again_while_that_may_change(
    browser: Browser, status: Status, order_status: str, told: str, live: bool
) -> None:
    deposit = browser.site.deposit(5000, status=status, order_status=order_status)
    path = f"/billing/deposits/{deposit.deposit_id}"
    page, part = browser.get(path), browser.get(f"{path}/live")
    assert told in seen(page)
    assert told in seen(part)
    assert ("data-live-on" in part.text) == live
    assert ('http-equiv="refresh" content="5"' in page.text) == live
    assert "<html" not in part.text


def test_a_deposit_can_be_cancelled_while_it_is_open(browser: Browser) -> None:
    deposit = browser.site.deposit(5000)
    path = f"/billing/deposits/{deposit.deposit_id}"
    assert browser.post(f"{path}/cancel").headers["location"] == path
    assert "Cancelled" in seen(browser.get(path))


def test_a_deposit_that_waits_for_a_bank_is_not_offered_to_be_paid_again_or_cancelled(
    browser: Browser,
) -> None:
    deposit = browser.site.deposit(5000, order_status="on-hold")
    text = seen(browser.get(f"/billing/deposits/{deposit.deposit_id}"))
    assert "A bank transfer can take a few days." in text
    assert "Pay now" not in text
    assert "Cancel" not in text


def test_what_became_of_a_purpose_is_told(browser: Browser) -> None:
    for status, told in (
        ("posted", "Paid from it: Domains"),
        ("declined", "Not paid from it: Domains"),
        ("pending", "Then paid from it: Domains"),
    ):
        purpose = '{"amount":100,"purpose":"other","description":"Domains"}'
        deposit = browser.site.deposit(5000, purpose=purpose, purpose_status=status)
        assert told in seen(browser.get(f"/billing/deposits/{deposit.deposit_id}"))


# ---- Payment requests ----


def test_the_balance_pays_a_request_with_one_click_and_once(browser: Browser) -> None:
    site = browser.site
    site.fund(5000)
    request = site.request(1900)
    path = f"/billing/requests/{request.request_id}"
    assert "To pay" in seen(browser.get("/billing/"))
    assert "disabled" not in browser.get(path).text
    for _ in range(2):
        assert browser.post(f"{path}/pay").headers["location"] == path
    assert site.balance() == 3100
    assert "Paid from your balance €31.00 is left." in seen(browser.get(path))
    assert "To pay" not in seen(browser.get("/billing/"))


def test_card_and_paypal_lead_to_the_cores_own_pages_where_there_are_any(browser: Browser) -> None:
    both = browser.site.request(1900)
    none = browser.site.request(1900, card_url="", paypal_url="")
    text = browser.get(f"/billing/requests/{both.request_id}").text
    assert 'href="https://core.example/card"' in text
    assert 'href="https://core.example/paypal"' in text
    text = seen(browser.get(f"/billing/requests/{none.request_id}"))
    assert "Credit card" not in text
    assert "PayPal" not in text


def test_a_short_balance_says_exactly_what_is_missing_and_offers_to_deposit_it(
    browser: Browser,
) -> None:
    site = browser.site
    site.fund(1000)
    request = site.request(1999)
    path = f"/billing/requests/{request.request_id}"
    page = browser.get(path)
    assert "€9.99 is missing." in seen(page)
    assert "Deposit €9.99" in seen(page)
    assert 'disabled aria-describedby="short"' in page.text
    assert browser.post(f"{path}/pay").status_code == 402
    assert site.balance() == 1000
    review = re.search(r'href="(/billing/deposit/review[^"]+)"', page.text)
    assert review
    shown = browser.get(html.unescape(review[1]))
    assert "You pay €9.99" in seen(shown)
    assert "Then paid from it: Plan Pro, November -€19.99" in seen(shown)
    form = dict(re.findall(r'name="(\w+)" value="([^"]*)"', shown.text))
    browser.post("/billing/deposit", **form)
    with site.database.read() as tx:
        [deposit] = deposits.of_tenant(tx, "acme", limit=10)
    assert deposit.purpose_status == "pending"
    assert request.request_id in deposit.purpose


def test_a_shortfall_below_the_smallest_deposit_offers_that(browser: Browser) -> None:
    request = browser.site.request(100)
    page = seen(browser.get(f"/billing/requests/{request.request_id}"))
    assert "€1.00 is missing." in page
    assert "Deposit €5.00" in page


def test_a_request_that_was_called_off_cannot_be_paid(browser: Browser) -> None:
    site = browser.site
    site.fund(5000)
    request = site.request(1900)
    with site.database.write() as tx:
        payment_requests.cancel(tx, request.request_id, site.clock())
    path = f"/billing/requests/{request.request_id}"
    assert "Cancelled" in seen(browser.get(path))
    assert browser.post(f"{path}/pay").status_code == 409
    assert site.balance() == 5000


def test_what_belongs_to_another_tenant_does_not_exist(browser: Browser) -> None:
    site = browser.site
    site.fund(5000, "globex")
    request = site.request(1900, "globex")
    deposit = site.deposit(5000, "globex")
    token = browser.token()
    for path in (
        f"/billing/requests/{request.request_id}",
        f"/billing/deposits/{deposit.deposit_id}",
        f"/billing/deposits/{deposit.deposit_id}/live",
        f"/billing/deposit?request={request.request_id}",
        f"/billing/deposit/review?minor=5000&request={request.request_id}",
    ):
        assert browser.get(path).status_code == 404
    for path in (
        f"/billing/requests/{request.request_id}/pay",
        f"/billing/deposits/{deposit.deposit_id}/cancel",
    ):
        assert browser.call("POST", path, data={"token": token}).status_code == 404
    with site.database.read() as tx:
        assert deposits.get(tx, deposit.deposit_id).status == "open"
        assert payment_requests.get(tx, request.request_id).status == "open"
    assert site.balance("globex") == 5000


def test_a_token_of_another_session_does_not_count(browser: Browser) -> None:
    site = browser.site
    site.fund(5000)
    request = site.request(1900)
    with browsing(site) as other:
        other.enter("globex")
        foreign = other.token()
    answer = browser.call(
        "POST", f"/billing/requests/{request.request_id}/pay", data={"token": foreign}
    )
    assert answer.status_code == 403
    assert site.balance() == 5000


def test_a_form_with_too_many_fields_or_no_text_is_refused(browser: Browser) -> None:
    many = {f"f{n}": "1" for n in range(50)}
    assert browser.call("POST", "/billing/leave", data=many).status_code == 422
    assert browser.call("POST", "/billing/leave", content=b"\xff\xfe").status_code == 422
    assert browser.get("/billing/").status_code == 200


# ---- Entries and statements ----


def test_entries_are_filtered_by_month_with_the_balance_before_and_after(
    browser: Browser, clock: FakeClock
) -> None:
    site = browser.site
    site.fund(10000)
    clock.advance(30 * 86400)
    site.debit(4000, "d1", description="in december")
    browser.enter()
    november = seen(browser.get("/billing/entries", month="2026-11"))
    assert "Order 63" in november
    assert "in december" not in november
    assert "Balance before €0.00 Balance after €100.00" in november
    december = seen(browser.get("/billing/entries", month="2026-12"))
    assert "in december" in december
    assert "Order 63" not in december
    assert "Balance before €100.00 Balance after €60.00" in december
    everything = seen(browser.get("/billing/entries"))
    assert "November 2026" in everything
    assert "in december" in everything
    assert "Order 63" in everything


def test_many_entries_come_in_pages(browser: Browser) -> None:
    for number in range(1, 56):
        browser.site.fund(100 * number, order_id=number)
    first = browser.get("/billing/entries")
    assert "Order 55" in seen(first)
    assert "Order 5 " not in seen(first)
    older = re.search(r'href="(/billing/entries\?[^"]*before=[^"]*)"', first.text)
    assert older
    second = browser.get(html.unescape(older[1]))
    assert "Order 5 " in seen(second)
    assert "Older entries" not in seen(second)


@pytest.mark.parametrize("query", [{"month": "2026-13"}, {"before": "x"}, {"currency": "euro"}])
def test_what_makes_no_sense_in_the_query_is_left_out(
    browser: Browser, query: dict[str, str]
) -> None:
    browser.site.fund(100)
    assert "Order 63" in seen(browser.get("/billing/entries", **query))


def test_the_csv_has_every_entry_oldest_first_and_no_formula(browser: Browser) -> None:
    site = browser.site
    site.fund(10000)
    site.debit(1900, "d1", description='=HYPERLINK("http://evil")', reference="+1")
    site.debit(100, "d2", description="Überschuss, groß", reference="-2")
    answer = browser.get("/billing/statement.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="statement-EUR-all.csv"'
    assert answer.content.startswith(b"\xef\xbb\xbf")
    heading, *rows = csv.reader(io.StringIO(answer.content.decode("utf-8-sig")))
    assert heading[-4:] == ["Amount", "Reserved", "Balance", "Currency"]
    assert [row[-4] for row in rows] == ["100.00", "-19.00", "-1.00"]
    assert rows[1][3:5] == ['\'=HYPERLINK("http://evil")', "'+1"]
    assert rows[2][3:5] == ["Überschuss, groß", "'-2"]


def test_files_that_leave_entries_out_say_so(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 6):
        browser.site.fund(100, order_id=number)
    assert "Files have" not in seen(browser.get("/billing/entries"))
    monkeypatch.setattr(statement, "ENTRIES_MAX", 3)
    assert "Files have the newest 3 entries" in seen(browser.get("/billing/entries"))
    rows = browser.get("/billing/statement.csv").text.splitlines()[1:]
    assert [row.split(",")[1] for row in rows] == ["acme.EUR.3", "acme.EUR.4", "acme.EUR.5"]
    assert browser.get("/billing/statement.pdf").content.startswith(b"%PDF-")


def test_the_pdf_has_the_entries_and_survives_letters_it_cannot_draw(browser: Browser) -> None:
    site = browser.site
    site.fund(10000)
    site.debit(1900, "d1", description="日本 Überschuss " * 20)
    for n in range(60):
        site.debit(1, f"n{n}")
    answer = browser.get("/billing/statement.pdf")
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.content.startswith(b"%PDF-")
    assert answer.content.count(b"/Type /Page\n") == 2
