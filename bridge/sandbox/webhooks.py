"""Webhooks as WooCommerce sends them: collapsed, signed, never repeated, disabled in the end."""

import base64
import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from itertools import count
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from bridge.domain.clock import SECOND, Clock, Instant
from bridge.sandbox.render import REST_ROOT, Renderer, dump

FAILURES_MAX = 7
DELIVERY_TIMEOUT_S = 60.0
PING_TIMEOUT_S = 5.0
_AGENT = "WooCommerce/10.5.0 Hookshot (WordPress/6.9.4)"
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_ACTIONS = {
    "order.created": ["woocommerce_new_order"],
    "order.updated": ["woocommerce_update_order", "woocommerce_order_refunded"],
    "order.deleted": ["wp_trash_post", "woocommerce_trash_order"],
    "order.restored": ["untrashed_post", "woocommerce_untrash_order"],
}
_EDITABLE = ("name", "status", "topic", "secret", "delivery_url")


@dataclass(slots=True)
class Webhook:
    """A subscription to one topic."""

    id: int
    name: str
    topic: str
    delivery_url: str
    secret: str
    status: str
    created_at: Instant
    modified_at: Instant | None = None
    failures: int = 0
    ping_pending: bool = True

    def shown(self, renderer: Renderer) -> dict[str, Any]:
        """Return the webhook as REST shows it; neither the secret nor the failures are there."""
        resource, _, event = self.topic.partition(".")
        collection = f"{renderer.url}{REST_ROOT}/webhooks"
        return {
            "id": self.id,
            "name": self.name,
            "status": self.status,
            "topic": self.topic,
            "resource": resource,
            "event": event,
            "hooks": _ACTIONS.get(self.topic, [event]),
            "delivery_url": self.delivery_url,
            **renderer.stamps("date_created", self.created_at),
            **renderer.stamps("date_modified", self.modified_at),
            "_links": {
                "self": [{"href": f"{collection}/{self.id}", "targetHints": {"allow": _METHODS}}],
                "collection": [{"href": collection}],
            },
        }


class Delivery(NamedTuple):
    """One attempt: where it went and the HTTP status it met, None where there was no answer."""

    webhook_id: int
    topic: str
    order_id: int
    status: int | None


class Webhooks:
    """Subscriptions, and the queue of what is due to them.

    `announce` only remembers (topic, order), once however often it happens; `deliver` sends what
    waits, with the order's state at that time, one after the other and never again.
    """

    def __init__(self, clock: Clock, source_url: str, body_of: Callable[[int], Any]) -> None:
        self._clock = clock
        self._source_url = source_url
        self._body_of = body_of
        self._ids = count(1)
        self._lock = threading.Lock()
        self._webhooks: dict[int, Webhook] = {}
        self._due: dict[tuple[int, int], None] = {}

    def add(
        self, url: str, topic: str, secret: str = "", *, name: str = "", status: str = "active"
    ) -> Webhook:
        """Subscribe, and ping at once. Without a secret one is made up, as WooCommerce does."""
        created_at = self._clock() // SECOND * SECOND
        secret = secret or secrets.token_urlsafe(32)
        webhook = Webhook(next(self._ids), name or topic, topic, url, secret, status, created_at)
        with self._lock:
            self._webhooks[webhook.id] = webhook
        self._ping(webhook)
        return webhook

    def get(self, webhook_id: int) -> Webhook | None:
        """Return a webhook, or None."""
        return self._webhooks.get(webhook_id)

    def newest_first(self) -> list[Webhook]:
        """Return all webhooks."""
        with self._lock:
            return list(self._webhooks.values())[::-1]

    def update(self, webhook: Webhook, fields: Mapping[str, Any]) -> None:
        """Change a webhook. Making it active again does not reset its failures."""
        for name in _EDITABLE:
            if name in fields:
                setattr(webhook, name, fields[name])
        webhook.modified_at = self._clock() // SECOND * SECOND
        self._ping(webhook)

    def remove(self, webhook_id: int) -> None:
        """Unsubscribe."""
        with self._lock:
            del self._webhooks[webhook_id]

    def announce(self, topic: str, order_id: int) -> None:
        """Remember that a topic is due for an order; several changes before a delivery are one."""
        with self._lock:
            for webhook in self._webhooks.values():
                if webhook.topic == topic and webhook.status == "active":
                    self._due[webhook.id, order_id] = None

    def deliver(self) -> list[Delivery]:
        """Send all that is due now; a slow receiver keeps the others waiting, as in WooCommerce."""
        with self._lock:
            due, self._due = list(self._due), {}
        return [
            self._deliver(webhook, order_id)
            for webhook_id, order_id in due
            if (webhook := self.get(webhook_id)) and webhook.status == "active"
        ]

    def _deliver(self, webhook: Webhook, order_id: int) -> Delivery:
        body = dump(self._payload(webhook.topic, order_id))
        status = _post(webhook.delivery_url, body, self._headers(webhook, body), DELIVERY_TIMEOUT_S)
        succeeded = status is not None and 200 <= status <= 302
        webhook.failures = 0 if succeeded else webhook.failures + 1
        if webhook.failures >= FAILURES_MAX:
            webhook.status = "disabled"
        self._ping(webhook)
        return Delivery(webhook.id, webhook.topic, order_id, status)

    def _payload(self, topic: str, order_id: int) -> Any:
        resource, _, event = topic.partition(".")
        if resource == "action":
            return {"action": event, "arg": order_id}
        return {"id": order_id} if event == "deleted" else self._body_of(order_id)

    def _headers(self, webhook: Webhook, body: bytes) -> dict[str, str]:
        resource, _, event = webhook.topic.partition(".")
        second = self._clock() // SECOND
        delivery_id = hashlib.md5(f"{webhook.id}{second}".encode(), usedforsecurity=False)
        return {
            "Content-Type": "application/json",
            "X-WC-Webhook-Source": f"{self._source_url}/",
            "X-WC-Webhook-Topic": webhook.topic,
            "X-WC-Webhook-Resource": resource,
            "X-WC-Webhook-Event": event,
            "X-WC-Webhook-Signature": sign(body, webhook.secret),
            "X-WC-Webhook-ID": str(webhook.id),
            "X-WC-Webhook-Delivery-ID": delivery_id.hexdigest(),
        }

    def _ping(self, webhook: Webhook) -> None:
        """Send the unsigned ping, again and again until it is answered 200; follows no redirect."""
        if webhook.ping_pending:
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            body = f"webhook_id={webhook.id}".encode()
            webhook.ping_pending = _post(webhook.delivery_url, body, headers, PING_TIMEOUT_S) != 200


def sign(body: bytes, secret: str) -> str:
    """Return what X-WC-Webhook-Signature says: base64 of HMAC-SHA256 over the raw body."""
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def _post(url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> int | None:
    """Post, following no redirect; None where nothing answered in time."""
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout_s)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    common = {"User-Agent": _AGENT, "Accept": "*/*", "Connection": "close"}
    try:
        connection.request("POST", target, body, common | dict(headers))
        response = connection.getresponse()
        response.read()
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
    return response.status
