"""The poll's and the sweep's windows, on a storefront that does not stand still."""

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import count

import pytest
import responses

from bridge.domain.clock import DAY, HOUR, MINUTE, SECOND, Instant, parse, utc_now
from bridge.domain.order import Order, Unreadable
from bridge.sandbox import CRITICAL_ERROR, Request, Sandbox
from bridge.storefront.client import Client, Page
from bridge.storefront.errors import StorefrontOverloadedError

NOON = parse("2026-11-22T12:00:00Z")
URL = "https://store.example.com"


def ids(pages: Sequence[Page]) -> list[int]:
    return [order.id for page in pages for order in page.orders]


def states(pages: Sequence[Page]) -> dict[int, str]:
    """The last status seen of each order."""
    orders = [order for page in pages for order in page.orders]
    return {order.id: order.status for order in orders if isinstance(order, Order)}


def place(sandbox: Sandbox, number: int, before: Instant = HOUR) -> list[int]:
    """Place orders modified a second apart, the last one `before` now."""
    placed = [sandbox.place_order() for _ in range(number)]
    last = utc_now() - before
    for back, order_id in enumerate(reversed(placed)):
        sandbox.stamp(order_id, last - back * SECOND)
    return placed


def meddle(sandbox: Sandbox, *deeds: Callable[[], object]) -> None:
    """Do one of the deeds before each request but the first."""
    waiting = iter([lambda: None, *deeds])
    sandbox.on_request = lambda _request: next(waiting, lambda: None)()


def each(do: Callable[[int], None], order_ids: Sequence[int]) -> None:
    for order_id in order_ids:
        do(order_id)


@pytest.mark.parametrize("place_in_list", range(0, 250, 31))
def test_an_order_touched_between_pages_hides_no_other_and_comes_with_the_next_window(
    place_in_list: int, client: Client, sandbox: Sandbox
) -> None:
    placed = place(sandbox, 250)
    touched = placed[place_in_list]
    meddle(sandbox, lambda: sandbox.touch(touched))

    pages = list(client.changed(utc_now() - DAY))
    following = list(client.changed(pages[-1].until))

    assert set(placed) - {touched} <= set(ids(pages))
    assert set(placed) == set(ids(pages)) | set(ids(following))


@pytest.mark.parametrize("place_in_list", range(0, 250, 31))
def test_an_order_trashed_between_pages_hides_no_other_and_comes_as_trash(
    place_in_list: int, client: Client, sandbox: Sandbox
) -> None:
    placed = place(sandbox, 250)
    trashed = placed[place_in_list]
    meddle(sandbox, lambda: sandbox.trash(trashed))

    pages = list(client.changed(utc_now() - DAY))
    following = list(client.changed(pages[-1].until))

    assert set(placed) - {trashed} <= set(ids(pages))
    assert states([*pages, *following])[trashed] == "trash"


def test_much_happening_at_once_still_loses_no_order(client: Client, sandbox: Sandbox) -> None:
    placed = place(sandbox, 250)
    meddle(
        sandbox,
        lambda: each(sandbox.touch, placed[:40]),
        lambda: each(sandbox.delete_forever, placed[150:155]),
        lambda: each(sandbox.trash, placed[100:140]),
        lambda: place(sandbox, 30, before=0),
    )

    pages = list(client.changed(utc_now() - DAY))
    following = list(client.changed(pages[-1].until - MINUTE))

    assert set(sandbox.order_ids()) <= set(ids(pages)) | set(ids(following))


@pytest.mark.parametrize("happens", ["trash", "delete_forever", "touch", "restore"])
def test_a_sweep_sees_every_order_that_stays(
    happens: str, connect: Callable[..., Client], sandbox: Sandbox
) -> None:
    placed = [sandbox.place_order() for _ in range(60)]
    moved = placed[10::7]
    if happens == "restore":
        for order_id in moved:
            sandbox.trash(order_id)
    meddle(sandbox, *[lambda one=one: getattr(sandbox, happens)(one) for one in moved])

    seen = ids(list(connect(page_size_max=8).created(utc_now() - DAY)))

    assert set(placed) - set(moved) <= set(seen)


def test_an_order_trashed_during_a_sweep_is_met_as_trash(client: Client, sandbox: Sandbox) -> None:
    placed = [sandbox.place_order() for _ in range(3)]
    meddle(sandbox, lambda: sandbox.trash(placed[1]))

    assert states(list(client.created(utc_now() - DAY)))[placed[1]] == "trash"


def test_one_broken_order_among_250_is_named_and_the_others_are_read(
    client: Client, sandbox: Sandbox
) -> None:
    placed = place(sandbox, 250)
    sandbox.faults.broken_orders.add(placed[77])

    pages = list(client.changed(utc_now() - DAY))

    assert sorted(ids(pages)) == [one for one in placed if one != placed[77]]
    assert [broken.offset for page in pages for broken in page.broken] == [77]


def test_a_page_that_times_out_is_asked_for_in_halves(
    connect: Callable[..., Client], sandbox: Sandbox
) -> None:
    """The storefront needs too long for more than ten orders at once."""
    placed = place(sandbox, 40)

    def answer(request: Request) -> None:
        if int(request.params.get("per_page", 0)) > 10:
            sandbox.faults.switch_on(CRITICAL_ERROR, times=1)

    sandbox.on_request = answer

    assert sorted(ids(list(connect().changed(utc_now() - DAY)))) == placed


def test_a_storefront_that_fails_on_everything_stops_the_window(
    connect: Callable[..., Client], sandbox: Sandbox
) -> None:
    place(sandbox, 10)
    sandbox.faults.switch_on(CRITICAL_ERROR)

    with pytest.raises(StorefrontOverloadedError):
        list(connect(attempts_max=3).changed(utc_now() - DAY))

    assert len(sandbox.requests) == 1 + 3


def test_a_quiet_window_is_two_requests_and_still_says_how_far_it_reaches(
    client: Client, sandbox: Sandbox
) -> None:
    pages = list(client.changed(utc_now() - HOUR))

    assert len(sandbox.requests) == 2
    assert ids(pages) == []
    assert utc_now() - 3 * SECOND <= pages[-1].until <= utc_now()


def test_an_order_of_this_very_second_is_seen(client: Client, sandbox: Sandbox) -> None:
    order_id = sandbox.place_order()

    assert ids(list(client.changed(utc_now()))) == [order_id]


def test_both_ends_of_a_window_belong_to_it_to_the_second(client: Client, sandbox: Sandbox) -> None:
    since, until = utc_now() - 2 * HOUR, utc_now() - HOUR
    stamps = [since - 2 * SECOND, since, until, until + 2 * SECOND]
    placed = [sandbox.place_order() for _ in stamps]
    for order_id, stamp in zip(placed, stamps, strict=True):
        sandbox.stamp(order_id, stamp // SECOND * SECOND)

    pages = list(client.changed(since, until))

    assert ids(pages) == placed[1:3]
    assert pages[-1].until == until


def test_a_window_never_reaches_beyond_the_storefronts_present(client: Client) -> None:
    page = next(client.changed(utc_now() - HOUR, utc_now() + HOUR))

    assert page.until <= utc_now()


def test_orders_are_given_as_soon_as_their_page_is_read(client: Client, sandbox: Sandbox) -> None:
    place(sandbox, 250)

    next(client.changed(utc_now() - DAY))

    assert len(sandbox.requests) == 1


def test_the_sites_time_zone_does_not_move_a_window() -> None:
    with Sandbox(time_zone_offset_s=-5 * 3600) as sandbox:
        order_id = sandbox.place_order()
        client = Client(
            "main",
            sandbox.url,
            sandbox.consumer_key,
            sandbox.consumer_secret,
            clock=utc_now,
            tag_key="_tenant_id",
        )

        assert ids(list(client.changed(utc_now() - MINUTE))) == [order_id]
        assert ids(list(client.created(utc_now() - MINUTE))) == [order_id]
        assert ids(list(client.changed(utc_now() - 2 * HOUR, utc_now() - HOUR))) == []
        client.close()


@pytest.fixture
def slow_clock() -> Callable[[], Instant]:
    """A clock that moves by two seconds whenever it is read."""
    reading = count(NOON, 2 * SECOND)
    return lambda: next(reading)


@pytest.fixture
def storefront_says() -> Iterator[Callable[[str], None]]:
    """A storefront whose clock shows a time of that day, with one order that cannot be read."""
    with responses.RequestsMock() as mock:

        def at(time: str) -> None:
            mock.get(
                f"{URL}/wp-json/wc/v3/orders",
                body=json.dumps([{"id": 5}]),
                headers={"Date": f"Sun, 22 Nov 2026 {time} GMT", "X-WP-Total": "1"},
            )

        yield at


@pytest.mark.parametrize(
    ("answered_at", "until"), [("13:00:02", NOON), ("11:00:02", NOON - HOUR)], ids=["ahead", "slow"]
)
def test_a_window_reaches_to_the_earlier_of_the_two_clocks_as_of_the_question(
    answered_at: str,
    until: Instant,
    slow_clock: Callable[[], Instant],
    storefront_says: Callable[[str], None],
) -> None:
    """Sent at 12:00:00 and answered at 12:00:02 by our clock."""
    storefront_says(answered_at)
    client = Client("main", URL, "ck", "cs", clock=slow_clock, tag_key="_tenant_id")

    pages = list(client.changed(NOON))

    assert {page.until for page in pages} == {until}
    client.close()


def test_an_unreadable_order_is_given_as_such(storefront_says: Callable[[str], None]) -> None:
    storefront_says("12:00:00")
    client = Client("main", URL, "ck", "cs", clock=lambda: NOON, tag_key="_tenant_id")

    [order] = next(client.changed(NOON)).orders

    assert isinstance(order, Unreadable)
    assert (order.storefront, order.id) == ("main", 5)
    client.close()
