"""Whether a webhook body comes from the storefront, which signs it with a shared secret."""

import base64
import hashlib
import hmac
import html
import re
from collections.abc import Sequence

_PING = re.compile(rb"webhook_id=[0-9]{1,20}")


def verify(raw_body: bytes, header: str | None, secrets: Sequence[str]) -> bool:
    """Tell whether X-WC-Webhook-Signature is base64(HMAC-SHA256(raw body, one of the secrets)).

    Several secrets allow changing one without losing deliveries; none, or only empty ones, verify
    nothing. WooCommerce decodes HTML entities in the stored secret before it signs, so that one
    shown as `a&amp;b` signs as `a&b`: both forms are accepted. The signature covers neither time
    nor delivery id: a verified body may be a repeat.
    """
    given = (header or "").encode("utf-8", "replace")
    keys = {form for secret in secrets if secret for form in (secret, html.unescape(secret))}
    matches = [hmac.compare_digest(_sign(raw_body, key), given) for key in keys]
    return any(matches)


def is_ping(content_type: str | None, raw_body: bytes) -> bool:
    """Tell whether this is the unsigned form post WooCommerce sends when a webhook is made."""
    kind = (content_type or "").partition(";")[0].strip().lower()
    return kind == "application/x-www-form-urlencoded" and _PING.fullmatch(raw_body) is not None


def _sign(raw_body: bytes, secret: str) -> bytes:
    return base64.b64encode(hmac.digest(secret.encode(), raw_body, hashlib.sha256))
