"""What a tenant does, in headless Chromium, on a telephone's width."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from bridge.domain.clock import DAY, utc_now
from tests.browser.walking import CHROMIUM, CONTRASTS, DESK, PHONE, TARGETS, World, world

pytestmark = [
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed"),
    pytest.mark.timeout(300),
]

READABLE = 4.5  # WCAG 2.2, 1.4.3
NARROWEST = 320  # 1.4.10
PRESSABLE = 43.5  # the 44 of 2.5.5, less what rounding takes


@pytest.fixture(scope="module")
def running_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("browser")) as everything:
        yield everything


def pay(page: Page, method: str = "") -> None:
    """Pay on the sandbox's pay page, by the method that stands first unless another is named."""
    if method:
        page.locator(f'input[value="{method}"]').check()
    page.get_by_role("button", name="Pay for order").click()


@pytest.mark.parametrize("javascript", [True, False])
def test_a_deposit_is_chosen_paid_and_in_the_balance_when_the_tenant_is_back(
    running_world: World, javascript: bool
) -> None:
    tenant = f"walk-{javascript}".lower()
    with running_world.visit(tenant, java_script_enabled=javascript) as page:
        page.get_by_role("link", name="Add deposit").click()
        page.get_by_role("link", name="€100.00").click()
        expect(page.locator("main")).to_contain_text("Balance afterwards")
        expect(page.locator("main")).to_contain_text("€105.00")
        page.get_by_role("button", name="Continue to the payment").click()
        page.wait_for_url("**/checkout/order-pay/**")
        pay(page)
        page.wait_for_url("**/billing/deposits/*")
        expect(page.locator(".state")).to_contain_text("In your balance")
        expect(page.locator(".total")).to_contain_text("€105.00")
        page.get_by_role("link", name="Overview").click()
        expect(page.locator(".sum")).to_have_text("€105.00")
        expect(page.locator(".lasts")).to_contain_text("Bonus")


def test_a_bank_transfer_is_shown_as_waiting_for_the_bank(running_world: World) -> None:
    with running_world.visit("banker") as page:
        page.get_by_role("link", name="Add deposit").click()
        page.get_by_label("Another amount").fill("33.50")
        page.get_by_role("button", name="Continue").first.click()
        page.get_by_role("button", name="Continue to the payment").click()
        page.wait_for_url("**/checkout/order-pay/**")
        pay(page, "bacs")
        page.get_by_role("link", name="Back to your balance").click()
        page.wait_for_url("**/billing/deposits/*")
        expect(page.locator(".state")).to_contain_text("Not paid yet: waiting for the bank")
        running_world.sandbox.set_status(running_world.sandbox.order_ids()[-1], "completed")
        expect(page.locator(".state")).to_contain_text("In your balance")
        expect(page.locator(".total")).to_contain_text("€33.50")


def test_a_deposit_is_called_off_and_so_is_its_order(running_world: World) -> None:
    with running_world.visit("doubter") as page:
        page.goto(page.url + "deposit/review?currency=EUR&minor=2500")
        page.get_by_role("button", name="Continue to the payment").click()
        page.wait_for_url("**/checkout/order-pay/**")
        page.go_back()
        page.goto(re.sub("/billing/.*", "/billing/", page.url))
        page.get_by_role("link", name="€25.00").click()
        page.get_by_role("button", name="Cancel this deposit").click()
        expect(page.locator(".state")).to_contain_text("Cancelled")
    order_id = running_world.sandbox.order_ids()[-1]
    assert running_world.sandbox.order_json(order_id)["status"] == "cancelled"


def test_a_request_is_paid_from_the_balance_with_one_click(running_world: World) -> None:
    running_world.fund("payer", 5000)
    request_id = running_world.request("payer", 1900)
    with running_world.visit("payer") as page:
        page.get_by_role("link", name="Plan Pro, one year").click()
        expect(page.get_by_role("link", name="Pay by credit card")).to_be_visible()
        expect(page.get_by_role("link", name="Pay with PayPal")).to_be_visible()
        page.get_by_role("button", name="Pay from the balance").click()
        expect(page.locator(".state")).to_contain_text("Paid from your balance")
        expect(page.locator(".state")).to_contain_text("€31.00 is left.")
    assert running_world.request_status(request_id) == "paid"


def test_a_short_balance_leads_to_exactly_the_missing_deposit_and_the_request_completes(
    running_world: World,
) -> None:
    running_world.fund("short", 1000)
    request_id = running_world.request("short", 1999)
    with running_world.visit("short") as page:
        page.get_by_role("link", name="Plan Pro, one year").click()
        expect(page.get_by_role("button", name="Pay from the balance")).to_be_disabled()
        expect(page.locator("#short")).to_have_text("€9.99 is missing.")
        page.get_by_role("link", name="Deposit €9.99").click()
        page.get_by_role("button", name="Continue to the payment").click()
        page.wait_for_url("**/checkout/order-pay/**")
        pay(page)
        page.wait_for_url("**/billing/deposits/*")
        expect(page.locator("main")).to_contain_text("Paid from it: Plan Pro, one year")
        expect(page.locator(".total")).to_contain_text("€0.00")
    assert running_world.request_status(request_id) == "paid"


def test_a_deposit_of_exactly_what_is_overdue_pays_it_by_itself(running_world: World) -> None:
    running_world.fund("late", 1000)
    running_world.overdue("late", 1999)
    with running_world.visit("late") as page:
        expect(page.locator(".outlook")).to_contain_text("€9.99 is missing.")
        expect(page.locator(".outlook")).to_contain_text("not paid yet")
        expect(page.get_by_role("button", name="Pay from the balance")).to_be_disabled()
        page.get_by_role("link", name="Deposit €9.99").click()
        page.get_by_role("button", name="Continue to the payment").click()
        page.wait_for_url("**/checkout/order-pay/**")
        pay(page)
        page.wait_for_url("**/billing/deposits/*")
        expect(page.locator(".total")).to_contain_text("€0.00")
        page.get_by_role("link", name="Overview").click()
        expect(page.locator(".outlook")).not_to_contain_text("not paid yet")
        expect(page.locator(".lasts")).to_contain_text("Plan Pro")
    assert running_world.renewal_status("late") == "active"


def test_what_is_not_automatic_is_paid_with_one_click(running_world: World) -> None:
    running_world.fund("byhand", 5000)
    running_world.overdue("byhand", 1900, auto_renew=False)
    with running_world.visit("byhand") as page:
        expect(page.locator(".outlook")).to_contain_text("not paid yet")
        page.get_by_role("button", name="Pay from the balance").click()
        expect(page.locator(".sum")).to_have_text("€31.00")
        expect(page.locator("main")).not_to_contain_text("not paid yet")


def test_half_a_year_is_deposited_for_ahead(running_world: World) -> None:
    running_world.fund("ahead", 2000)
    running_world.renew("ahead", 1900, utc_now() + DAY)
    with running_world.visit("ahead") as page:
        page.get_by_role("link", name="Look ahead").click()
        page.get_by_role("link", name="6 months").click()
        expect(page.get_by_role("img")).to_have_accessible_name(re.compile("^Forecast: €20.00 now"))
        assert page.get_by_role("row").count() == 7
        cells = page.get_by_role("row").nth(3).get_by_role("cell")
        expect(cells.nth(2)).to_have_text("-€37.00")
        page.get_by_role("link", name="€94.00 enough until").first.click()
        expect(page.locator(".total").first).to_contain_text("€94.00")
        page.get_by_role("button", name="Continue to the payment").click()
        page.wait_for_url("**/checkout/order-pay/**")
        pay(page)
        page.wait_for_url("**/billing/deposits/*")
        expect(page.locator(".state")).to_contain_text("In your balance")
        page.goto(re.sub("/billing/.*", "/billing/ahead?months=6", page.url))
        expect(page.locator("main")).to_contain_text("Your balance covers all that is due until")


def test_whoever_holds_an_offer_pays_for_the_tenant_and_sees_no_balance(
    running_world: World,
) -> None:
    running_world.fund("helped", 123456)
    with running_world.visit("helped") as page:
        link = running_world.offer("helped", 1900, page.url)
    with running_world.browser.new_context(viewport=PHONE) as other:
        page = other.new_page()
        page.goto(link)
        assert _troubles(page) == []
        page.get_by_role("button", name="Continue to the payment").click()
        page.wait_for_url("**/checkout/order-pay/**")
        pay(page)
        page.wait_for_url("**/billing/offer?*")
        expect(page.locator(".state")).to_contain_text("In your balance")
        expect(page.get_by_role("button", name="Continue to the payment")).to_have_count(0)
        assert "1,2" not in page.content()
        page.goto(re.sub("/billing/.*", "/billing/", page.url))
        expect(page.locator("main")).to_contain_text("Your link has expired")


def test_the_whole_way_is_there_in_german(running_world: World) -> None:
    running_world.fund("mueller", 123456)
    with running_world.visit("mueller", language="de") as page:
        expect(page.locator("html")).to_have_attribute("lang", "de")
        expect(page.locator(".sum")).to_have_text("1.234,56\xa0€")
        page.get_by_role("link", name="Guthaben aufladen").click()
        page.get_by_label("Anderer Betrag").fill("1.000,50")
        page.get_by_role("button", name="Weiter").first.click()
        expect(page.locator("main")).to_contain_text("1.000,50\xa0€")
        page.get_by_role("button", name="Weiter zur Zahlung").click()
        page.wait_for_url("**/checkout/order-pay/**")
        pay(page)
        page.wait_for_url("**/billing/deposits/*")
        expect(page.locator(".state")).to_contain_text("In Ihrem Guthaben")


@pytest.fixture(scope="module")
def every_page(running_world: World) -> list[str]:
    """The paths of pages that have something on them."""
    running_world.fund("look", 4000)
    running_world.fund("look", 26000)
    running_world.request("look", 1900)
    running_world.renew("look", 4900, utc_now() + 3 * DAY)
    running_world.overdue("look-late", 99900, tenant_id="look")
    short = running_world.request("look", 99900, description="Plan Enterprise, one year")
    ask = {"tenant_id": "look", "amount": 10000, "currency": "EUR"}
    deposit = running_world.post("/v1/deposits", ask, key="look")["id"]
    return [
        "",
        "entries",
        "ahead",
        "ahead?months=24",
        "deposit?currency=EUR",
        "deposit/review?currency=EUR&amount=wrong",
        "deposit/review?currency=EUR&minor=10000",
        f"deposits/{deposit}",
        f"requests/{short}",
        "nothing",
    ]


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_and_every_button_pressed_on_a_telephone(
    running_world: World, every_page: list[str], scheme: str, language: str
) -> None:
    with running_world.visit("look", language=language, color_scheme=scheme) as page:
        home = page.url
        for path in every_page:
            page.goto(home + path)
            assert _troubles(page) == [], path


def test_a_desk_shows_what_waits_beside_the_balance(
    running_world: World, every_page: list[str]
) -> None:
    with running_world.visit("look") as page:
        assert every_page
        below = _top(page, "aside") > _top(page, ".balances")
        page.set_viewport_size(DESK)
        beside = _top(page, "aside") == _top(page, ".balances")
    assert below
    assert beside


def test_nothing_is_loaded_from_elsewhere_and_nothing_is_blocked(
    running_world: World, every_page: list[str]
) -> None:
    with running_world.visit("look") as page:
        home, said, asked = page.url, list[Any](), list[str]()
        page.on("console", lambda message: said.append(message.text))
        page.on("request", lambda request: asked.append(request.url))
        for path in every_page[:3]:
            page.goto(home + path)
        assert [text for text in said if "Content Security Policy" in text] == []
        assert all(url.startswith(home.removesuffix("/billing/")) for url in asked)


def test_the_page_can_be_walked_by_keyboard(running_world: World, every_page: list[str]) -> None:
    with running_world.visit("look") as page:
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="To the content")).to_be_focused()
        reached = set[str]()
        for _ in range(15):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.textContent.trim()"))
        assert {"Add deposit", "Leave"} <= reached
        assert any("Plan Enterprise" in text for text in reached)
        assert every_page


def _troubles(page: Page) -> list[Any]:
    """Return what cannot be read, pressed, or seen without scrolling sideways."""
    texts = page.evaluate(CONTRASTS)
    assert texts
    unreadable = [found for found in texts if found[1] < READABLE]
    small = [found for found in page.evaluate(TARGETS) if found[1] < PRESSABLE]
    wide = []
    for width in (PHONE["width"], NARROWEST):
        page.set_viewport_size({"width": width, "height": PHONE["height"]})
        if page.evaluate("document.documentElement.scrollWidth") > width:
            wide.append(width)
    return [*unreadable, *small, *wide]


def _top(page: Page, selector: str) -> float:
    box = page.locator(selector).bounding_box()
    assert box
    return box["y"]
