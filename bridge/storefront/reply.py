"""One HTTP answer of a storefront, with its headers read."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any

from bridge.domain.clock import SECOND, Instant, from_datetime
from bridge.storefront import parse
from bridge.storefront.errors import StorefrontAnswerError

NOT_JSON = object()
"""Stands for the payload of a body that is not JSON."""
TOTAL_MAX = 10_000_000
"""The longest list of orders bridge believes in."""

_CODE = re.compile(r"[a-z0-9_]{1,80}", re.ASCII)


@dataclass(frozen=True)
class Reply:
    """What came back from `path` below wc/v3 at the configured address `base`.

    `sent_at` and `received_at` are by our clock.
    """

    storefront: str
    base: str
    path: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    sent_at: Instant
    received_at: Instant

    @property
    def date(self) -> Instant | None:
        """The storefront's own clock (Date, RFC 9110 section 6.6.1), None when it names no time."""
        return _http_date(self.headers.get("Date"))

    @property
    def skew_s(self) -> float:
        """Seconds by which the storefront's clock is ahead of ours; 0 when it names no time."""
        return 0.0 if self.date is None else (self.date - self.received_at) / SECOND

    @property
    def asked_at(self) -> Instant:
        """What the storefront's clock showed, at the latest, when we asked; ours if it has none."""
        return self.sent_at if self.date is None else self.date - (self.received_at - self.sent_at)

    @property
    def retry_after_s(self) -> float | None:
        """How long it asks to be left alone (Retry-After, RFC 9110 section 10.2.3)."""
        text = self.headers.get("Retry-After", "")
        if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII):
            return float(text)
        until = _http_date(text)
        if until is None:
            return None
        return max(0, until - (self.date or self.received_at)) / SECOND

    @cached_property
    def payload(self) -> Any:
        """The body parsed, or NOT_JSON.

        A leading byte order mark is ignored, as RFC 8259 section 8.1 allows.
        """
        try:
            return json.loads(self._text)
        except (ValueError, RecursionError):
            return NOT_JSON

    @cached_property
    def _orders(self) -> list[Any] | None:
        try:
            return parse.rows(self._text)
        except ValueError:
            return None

    @property
    def _text(self) -> str:
        return self.body.decode("utf-8-sig")

    @property
    def is_json(self) -> bool:
        """Tell whether the body is JSON."""
        return self._orders is not None or self.payload is not NOT_JSON

    @property
    def wordpress_error(self) -> tuple[str, str]:
        """Code and message of WordPress's error object, empty for any other payload."""
        if not isinstance(self.payload, dict):
            return "", ""
        code, message = str(self.payload.get("code", "")), str(self.payload.get("message", ""))
        return code if _CODE.fullmatch(code) else "", message

    def rows(self) -> list[Any]:
        """Return the payload as a list; StorefrontAnswerError if it is anything else."""
        rows = self.payload
        if not isinstance(rows, list):
            raise StorefrontAnswerError(
                self.say(
                    "it sent no list where WooCommerce sends one; let no plugin or proxy alter "
                    "its API"
                )
            )
        return rows

    def order_rows(self) -> list[Any]:
        """Return the payload as a list for `parse.order`; StorefrontAnswerError as `rows`."""
        return self.rows() if self._orders is None else self._orders

    def total(self) -> int:
        """Return the length of the whole list; StorefrontAnswerError if it is missing or absurd."""
        text = self.headers.get("X-WP-Total", "")
        if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) or int(text) > TOTAL_MAX:
            raise StorefrontAnswerError(
                self.say(
                    "its list has no usable X-WP-Total header; let no cache or proxy take headers "
                    "from /wp-json/wc/"
                )
            )
        return int(text)

    def say(self, text: str) -> str:
        """Begin a message with whom it is about."""
        return f"storefront {self.storefront}: {text}"


def _http_date(text: str | None) -> Instant | None:
    try:
        return from_datetime(parsedate_to_datetime(text or ""))
    except ValueError:
        return None
