"""The companion plugin as the sandbox plays it: the link, the cart, the checkout, the way back."""

from collections.abc import Iterator
from urllib.parse import urljoin

import pytest
import requests

from bridge.domain.clock import SECOND
from bridge.domain.signing import Keys, derived, seal
from bridge.sandbox import Sandbox
from tests.conftest import FakeClock
from tests.recordings import body

KEYS: Keys = derived(["new", "old"], "deposit-link/main")
BACK = "https://core.example/back?lang=de"
VALID_S = 600


@pytest.fixture
def sandbox(clock: FakeClock) -> Iterator[Sandbox]:
    with Sandbox(companion_keys=KEYS, clock=clock) as sandbox:
        yield sandbox


@pytest.fixture
def expires_s(clock: FakeClock) -> int:
    return clock() // SECOND + VALID_S


def link(
    expires_s: int,
    keys: Keys = KEYS,
    *,
    amount: str = "44.44",
    currency: str = "EUR",
    page: str = "checkout",
    tenant: str = "acme",
) -> str:
    """A sealed link as bridge makes it."""
    return seal(keys, "the.tag", amount, currency, expires_s, page, BACK, tenant, "dep7")


def follow(sandbox: Sandbox, token: str) -> requests.Response:
    return _get(f"{sandbox.url}/?bridge_deposit={token}")


def pay(sandbox: Sandbox, token: str, method: str = "sandbox_card") -> requests.Response:
    """Follow a link into the checkout, place the order, and go where that leads."""
    address = urljoin(sandbox.url, follow(sandbox, token).headers["Location"])
    form = {"payment_method": method}
    answer = requests.post(address, data=form, allow_redirects=False, timeout=10)
    return _get(answer.headers["Location"])


def _get(url: str) -> requests.Response:
    return requests.get(url, allow_redirects=False, timeout=10)


@pytest.mark.parametrize("page", ["cart", "checkout"])
def test_a_link_fills_a_cart_and_leads_to_its_page(
    sandbox: Sandbox, expires_s: int, page: str
) -> None:
    answer = follow(sandbox, link(expires_s, page=page))
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith(f"/{page}/?session=")
    shown = _get(urljoin(sandbox.url, answer.headers["Location"])).text
    assert "44.44 EUR" in shown
    assert "Deposit for: acme" in shown
    assert ('href="/checkout/' in shown) == (page == "cart")


def test_what_was_not_sealed_for_this_storefront_or_has_expired_is_refused(
    sandbox: Sandbox, expires_s: int
) -> None:
    good = link(expires_s)
    content, _, mac = good.partition(".")
    other = link(expires_s, derived(["new"], "deposit-link/other"))
    cheaper = link(expires_s, amount="1.00").partition(".")[2]
    bad = [
        "",
        "x",
        content,
        f"{content}.",
        f"A{good[1:]}",
        f"{content}.{cheaper}",
        other,
        f".{mac}",
    ]
    assert {follow(sandbox, token).status_code for token in bad} == {403}
    assert follow(sandbox, link(expires_s - VALID_S)).status_code == 403
    assert follow(sandbox, link(expires_s, KEYS[1:])).status_code == 302


def test_another_currency_and_too_many_decimals_are_refused(
    sandbox: Sandbox, expires_s: int
) -> None:
    assert follow(sandbox, link(expires_s, currency="USD")).status_code == 409
    assert follow(sandbox, link(expires_s, amount="44.444")).status_code == 409


def test_the_order_is_as_recorded_from_the_plugin(sandbox: Sandbox, expires_s: int) -> None:
    """Beside the recording: our own tags, and that the deposit has a product of its own."""
    pay(sandbox, link(expires_s), "bacs")
    (order_id,) = sandbox.order_ids()
    made, recorded = sandbox.order_json(order_id), body("order-companion-classic")
    same = ["status", "currency", "total", "created_via", "payment_method", "date_paid_gmt"]
    same += ["needs_payment", "needs_processing", "fee_lines", "customer_id"]
    assert {name: made[name] for name in same} == {name: recorded[name] for name in same}
    [line], [recorded_line] = made["line_items"], recorded["line_items"]
    for name in ("quantity", "subtotal", "total", "total_tax", "price"):
        assert line[name] == recorded_line[name]
    assert (line["sku"], line["name"]) == ("BRIDGE-DEPOSIT", "Deposit dep7")
    tags = {meta["key"]: meta["value"] for meta in line["meta_data"]}
    assert tags == {"_bridge_deposit": "the.tag", "_bridge_return": BACK}
    assert made["meta_data"] == []


def test_an_order_paid_by_card_completes_itself_and_leads_back_with_its_id(
    sandbox: Sandbox, expires_s: int
) -> None:
    answer = pay(sandbox, link(expires_s))
    (order_id,) = sandbox.order_ids()
    assert sandbox.order_json(order_id)["status"] == "completed"
    assert answer.status_code == 302
    assert answer.headers["Location"] == f"{BACK}&order={order_id}"


def test_an_order_that_waits_for_the_bank_stays_with_a_link_back(
    sandbox: Sandbox, expires_s: int
) -> None:
    answer = pay(sandbox, link(expires_s), "bacs")
    (order_id,) = sandbox.order_ids()
    assert answer.status_code == 200
    assert f'href="{BACK}&amp;order={order_id}"' in answer.text


def test_an_order_made_by_rest_leads_back_only_with_the_companion(clock: FakeClock) -> None:
    for keys, status in ((KEYS, 302), ((), 200)):
        with Sandbox(companion_keys=keys, clock=clock) as sandbox:
            tags = [{"key": "_bridge_return", "value": BACK}]
            order_id = sandbox.place_order(meta_data=tags)
            key = sandbox.order_json(order_id)["order_key"]
            answer = _get(f"{sandbox.url}/checkout/order-received/{order_id}/?key={key}")
            assert answer.status_code == status


def test_a_cart_is_paid_once_and_only_by_a_known_method(sandbox: Sandbox, expires_s: int) -> None:
    address = urljoin(sandbox.url, follow(sandbox, link(expires_s)).headers["Location"])
    for method in ("bitcoin", "sandbox_card", "sandbox_card"):
        requests.post(
            address, data={"payment_method": method}, allow_redirects=False, timeout=10
        ).raise_for_status()
    assert len(sandbox.order_ids()) == 1
    assert "Your cart is empty" in _get(address).text


def test_an_expired_deposit_leaves_the_cart(
    sandbox: Sandbox, clock: FakeClock, expires_s: int
) -> None:
    address = urljoin(sandbox.url, follow(sandbox, link(expires_s)).headers["Location"])
    clock.advance(VALID_S)
    answer = requests.post(address, data={"payment_method": "sandbox_card"}, timeout=10)
    assert "Your cart is empty, or has expired" in answer.text
    assert sandbox.order_ids() == []


def test_markup_in_a_link_is_shown_as_text(sandbox: Sandbox, expires_s: int) -> None:
    answer = follow(sandbox, link(expires_s, tenant="<b>acme"))
    shown = _get(urljoin(sandbox.url, answer.headers["Location"])).text
    assert "Deposit for: &lt;b&gt;acme" in shown


def test_without_the_companion_a_link_opens_the_front_page(
    clock: FakeClock, expires_s: int
) -> None:
    with Sandbox(clock=clock) as sandbox:
        answer = follow(sandbox, link(expires_s))
        assert answer.status_code == 200
        assert "Place an order" in answer.text
        assert _get(f"{sandbox.url}/cart/").status_code == 404
