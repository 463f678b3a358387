"""What all ways of reading a storefront share."""

import contextlib
from collections.abc import Iterable, Iterator

import structlog

from bridge.domain.crediting import VANISHED
from bridge.domain.errors import (
    BridgeError,
    LeaseHeldError,
    NotFoundError,
    StoppingError,
    StorefrontStoppedError,
)
from bridge.domain.order import Order, Unreadable
from bridge.store import cursors, inbox, orders
from bridge.store.inbox import Hint
from bridge.storefront.client import Page
from bridge.storefront.errors import OrderGoneError
from bridge.sync.context import Context, Source
from bridge.sync.settle import RETRY_AFTER, Arrived

log = structlog.get_logger()


@contextlib.contextmanager
def failures_noted(context: Context, source: Source) -> Iterator[None]:
    """Keep on record that the storefront cannot be read, and since when; the error goes on."""
    try:
        yield
    except (LeaseHeldError, NotFoundError, StoppingError, StorefrontStoppedError):
        raise
    except BridgeError as error:
        with context.database.write() as tx:
            cursors.failed(tx, source.name, str(error), context.clock())
        raise


def complete(source: Source, arrived: Iterable[Arrived]) -> Iterator[Arrived]:
    """Read the refunds line by line where only a part of an order counts.

    An order deleted in the meantime is left to the next look at it.
    """
    rules = source.policy.rules
    for order in arrived:
        if isinstance(order, Order) and order.refunds and rules.needs_refund_lines(order):
            with contextlib.suppress(OrderGoneError):
                yield source.client.with_refund_lines(order)
        else:
            yield order


def note_broken(context: Context, source: Source, page: Page) -> int:
    """Log the orders that the storefront breaks on, and look at them again later."""
    now = context.clock()
    for broken in page.broken:
        log.warning("order broken", storefront=source.name, order=broken.id, why=broken.why)
    hints = [
        Hint(source.name, broken.id, now + RETRY_AFTER, now, "retry")
        for broken in page.broken
        if broken.id is not None
    ]
    if hints:
        with context.database.write() as tx:
            inbox.put(tx, hints)
    return len(page.broken)


def by_id(
    context: Context, source: Source, order_ids: Iterable[int]
) -> tuple[list[Arrived], list[Order]]:
    """Fetch orders by their ids; returns those that exist, and those that have vanished.

    A vanished order is the order as it was last seen with the status `vanished`. One we never saw
    is in neither list.
    """
    asked_at = context.clock()
    found = source.client.orders(order_ids)
    gone = [order_id for order_id, order in found.items() if order is None]
    with context.database.read() as tx:
        known = orders.known(tx, source.name, gone)
    vanished = [
        seen.order()._replace(status=VANISHED, fetched_at=asked_at)
        for seen in known.values()
        if seen.snapshot
    ]
    existing: list[Order | Unreadable] = [order for order in found.values() if order is not None]
    return existing, vanished
