"""Who may ask: OAuth 1.0a over http, Basic over https, with WooCommerce's own refusals."""

import base64
import binascii
import hashlib
import hmac
from collections import deque
from urllib.parse import quote, unquote

from bridge.domain.clock import SECOND, utc_now
from bridge.sandbox.wire import OAUTH_PREFIX, Request, RestError

TIMESTAMP_LEEWAY_S = 15 * 60
NONCES_KEPT_MAX = 1_000
_OAUTH_PARAMS = ("consumer_key", "timestamp", "nonce", "signature", "signature_method")


class Gate:
    """Checks requests against the one pair of keys of this storefront."""

    def __init__(self, consumer_key: str, consumer_secret: str, *, plays_https: bool) -> None:
        self._key = consumer_key
        self._secret = consumer_secret
        self._plays_https = plays_https
        self._seen: deque[tuple[str, str]] = deque(maxlen=NONCES_KEPT_MAX)

    def admits(self, request: Request, url: str) -> bool:
        """Tell whether the request may go on. Raises RestError for wrong credentials.

        An unknown key in Basic, and Basic over plain http, look exactly like no credentials: False.
        """
        if self._plays_https:
            return self._admits_basic(request)
        if "oauth_consumer_key" not in request.query:
            return False
        self._check_oauth(request, url)
        return True

    def _admits_basic(self, request: Request) -> bool:
        scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
        try:
            key, _, secret = base64.b64decode(encoded).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        if scheme != "Basic" or key != self._key:
            return False
        if secret != self._secret:
            raise _refusal("Consumer secret is invalid.")
        return True

    def _check_oauth(self, request: Request, url: str) -> None:
        query = request.query
        for name in _OAUTH_PARAMS:
            if OAUTH_PREFIX + name not in query:
                raise _refusal(f"Missing OAuth parameter oauth_{name}")
        if query["oauth_consumer_key"] != self._key:
            raise _refusal("Consumer key is invalid.")
        if not hmac.compare_digest(
            self._sign(request, url).encode(), query["oauth_signature"].encode()
        ):
            raise _refusal("Invalid signature - provided signature does not match.")
        self._check_freshness(query["oauth_timestamp"], query["oauth_nonce"])

    def _check_freshness(self, timestamp: str, nonce: str) -> None:
        """WooCommerce keeps nonces alone; pairs are kept here, lest 8 random digits repeat."""
        age_s = (
            utc_now() // SECOND - int(timestamp)
            if timestamp.isdecimal()
            else TIMESTAMP_LEEWAY_S + 1
        )
        if abs(age_s) > TIMESTAMP_LEEWAY_S:
            raise _refusal("Invalid timestamp.")
        if (timestamp, nonce) in self._seen:
            raise _refusal("Invalid nonce - nonce has already been used.")
        self._seen.append((timestamp, nonce))

    def _sign(self, request: Request, url: str) -> str:
        """Sign as WC_REST_Authentication does: names and values are encoded twice."""
        signed = {name: text for name, text in request.query.items() if name != "oauth_signature"}
        pairs = sorted((_encode_twice(name), _encode_twice(text)) for name, text in signed.items())
        joined = "%26".join(f"{name}%3D{text}" for name, text in pairs)
        base = f"{request.method}&{quote(url + request.path, safe='')}&{joined}"
        digest = hmac.new(f"{self._secret}&".encode(), base.encode(), hashlib.sha256).digest()
        return base64.b64encode(digest).decode()


def _encode_twice(text: str) -> str:
    return quote(unquote(text), safe="").replace("%", "%25")


def _refusal(message: str) -> RestError:
    return RestError("woocommerce_rest_authentication_error", message, 401)
