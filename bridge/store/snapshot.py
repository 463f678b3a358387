"""An order's state as text: what is kept of it, and what is compared."""

import msgspec

from bridge.domain.clock import Instant
from bridge.domain.order import Order

# Sorted, since a tag may be an object, and WooCommerce promises no order.
_ENCODER = msgspec.json.Encoder(order="sorted")
_DECODER = msgspec.json.Decoder(Order)


def take(order: Order) -> bytes:
    """Return the state as JSON, `fetched_at` left out: equal text means an equal state."""
    return _ENCODER.encode(order[:-1])


def restore(text: str, fetched_at: Instant) -> Order:
    """Return the order from which a snapshot was taken."""
    return _DECODER.decode(text)._replace(fetched_at=fetched_at)
