"""Sealed texts: values that anybody may read and carry, and only we can have written.

A seal is `<values>.<mac>`, both in base64url without padding: the values as a JSON array, and the
HMAC-SHA256 of that text. It is plain enough for a few lines of PHP to read.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterable
from typing import Any

Keys = tuple[bytes, ...]
"""The keys for one purpose: the first seals, all of them open, so that keys can rotate."""

SEAL_LENGTH_MAX = 4096
"""Characters of a seal."""

_SEAL = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{43})")


def derived(secrets: Iterable[str], purpose: str) -> Keys:
    """Return the keys for a purpose, e.g. "deposit-tag/main"; they tell nothing of each other."""
    label = f"bridge/{purpose}".encode()
    return tuple(hmac.digest(secret.encode(), label, hashlib.sha256) for secret in secrets)


def seal(keys: Keys, *values: str | int) -> str:
    """Seal values under the first key; IndexError where there is none."""
    content = _encoded(json.dumps(values, separators=(",", ":")).encode())
    return f"{content}.{_mac(keys[0], content)}"


def unseal(keys: Keys, text: object) -> list[Any] | None:
    """Return the values of a seal; None for whatever none of the keys has sealed."""
    fits = isinstance(text, str) and len(text) <= SEAL_LENGTH_MAX
    found = _SEAL.fullmatch(str(text)) if fits else None
    if found is None:
        return None
    content, given = found.groups()
    if not any(hmac.compare_digest(_mac(key, content), given) for key in keys):
        return None
    values: list[Any] = json.loads(base64.urlsafe_b64decode(content + "=" * (-len(content) % 4)))
    return values


def _mac(key: bytes, content: str) -> str:
    return _encoded(hmac.digest(key, content.encode(), hashlib.sha256))


def _encoded(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")
