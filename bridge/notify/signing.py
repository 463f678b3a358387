"""Signatures of events, as Standard Webhooks 1.0.0 has them (symmetric, v1)."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

from bridge.domain.clock import SECOND, Instant
from bridge.domain.errors import ConfigurationError

Secret = bytes
"""The key of an endpoint's signatures."""

SECRET_BYTES_MIN, SECRET_BYTES_MAX = 24, 64

_PREFIX = "whsec_"


def read_secret(text: str) -> Secret:
    """Read a secret as it is written down: whsec_ and 24 to 64 bytes in base64.

    ConfigurationError says what it should be, and nothing of what it is.
    """
    try:
        secret = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if not text.startswith(_PREFIX) or not SECRET_BYTES_MIN <= len(secret) <= SECRET_BYTES_MAX:
        raise ConfigurationError(
            f"the secret is not {_PREFIX} with {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes in "
            "base64 behind it; make one with: echo whsec_$(openssl rand -base64 32)"
        )
    return secret


def headers(secrets: Sequence[Secret], event_id: str, body: bytes, now: Instant) -> dict[str, str]:
    """Return the headers that sign a body for one attempt, one signature for each secret.

    Receivers take any signature they can verify, and times at most five minutes from theirs: so
    secrets rotate at leisure, and each attempt is signed anew.
    """
    moment = str(now // SECOND)
    signed = b".".join((event_id.encode(), moment.encode(), body))
    signatures = (hmac.digest(secret, signed, hashlib.sha256) for secret in secrets)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": moment,
        "webhook-signature": " ".join(f"v1,{base64.b64encode(s).decode()}" for s in signatures),
    }
