"""A loopback receiver of webhooks: keeps what came, answers as told."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from bridge.domain.clock import utc_now
from bridge.sandbox.server import Server
from bridge.sandbox.wire import Request, Response


class Receiver:
    """Takes deliveries at `url`; `statuses` are answered in turn, the last one for ever."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses) or [200]
        self.received: list[Request] = []
        self.delivered = threading.Event()
        self._server = Server(0, self._take, utc_now)
        self.url = f"{self._server.url}/hints"

    def _take(self, request: Request) -> Response:
        self.received.append(request)
        if self.deliveries:
            self.delivered.set()
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return Response.html("", status, {"Location": self.url})

    @property
    def pings(self) -> list[Request]:
        """What came without a topic."""
        return [request for request in self.received if "X-Wc-Webhook-Topic" not in request.headers]

    @property
    def deliveries(self) -> list[Request]:
        """What came with a topic."""
        return [request for request in self.received if "X-Wc-Webhook-Topic" in request.headers]

    @property
    def topics(self) -> list[str]:
        """The topics delivered, in order."""
        return [request.headers["X-Wc-Webhook-Topic"] for request in self.deliveries]


@contextmanager
def receiving(*statuses: int) -> Iterator[Receiver]:
    """Run a receiver."""
    receiver = Receiver(*statuses)
    receiver._server.start()
    try:
        yield receiver
    finally:
        receiver._server.stop()
