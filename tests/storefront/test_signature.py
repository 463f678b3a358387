import base64
import hashlib
import hmac

import pytest

from bridge.storefront.signature import is_ping, verify
from tests.recordings import load, names

SECRET = "whsec-throwaway"
DELIVERIES = [name for name in names("webhook-") if "ping" not in name]


def signature(body: bytes, secret: str) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()


@pytest.mark.parametrize("name", DELIVERIES)
def test_what_a_real_storefront_signed_verifies(name: str) -> None:
    delivery = load(name)

    assert verify(
        delivery["body_raw"].encode(), delivery["headers"]["X-WC-Webhook-Signature"], [SECRET]
    )


def test_a_changed_byte_or_another_secret_does_not_verify() -> None:
    signed = signature(b'{"id":17}', SECRET)

    assert not verify(b'{"id":18}', signed, [SECRET])
    assert not verify(b'{"id":17}', signed, ["another"])


@pytest.mark.parametrize("header", [None, "", "junk", "ünïcode", "\ud800"])
def test_a_missing_or_odd_header_does_not_verify(header: str | None) -> None:
    assert not verify(b"{}", header, [SECRET])


@pytest.mark.parametrize("secrets", [[], [""]])
def test_without_a_secret_nothing_verifies(secrets: list[str]) -> None:
    assert not verify(b"{}", signature(b"{}", ""), secrets)


def test_old_and_new_secret_both_verify_while_one_replaces_the_other() -> None:
    assert verify(b"{}", signature(b"{}", "old"), ["new", "old"])
    assert verify(b"{}", signature(b"{}", "new"), ["new", "old"])


def test_a_secret_with_an_html_entity_verifies_as_shown_and_as_decoded() -> None:
    assert verify(b"{}", signature(b"{}", "a&b"), ["a&amp;b"])
    assert verify(b"{}", signature(b"{}", "a&amp;b"), ["a&amp;b"])


def test_the_ping_is_a_form_with_a_webhook_id_and_nothing_else() -> None:
    ping = load("webhook-ping-on-creation")

    assert is_ping(ping["headers"]["Content-Type"], ping["body_raw"].encode())
    assert is_ping("application/x-www-form-urlencoded; charset=UTF-8", b"webhook_id=2")
    assert not is_ping("application/json", b"webhook_id=2")
    assert not is_ping(None, b"webhook_id=2")
    assert not is_ping("application/x-www-form-urlencoded", b"webhook_id=2&id=17")
