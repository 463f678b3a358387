"""The poll: nothing lost, nothing twice, the cursor last."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from bridge.domain.clock import DAY, parse
from bridge.domain.errors import LeaseHeldError, StoppingError, StorefrontStoppedError
from bridge.sandbox import MAINTENANCE, Request
from bridge.store import inbox, orders
from bridge.store.orders import Sighting
from bridge.storefront.errors import StorefrontUnavailableError
from bridge.sync.context import LEASE_S
from bridge.sync.settle import acknowledge
from tests.sync.conftest import World


def test_the_first_poll_starts_at_import_from(world: World) -> None:
    world.clock.now = parse("2026-10-01")
    world.sandbox.place_order("50.00")
    world.clock.now = parse("2026-11-02")
    world.sandbox.place_order("20.00")
    world.poll()
    assert world.balance() == 2000


def test_what_happened_while_bridge_was_away_for_long_is_not_passed_over(world: World) -> None:
    """With no `import_from` in the configuration, it lies a sweep's window before each start."""
    world.poll()
    world.sandbox.place_order("50.00")
    world.clock.advance(60 * 86_400)
    restarted = world._replace(source=world.source._replace(import_from=world.clock() - 35 * DAY))
    restarted.poll()
    assert world.balance() == 5000


def test_no_order_is_lost_while_orders_move_between_two_pages(world: World) -> None:
    placed = [world.sandbox.place_order("1.00") for _ in range(250)]
    world.clock.advance(1)

    def disturb(request: Request) -> None:
        if placed and "offset" in request.query:
            world.sandbox.touch(placed.pop(0))

    world.sandbox.on_request = disturb
    world.poll()
    world.poll()
    assert world.balance() == 25_000


def test_the_cursor_stays_where_it_was_when_a_poll_fails_half_way(world: World) -> None:
    world.poll()
    before = world.state().cursor
    world.sandbox.place_order("50.00")
    world.sandbox.faults.switch_on(MAINTENANCE)
    with pytest.raises(StorefrontUnavailableError):
        world.poll()
    assert world.state().cursor == before
    assert world.state().failing_since == world.clock()
    world.sandbox.faults.switch_off()
    world.poll()
    assert world.balance() == 5000
    assert world.state().failing_since is None


def test_a_broken_order_does_not_stop_the_rest_and_the_sweep_finds_it_mended(
    world: World,
) -> None:
    broken = world.sandbox.place_order("50.00")
    world.sandbox.place_order("20.00")
    world.sandbox.faults.broken_orders.add(broken)
    assert world.poll() == {"credited": 1, "broken": 1}
    assert world.balance() == 2000
    world.sandbox.faults.broken_orders.clear()
    world.sweep()
    assert world.balance() == 7000


def test_a_second_process_does_not_poll_the_same_storefront(world: World) -> None:
    other = world.context._replace(
        leases=type(world.context.leases)(world.context.database, world.clock, "other")
    )
    other.leases.take("poll:main", LEASE_S)
    with pytest.raises(LeaseHeldError):
        world.poll()
    world.clock.advance(LEASE_S)
    assert world.poll() == {}


def test_an_id_that_another_order_got_is_quarantined_until_acknowledged(world: World) -> None:
    order_id = world.sandbox.place_order("50.00")
    world.poll()
    world.sandbox.replace_order(order_id, "20.00")
    assert world.poll() == {"held": 1}
    assert world.balance() == 5000
    acknowledge(world.context, world.source.policy)
    world.ingest()
    assert world.balance() == 7000


def test_many_replaced_ids_stop_the_storefront_until_acknowledged(world: World) -> None:
    placed = [world.sandbox.place_order("10.00") for _ in range(3)]
    world.poll()
    for order_id in placed:
        world.sandbox.replace_order(order_id, "10.00")
    world.poll()
    assert world.state().stopped_at is not None
    world.sandbox.place_order("5.00")
    with pytest.raises(StorefrontStoppedError, match="bridge acknowledge main"):
        world.poll()
    assert world.balance() == 3000
    acknowledge(world.context, world.source.policy)
    world.ingest()
    world.poll()
    assert world.balance() == 6500


def test_acknowledging_waits_for_a_settlement_that_goes_on_and_loses_nothing_of_it(
    world: World,
) -> None:
    order_id = world.sandbox.place_order("50.00")
    world.poll()
    world.sandbox.replace_order(order_id, "20.00")
    world.poll()
    locked, accepted = threading.Event(), threading.Event()

    def settle_slowly() -> None:
        with world.context.database.write() as tx:
            [row] = orders.lock(tx, "main", [order_id]).values()
            locked.set()
            accepted.wait(0.2)
            state = Sighting("main", order_id, row.sightings + 1, 0, "poll", "", "", "held", "")
            orders.save(tx, [row._replace(sightings=row.sightings + 1)], [state])

    with ThreadPoolExecutor(1) as pool:
        settling = pool.submit(settle_slowly)
        locked.wait()
        assert acknowledge(world.context, world.source.policy) == 1
        accepted.set()
        settling.result()
    world.ingest()
    assert world.balance() == 7000


def test_a_hundred_hints_for_an_order_cause_one_fetch(world: World) -> None:
    order_id = world.sandbox.place_order("50.00")
    for _ in range(100):
        world.hint(order_id)
    world.sandbox.requests.clear()
    world.ingest()
    assert world.balance() == 5000
    assert len(world.sandbox.requests) == 1


def test_a_hint_whose_storefront_fails_comes_back_later(world: World) -> None:
    order_id = world.sandbox.place_order("50.00")
    world.hint(order_id)
    world.sandbox.faults.switch_on(MAINTENANCE)
    with pytest.raises(StorefrontUnavailableError):
        world.ingest()
    world.sandbox.faults.switch_off()
    world.ingest()
    assert world.balance() == 5000
    with world.context.database.read() as tx:
        assert inbox.waiting(tx) == 0


def test_a_state_that_seems_stale_because_a_clock_was_set_back_is_looked_at_again(
    world: World,
) -> None:
    order_id = world.sandbox.place_order("50.00")
    world.poll()
    world.clock.advance(-60)
    world.sandbox.set_status(order_id, "cancelled")
    world.hint(order_id)
    assert world.ingest() == {"stale": 1}
    assert world.balance() == 5000
    world.clock.advance(700)
    world.ingest()
    assert world.balance() == 0


def test_a_hint_for_an_order_deleted_by_force_reverses_it(world: World) -> None:
    order_id = world.sandbox.place_order("50.00")
    world.poll()
    world.sandbox.delete_forever(order_id)
    world.hint(order_id)
    world.ingest()
    assert world.balance() == 0


def test_a_hint_for_an_order_that_never_was_changes_nothing(world: World) -> None:
    world.hint(4711)
    assert world.ingest() == {}


def test_known_orders_cost_no_writes(world: World) -> None:
    for _ in range(20):
        world.sandbox.place_order("1.00")
    world.poll()
    with world.context.database.read() as tx:
        before = orders.known(tx, "main", world.sandbox.order_ids())
    report = world.sweep()
    with world.context.database.read() as tx:
        assert orders.known(tx, "main", world.sandbox.order_ids()) == before
    assert report.counts == {"unchanged": 20}


def test_a_poll_that_ends_between_two_pages_is_made_good_by_the_next(world: World) -> None:
    for _ in range(250):
        world.sandbox.place_order("1.00")
    world.clock.advance(1)

    def die_after_the_first_page(request: Request) -> None:
        if request.query.get("offset", "0") != "0":
            world.sandbox.faults.switch_on(MAINTENANCE)

    world.sandbox.on_request = die_after_the_first_page
    with pytest.raises(StorefrontUnavailableError):
        world.poll()
    assert 0 < world.balance() < 25_000
    assert world.state().cursor is None
    world.sandbox.on_request = lambda _request: None
    world.sandbox.faults.switch_off()
    world.poll()
    assert world.balance() == 25_000


def test_a_run_is_abandoned_between_two_pages_when_the_process_stops(world: World) -> None:
    for _ in range(150):
        world.sandbox.place_order("1.00")
    going_down = world._replace(context=world.context._replace(stopping=lambda: True))
    with pytest.raises(StoppingError):
        going_down.poll()
    assert world.state().failing_since is None
    world.poll()
    assert world.balance() == 15_000
