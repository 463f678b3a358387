"""OAuth 1.0a as the real client signs it, and everything that must not pass."""

from collections.abc import Iterator

import pytest
import requests
from woocommerce.oauth import OAuth

from bridge.sandbox import Sandbox
from tests.sandbox.asking import api


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


def signed(sandbox: Sandbox, *, method: str = "GET", **kwargs: int) -> str:
    """Return an address signed by the real client's own class."""
    url = f"{sandbox.url}/wp-json/wc/v3/orders"
    keys = (sandbox.consumer_key, sandbox.consumer_secret)
    oauth = OAuth(url, *keys, version="wc/v3", method=method, **kwargs)
    address: str = oauth.get_oauth_url()
    return address


def test_the_real_clients_signature_is_accepted_for_every_method(sandbox: Sandbox) -> None:
    client = api(sandbox)
    created = client.post("orders", {"status": "pending"})
    order = f"orders/{created.json()['id']}"
    answers = [
        created,
        client.get(order, params={"_fields": "id,status"}),
        client.put(order, {"status": "completed"}),
        client.delete(order, params={"force": "true"}),
    ]
    assert [answer.status_code for answer in answers] == [201, 200, 200, 200]


@pytest.mark.parametrize(
    ("key", "secret", "why"),
    [
        ("ck_unknown", None, "Consumer key is invalid."),
        (None, "cs_wrong", "Invalid signature - provided signature does not match."),
    ],
)
def test_a_wrong_key_and_a_wrong_secret_are_told_apart(
    sandbox: Sandbox, key: str | None, secret: str | None, why: str
) -> None:
    answer = api(sandbox, key, secret).get("orders")
    assert answer.status_code == 401
    assert answer.json() == {
        "code": "woocommerce_rest_authentication_error",
        "message": why,
        "data": {"status": 401},
    }


def test_a_signature_holds_for_its_own_parameters_only(sandbox: Sandbox) -> None:
    answer = requests.get(f"{signed(sandbox)}&per_page=1", timeout=10)
    assert answer.json()["message"].startswith("Invalid signature")


def test_a_signed_request_passes_once(sandbox: Sandbox) -> None:
    address = signed(sandbox)
    assert requests.get(address, timeout=10).status_code == 200
    assert requests.get(address, timeout=10).json()["message"].startswith("Invalid nonce")


def test_a_signature_is_good_for_a_quarter_of_an_hour(sandbox: Sandbox) -> None:
    answer = requests.get(signed(sandbox, oauth_timestamp=1_700_000_000), timeout=10)
    assert answer.json()["message"] == "Invalid timestamp."


def test_a_missing_oauth_parameter_is_named(sandbox: Sandbox) -> None:
    url = f"{sandbox.url}/wp-json/wc/v3/orders?oauth_consumer_key={sandbox.consumer_key}"
    assert "oauth_timestamp" in requests.get(url, timeout=10).json()["message"]
