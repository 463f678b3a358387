"""The pages a person sees: paying an order, and the buttons of the front page."""

from collections.abc import Iterator

import pytest
import requests

from bridge.sandbox import Sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


def pending(sandbox: Sandbox, name: str = "Deposit acme") -> int:
    fees = [{"name": name, "total": "12.50", "tax_status": "none"}]
    return sandbox.place_order(status="pending", payment_method="", fee_lines=fees)


def pay(sandbox: Sandbox, order_id: int, method: str) -> requests.Response:
    url = sandbox.order_json(order_id)["payment_url"]
    form = {"woocommerce_pay": "1", "payment_method": method}
    return requests.post(url, data=form, allow_redirects=False, timeout=10)


@pytest.mark.parametrize(
    ("method", "status", "paid"),
    [
        ("bacs", "on-hold", False),
        ("cheque", "on-hold", False),
        ("cod", "processing", False),
        ("sandbox_card", "completed", True),
    ],
)
def test_paying_leads_where_the_gateway_leads(
    sandbox: Sandbox, method: str, status: str, paid: bool
) -> None:
    order_id = pending(sandbox)
    answer = pay(sandbox, order_id, method)
    assert answer.status_code == 302
    assert f"/checkout/order-received/{order_id}/" in answer.headers["Location"]
    assert "Thank you" in requests.get(answer.headers["Location"], timeout=10).text
    shown = sandbox.order_json(order_id)
    assert (shown["status"], shown["date_paid_gmt"] is not None) == (status, paid)
    assert bool(shown["transaction_id"]) == paid
    assert shown["meta_data"][0]["value"] == "acme"


def test_the_pay_page_offers_methods_only_with_the_key_and_while_unpaid(sandbox: Sandbox) -> None:
    order_id = pending(sandbox)
    url = sandbox.order_json(order_id)["payment_url"]
    assert 'name="payment_method"' in requests.get(url, timeout=10).text
    wrong = requests.get(f"{url}x", timeout=10)
    assert wrong.status_code == 200
    assert "payment_method" not in wrong.text
    pay(sandbox, order_id, "sandbox_card")
    assert "payment_method" not in requests.get(url, timeout=10).text


def test_an_unknown_method_and_a_wrong_key_pay_nothing(sandbox: Sandbox) -> None:
    order_id = pending(sandbox)
    before = sandbox.order_json(order_id)
    assert pay(sandbox, order_id, "bitcoin").status_code == 200
    wrong = f"{before['payment_url']}x"
    requests.post(wrong, data={"payment_method": "sandbox_card"}, timeout=10)
    assert sandbox.order_json(order_id) == before


def test_what_shoppers_type_is_shown_as_text(sandbox: Sandbox) -> None:
    mark = "<script>alert(1)</script>"
    order_id = pending(sandbox, mark)
    sandbox.set_tags(order_id, mark)
    for url in (sandbox.url, sandbox.order_json(order_id)["payment_url"]):
        page = requests.get(url, timeout=10).text
        assert mark not in page
        assert "&lt;script&gt;" in page


def press(sandbox: Sandbox, path: str, form: dict[str, str] | None = None) -> int:
    url = f"{sandbox.url}/sandbox/orders{path}"
    return requests.post(url, data=form, allow_redirects=False, timeout=10).status_code


def test_the_front_page_places_completes_refunds_trashes_and_restores(sandbox: Sandbox) -> None:
    assert press(sandbox, "", {"tenant": "globex", "total": "7.00"}) == 303
    (order_id,) = sandbox.order_ids()
    statuses = []
    for action in ("complete", "refund", "cancel", "trash", "restore"):
        assert press(sandbox, f"/{order_id}/{action}") == 303
        statuses.append(sandbox.order_json(order_id)["status"])
    assert statuses == ["completed", "refunded", "cancelled", "trash", "cancelled"]
    page = requests.get(sandbox.url, timeout=10).text
    assert "7.00 EUR" in page
    assert "globex" in page


def test_what_cannot_be_done_is_said(sandbox: Sandbox) -> None:
    order_id = sandbox.place_order("0.00")
    assert press(sandbox, f"/{order_id}/refund") == 409
    assert press(sandbox, f"/{order_id}/explode") == 404
    assert press(sandbox, "/99/complete") == 404
    assert requests.get(f"{sandbox.url}/nowhere", timeout=10).status_code == 404
