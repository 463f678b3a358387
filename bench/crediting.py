"""Crediting: orders per second, from the text of a page to what is committed; and a full sweep."""

import gc
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import Any

from bench.checks import Rows, SumCheckError
from bench.homes import Home
from bench.installation import STOREFRONT, TEMPLATE
from bench.load import TENANTS, tenant
from bench.world import World, progress
from bridge.domain.clock import DAY, MINUTE, SECOND, Instant, isoformat, utc_now
from bridge.domain.clock import parse as parse_instant
from bridge.domain.order import Order, Unreadable
from bridge.sandbox import Sandbox
from bridge.store.database import Database
from bridge.store.leases import Leases
from bridge.storefront import parse
from bridge.storefront.client import Page
from bridge.sync.context import Context, Policy, Source
from bridge.sync.reconcile import sweep
from bridge.sync.settle import settle

PAGE_SIZE = 100
TAG_KEY = "_tenant_id"
TOTAL = 5000
"""What each order is worth, in minor units."""

NEW = "new orders/s"
KNOWN = "known orders/s"
SWEPT = "swept orders/s"
CHANGED = "tables changed by the sweep"
LOGGED = "bytes logged by the sweep"
FIGURES = (NEW, KNOWN, SWEPT, CHANGED, LOGGED)

_DATABASE = "crediting"
_POLICY = Policy(STOREFRONT)
_STATES = (
    "SELECT count(*), sum(version) FROM entries",
    "SELECT count(*), sum(version) FROM wallets",
    "SELECT count(*), sum(posts) FROM effects",
    "SELECT count(*), sum(sightings), max(fetched_at), max(changed_at) FROM orders",
    "SELECT count(*), max(seen_at) FROM sightings",
)
_FIRST_AT = parse_instant("2026-11-01")
_EVERY = 7 * SECOND  # by which no order has a stamp of another one
_STAMPED_WHEN_PAID = ("date_modified_gmt", "date_paid_gmt", "date_completed_gmt")
_CREDITED = "SELECT count(*), sum(amount) FROM entries WHERE kind = 'deposit'"


def named(database: str) -> str:
    """Return how the figures of a database begin."""
    return f"crediting {database}"


def measure(world: World) -> None:
    """Credit new orders and read them again, part by part; in the end sweep them all."""
    pages = _pages(world.scale.orders_swept // PAGE_SIZE)
    gc.collect()
    gc.freeze()  # as the daemon does after its start
    for home in world.homes:
        progress(f"crediting {world.scale.orders_swept:,} orders, {home.version}")
        home.create(_DATABASE, TEMPLATE)
        try:
            with closing(Database(home.url(_DATABASE))) as database:
                context = Context(database, Leases(database, utc_now, "bench"), utc_now)
                _credit(world, home, context, pages)
                _sweep(world, home, context, pages)
        finally:
            home.drop(_DATABASE)


def _credit(world: World, home: Home, context: Context, pages: Sequence[str]) -> None:
    size = len(pages) // world.scale.rounds
    for number in range(world.scale.rounds):
        part = pages[number * size : (number + 1) * size]
        for name in (NEW, KNOWN):
            began = time.perf_counter()
            for text in part:
                settle(context, _POLICY, parsed(text), "poll")
            rate = len(part) * PAGE_SIZE / (time.perf_counter() - began)
            world.figures.add(f"{named(home.kind)} {name}", rate)
        check(partial(home.rows, _DATABASE), (number + 1) * size * PAGE_SIZE)


def _sweep(world: World, home: Home, context: Context, pages: Sequence[str]) -> None:
    """Sweep orders that are all known, and look whether anything was written."""
    rows = partial(home.rows, _DATABASE)
    rows("VACUUM")  # what crediting left to be tidied is not the sweep's
    before, logged = _state(rows), home.logged_bytes()
    began = time.perf_counter()
    report = sweep(context, Source(Storefront(pages), _POLICY, utc_now() - DAY))
    rate = len(pages) * PAGE_SIZE / (time.perf_counter() - began)
    if report.counts != {"unchanged": len(pages) * PAGE_SIZE}:
        raise SumCheckError(f"the sweep of known orders found {dict(report.counts)}")
    changed = sum(one != other for one, other in zip(before, _state(rows), strict=True))
    world.figures.add(f"{named(home.kind)} {SWEPT}", rate)
    world.figures.add(f"{named(home.kind)} {CHANGED}", changed)
    if logged is not None:
        world.figures.add(f"{named(home.kind)} {LOGGED}", (home.logged_bytes() or 0) - logged)


def check(rows: Rows, orders: int) -> None:
    """Raise SumCheckError unless the ledger holds so many orders, each once and in full."""
    [[count, total]] = rows(_CREDITED)
    if (count, int(total or 0)) != (orders, orders * TOTAL):
        raise SumCheckError(f"{orders} orders made {count} entries that add up to {total}")


def _state(rows: Rows) -> list[Any]:
    return [rows(query) for query in _STATES]


def parsed(text: str) -> Iterator[Order | Unreadable]:
    """Read a page of orders from its text."""
    now = utc_now()
    return (parse.order(row, STOREFRONT, TAG_KEY, now) for row in parse.rows(text) or ())


class Storefront:
    """A storefront that answers from memory; it stands where `storefront.client.Client` does."""

    def __init__(self, pages: Sequence[str]) -> None:
        self._pages = pages

    def created(self, since: Instant, until: Instant | None = None) -> Iterator[Page]:
        """Yield all pages, whatever the window."""
        del since
        for text in self._pages:
            yield Page(tuple(parsed(text)), (), until or utc_now())

    changed = created

    def orders(self, order_ids: Iterable[int]) -> dict[int, Order | Unreadable | None]:
        """Fail: all orders are listed, so that nobody asks for one."""
        raise AssertionError(f"orders {list(order_ids)} were not listed")

    def with_refund_lines(self, order: Order) -> Order:
        """Return the order, which has no refunds."""
        return order


def _pages(count: int) -> list[str]:
    """Return the JSON of pages of orders, with the fields that bridge asks for."""
    with Sandbox() as sandbox:
        attribution = [{"key": f"_wc_order_attribution_{name}", "value": "x"} for name in "abcde"]
        placed = sandbox.place_order("50.00", meta_data=[_tag(1), *attribution])
        shown = sandbox.order_json(placed)
    order = {name: shown[name] for name in parse.FIELDS.split(",")}
    return [
        json.dumps([_order(order, order_id) for order_id in range(first, first + PAGE_SIZE)])
        for first in range(1, 1 + count * PAGE_SIZE, PAGE_SIZE)
    ]


def _order(like: dict[str, Any], order_id: int) -> dict[str, Any]:
    placed_at = _FIRST_AT + order_id * _EVERY
    own = {
        "id": order_id,
        "order_key": f"wc_order_{order_id:013d}",
        "date_created_gmt": _stamp(placed_at),
        "meta_data": [_tag(order_id), *like["meta_data"][1:]],
    }
    return like | own | dict.fromkeys(_STAMPED_WHEN_PAID, _stamp(placed_at + MINUTE))


def _stamp(instant: Instant) -> str:
    return isoformat(instant)[: len("2026-11-22T15:39:29")]


def _tag(order_id: int) -> dict[str, str]:
    return {"key": TAG_KEY, "value": tenant(1 + order_id % TENANTS)}
