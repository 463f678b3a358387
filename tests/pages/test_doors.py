"""Who comes in, how long, and what is refused at the door."""

import re

import pytest
from structlog.testing import capture_logs

from bridge.domain.clock import HOUR, MINUTE
from bridge.domain.signing import seal
from bridge.store import deposits, inbox
from tests.conftest import FakeClock
from tests.pages.visiting import Browser, Site, browsing

EVERY_PAGE = [
    "/billing/",
    "/billing/entries",
    "/billing/statement.csv",
    "/billing/statement.pdf",
    "/billing/deposit",
    "/billing/deposit/review?minor=5000",
    "/billing/deposits/dep1",
    "/billing/deposits/dep1/live",
    "/billing/requests/pay1",
]
EVERY_FORM = [
    "/billing/deposit",
    "/billing/deposits/dep1/cancel",
    "/billing/requests/pay1/pay",
    "/billing/leave",
]


def test_a_link_opens_the_page_by_a_cookie_that_no_script_and_no_other_site_can_use(
    stranger: Browser,
) -> None:
    answer = stranger.enter()
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"]
    for part in ("HttpOnly", "SameSite=strict", "Path=/billing", "Max-Age=3600"):
        assert part in cookie
    assert "Secure" not in cookie  # public_url is http://127.0.0.1 here
    assert 'content="0;url=/billing/"' in answer.text
    assert stranger.get("/billing/").status_code == 200


def test_the_cookie_is_secure_where_the_page_is(site: Site) -> None:
    look = site.look._replace(public_url="https://billing.example.com")
    site.services = site.services._replace(portal=look)
    with browsing(site) as browser:
        assert "Secure" in browser.enter().headers["set-cookie"]


def test_a_link_opens_the_page_once(stranger: Browser) -> None:
    link = stranger.site.link()
    assert stranger.get(link).status_code == 200
    stranger.client.cookies.clear()
    answer = stranger.get(link)
    assert answer.status_code == 401
    assert "Your link has expired" in answer.text
    assert "set-cookie" not in answer.headers


def test_looking_at_a_link_without_opening_it_does_not_use_it_up(stranger: Browser) -> None:
    link = stranger.site.link()
    assert stranger.call("HEAD", link).status_code == 200
    assert stranger.get(link).status_code == 200


def test_no_link_and_no_cookie_is_logged(stranger: Browser) -> None:
    link = stranger.site.link()
    with capture_logs() as lines:
        stranger.get(link)
        stranger.get(link)
        stranger.get("/billing/deposits/depnone")
    assert [line["path"] for line in lines] == ["/billing/enter", "/billing/deposits/depnone"]
    told = str(lines)
    assert link.rpartition("=")[2] not in told
    assert stranger.client.cookies["bridge_portal"] not in told


def test_a_link_expires(stranger: Browser, clock: FakeClock) -> None:
    link = stranger.site.link(link_expires_at=clock() + MINUTE)
    clock.advance(60)
    assert stranger.get(link).status_code == 401


@pytest.mark.parametrize("link", ["", "x", "a.b", "W10.AAAA"])
def test_what_is_no_link_opens_nothing(stranger: Browser, link: str) -> None:
    assert stranger.get("/billing/enter", link=link).status_code == 401


def test_a_link_edited_or_sealed_for_another_purpose_opens_nothing(stranger: Browser) -> None:
    site = stranger.site
    link = site.link().removeprefix("/billing/enter?link=")
    swapped = link[:-1] + ("A" if link[-1] != "A" else "B")
    assert stranger.get("/billing/enter", link=swapped).status_code == 401
    values = ("acme", "sesx", site.clock() + HOUR)
    for keys in (site.look.cookie_keys, site.look.form_keys):
        assert stranger.get("/billing/enter", link=seal(keys, *values)).status_code == 401


@pytest.mark.parametrize("path", EVERY_PAGE)
def test_no_page_is_shown_without_a_session(stranger: Browser, path: str) -> None:
    assert stranger.get(path).status_code == 401
    forged = seal(stranger.site.look.link_keys, "acme", "ses1")
    stranger.client.cookies.set("bridge_portal", forged)
    assert stranger.get(path).status_code == 401


@pytest.mark.parametrize("path", EVERY_FORM)
def test_no_form_counts_without_its_token(browser: Browser, path: str) -> None:
    browser.site.fund(5000)
    before = browser.site.entries()
    another = seal(browser.site.look.form_keys, "sesother")
    for token in ("", "x", another):
        answer = browser.call("POST", path, data={"token": token, "minor": "5000", "key": "k"})
        assert answer.status_code == 403
        assert "Nothing was changed" in answer.text
    assert browser.site.entries() == before
    assert browser.get("/billing/").status_code == 200


@pytest.mark.parametrize("path", EVERY_FORM)
def test_what_a_form_does_cannot_be_done_by_a_link(browser: Browser, path: str) -> None:
    expected = 200 if path == "/billing/deposit" else 405
    assert browser.get(path).status_code == expected
    assert browser.get("/billing/").status_code == 200


def test_a_session_ends(browser: Browser, clock: FakeClock) -> None:
    clock.advance(3600)
    assert browser.get("/billing/").status_code == 401


def test_leaving_ends_the_session_and_leads_back_by_a_page(browser: Browser) -> None:
    cookie = browser.client.cookies["bridge_portal"]
    answer = browser.post("/billing/leave")
    assert answer.status_code == 200
    assert "https://core.example/back" in answer.text
    browser.client.cookies.set("bridge_portal", cookie)
    assert browser.get("/billing/").status_code == 401


def test_leaving_without_a_way_back_says_so(stranger: Browser) -> None:
    stranger.enter(return_url="")
    assert "You have left" in stranger.post("/billing/leave").text


@pytest.mark.parametrize(
    ("can", "open_", "shut"),
    [
        ("", [], ["/billing/deposit", "/billing/deposit/review?minor=5000"]),
        ("pay", ["/billing/"], ["/billing/deposit"]),
        ("deposit", ["/billing/deposit"], ["/billing/requests/pay1"]),
    ],
)
def test_a_session_may_do_what_its_link_says(
    stranger: Browser, can: str, open_: list[str], shut: list[str]
) -> None:
    request = stranger.site.request(100, request_id="pay1")
    stranger.enter(can=can)
    assert [stranger.get(path).status_code for path in open_] == [200] * len(open_)
    assert [stranger.get(path).status_code for path in shut] == [403] * len(shut)
    if "pay" not in can:
        assert request.description not in stranger.get("/billing/").text
        token = seal(stranger.site.look.form_keys, "x")
        answer = stranger.call("POST", "/billing/requests/pay1/pay", data={"token": token})
        assert answer.status_code == 403


@pytest.mark.parametrize("path", [*EVERY_PAGE, "/billing/style.css", "/nothing", "/billing/return"])
def test_every_answer_tells_the_browser_what_it_may_do(browser: Browser, path: str) -> None:
    headers = browser.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    cached = "public" if path.endswith("css") else "no-store"
    assert cached in headers["cache-control"]


@pytest.mark.parametrize("path", EVERY_PAGE[:2] + EVERY_PAGE[4:6])
def test_pages_have_no_inline_style_and_no_inline_script(browser: Browser, path: str) -> None:
    browser.site.fund(5000)
    text = browser.get(path).text
    assert not re.search(r"style=|<style|onclick|javascript:|<script(?! src=)", text)


def test_whoever_returns_from_paying_makes_us_look_at_once(
    stranger: Browser, clock: FakeClock
) -> None:
    site = stranger.site
    deposit = site.deposit(5000)
    clock.advance(7200)
    answer = stranger.get("/billing/return", deposit=deposit.deposit_id)
    assert answer.status_code == 200
    assert f'content="0;url=/billing/deposits/{deposit.deposit_id}"' in answer.text
    with site.database.read() as tx:
        assert deposits.get(tx, deposit.deposit_id).watch_at == clock()


def test_a_return_that_names_the_order_of_an_unbound_deposit_leaves_a_hint(
    stranger: Browser, clock: FakeClock
) -> None:
    site = stranger.site
    deposit = site.deposit(5000, order_id=None, mode="checkout")
    stranger.get("/billing/return", deposit=deposit.deposit_id, order="77")
    with site.database.read() as tx:
        assert inbox.waiting(tx) == 1
    assert site.nudged == ["main"]
    stranger.get("/billing/return", deposit=deposit.deposit_id, order="7" * 40)
    stranger.get("/billing/return", deposit=deposit.deposit_id, order="x")
    assert site.nudged == ["main"]


def test_a_return_for_the_core_goes_to_the_address_we_know_never_to_one_in_the_query(
    stranger: Browser,
) -> None:
    deposit = stranger.site.deposit(5000, return_url="https://core.example/done?a=1")
    answer = stranger.get(
        "/billing/return", deposit=deposit.deposit_id, return_url="https://evil.example"
    )
    assert answer.status_code == 303
    expected = f"https://core.example/done?a=1&deposit={deposit.deposit_id}"
    assert answer.headers["location"] == expected


def test_a_return_for_no_deposit_is_refused(stranger: Browser) -> None:
    assert stranger.get("/billing/return", deposit="depnone").status_code == 404
    assert stranger.get("/billing/return").status_code == 404


def test_the_listener_is_alive_and_has_the_operators_look(site: Site) -> None:
    look = site.look._replace(logo=b"<svg/>", logo_type="image/svg+xml")
    site.services = site.services._replace(portal=look)
    with browsing(site) as browser:
        assert browser.get("/livez").text == "ok"
        assert browser.get("/billing/logo").content == b"<svg/>"
        assert "--main: #5b3a8c" in browser.get("/billing/style.css").text
        assert "data-live" in browser.get("/billing/live.js").text


def test_without_a_logo_there_is_none(browser: Browser) -> None:
    assert browser.get("/billing/logo").status_code == 404
    assert "<img" not in browser.get("/billing/").text


def test_errors_are_told_in_the_sessions_language(stranger: Browser) -> None:
    assert "Einen Moment" in stranger.enter(language="de").text
    answer = stranger.get("/billing/requests/paynone")
    assert answer.status_code == 404
    assert "Hier ist nichts" in answer.text


def test_errors_are_told_in_the_browsers_language(stranger: Browser) -> None:
    headers = {"Accept-Language": "de-DE,de"}
    answer = stranger.call("GET", "/billing/", headers=headers)
    assert "Ihr Link ist abgelaufen" in answer.text
    assert '<html lang="de">' in answer.text
