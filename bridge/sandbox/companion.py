"""The companion plugin, played: whether bridge sealed a link into the cart, and what it says.

An independent second reader of the format that bridge/plugin/bridge-deposits.php reads: it shares
no code with what seals.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import NamedTuple

SKU = "BRIDGE-DEPOSIT"
TAG_KEY = "_bridge_deposit"
RETURN_KEY = "_bridge_return"
PARAMETER = "bridge_deposit"


class Link(NamedTuple):
    """What a link says: the sealed tag for the order's line, the amount as text, and the rest.

    `expires_at_s` is seconds since 1970; `page` is "cart" or "checkout"; `return_url` may be empty.
    """

    tag: str
    amount: str
    currency: str
    expires_at_s: int
    page: str
    return_url: str
    tenant_id: str
    deposit_id: str


class Companion:
    """Opens links sealed with any of the keys."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = keys

    def open(self, token: str, now_s: int) -> Link | None:
        """Return what a link says; None where it was tampered with, or has expired."""
        content, _, given = token.partition(".")
        if not any(hmac.compare_digest(_mac(key, content), given.encode()) for key in self._keys):
            return None
        link = Link(*json.loads(base64.urlsafe_b64decode(content + "==")))
        return link if now_s < link.expires_at_s else None


def _mac(key: bytes, content: str) -> bytes:
    digest = hmac.digest(key, content.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=")
