"""The storefront put together: state, REST, pages, webhooks, faults and a server."""

import secrets
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Self

from bridge.domain.clock import Clock, utc_now
from bridge.sandbox.auth import Gate
from bridge.sandbox.cart import Cart
from bridge.sandbox.checkout import Checkout
from bridge.sandbox.companion import Companion
from bridge.sandbox.controls import Controls
from bridge.sandbox.faults import Fault, Faults
from bridge.sandbox.model import STATUSES, Settings
from bridge.sandbox.pages import Pages
from bridge.sandbox.render import Renderer
from bridge.sandbox.rest import Rest
from bridge.sandbox.rest_orders import INVALID_ID, OrderRoutes
from bridge.sandbox.rest_webhooks import WebhookRoutes
from bridge.sandbox.server import STOP_TIMEOUT_S, Server
from bridge.sandbox.state import State
from bridge.sandbox.webhooks import Delivery, Webhook, Webhooks
from bridge.sandbox.wire import Request, Response, RestError

REQUESTS_KEPT_MAX = 10_000


class Sandbox(Controls):
    """A storefront on http://127.0.0.1:port (0: any free one); a context manager.

    `time_zone_offset_s` is the site's zone east of UTC; `decimals` the storefront's, whatever the
    currency has; `legacy_storage` plays posts tables; `plays_https` takes Basic auth as behind TLS.
    `custom_statuses` are slugs with names, such as a plugin registers. Webhooks go out every
    `webhook_interval_s`, or only by `deliver_webhooks()` where it is None. With `companion_keys`,
    the companion plugin is installed and opens the deposit links sealed with any of them.
    `on_request` is called with each REST request before it is answered; `requests` keeps the last
    ones; `faults` makes the storefront misbehave.
    """

    def __init__(  # noqa: PLR0913 - each is one setting of a storefront
        self,
        *,
        clock: Clock = utc_now,
        port: int = 0,
        time_zone_offset_s: int = 0,
        legacy_storage: bool = False,
        decimals: int = 2,
        currency: str = "EUR",
        plays_https: bool = False,
        custom_statuses: Mapping[str, str] = MappingProxyType({}),
        webhook_interval_s: float | None = None,
        companion_keys: Sequence[bytes] = (),
    ) -> None:
        settings = Settings(
            currency=currency,
            decimals=decimals,
            time_zone_offset_s=time_zone_offset_s,
            legacy_storage=legacy_storage,
            statuses={**STATUSES, **custom_statuses},
        )
        super().__init__(State(settings, clock))
        self.consumer_key = f"ck_{secrets.token_hex(20)}"
        self.consumer_secret = f"cs_{secrets.token_hex(20)}"
        self.faults = Faults()
        self.requests: deque[Request] = deque(maxlen=REQUESTS_KEPT_MAX)
        self.on_request: Callable[[Request], object] = lambda _request: None
        self._server = Server(port, self._answer, clock)
        self.url = self._server.url
        self._renderer = Renderer(settings, self.url)
        self._webhooks = Webhooks(clock, self.url, self._webhook_body)
        self._state.announce = self._webhooks.announce
        gate = Gate(self.consumer_key, self.consumer_secret, plays_https=plays_https)
        orders = OrderRoutes(self._state, self._renderer, self.faults.broken_orders)
        webhooks = WebhookRoutes(self._webhooks, self._renderer)
        self._rest = Rest(gate, self.url, orders.routes() + webhooks.routes())
        checkout = Checkout(self._state, self._renderer, self, returns=bool(companion_keys))
        others: list[Checkout | Cart] = [checkout]
        if companion_keys:
            others.append(Cart(self._state, Companion(companion_keys), self, checkout))
        self._pages = Pages(self._state, self._renderer, self, others)
        self._webhook_interval_s = webhook_interval_s
        self._stopping = threading.Event()
        self._deliverer = threading.Thread(target=self._keep_delivering, daemon=True)

    def start(self) -> Self:
        """Begin to serve, and to deliver webhooks where an interval was given."""
        self._server.start()
        if self._webhook_interval_s is not None:
            self._deliverer.start()
        return self

    def stop(self) -> None:
        """Close everything; a stopped sandbox is not started again."""
        self._stopping.set()
        self._server.stop()
        if self._deliverer.is_alive():
            self._deliverer.join(STOP_TIMEOUT_S)

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def add_webhook(self, url: str, topic: str = "order.updated", secret: str = "") -> Webhook:
        """Subscribe an address to a topic; the unsigned ping is sent at once."""
        return self._webhooks.add(url, topic, secret)

    def deliver_webhooks(self) -> list[Delivery]:
        """Send all that is due, now and here, and say how each one went."""
        return self._webhooks.deliver()

    def order_json(self, order_id: int) -> dict[str, Any]:
        """Return an order as `GET /orders/N` would show it; KeyError if there is none."""
        with self._state.lock:
            return self._renderer.order(self._state.orders[order_id])

    def _webhook_body(self, order_id: int) -> Any:
        """What REST would answer at delivery: for a deleted order a (signed) error object."""
        with self._state.lock:
            order = self._state.orders.get(order_id)
            return self._renderer.order(order) if order else RestError(*INVALID_ID).body()

    def _keep_delivering(self) -> None:
        while not self._stopping.wait(self._webhook_interval_s):
            self._webhooks.deliver()

    def _answer(self, request: Request) -> Response | None:
        if not request.path.startswith("/wp-json"):
            return self._pages.answer(request)
        self.requests.append(request)
        self.on_request(request)
        fault = self.faults.strike(request) or Fault()
        if fault.instead:
            return fault.instead
        response = self._rest.answer(request) if fault.executes else None
        if fault.delay_s or fault.hangs:
            self._stopping.wait(None if fault.hangs else fault.delay_s)
        if response is None or not fault.answers:
            return None
        return response._replace(body=fault.prefix + response.body)
