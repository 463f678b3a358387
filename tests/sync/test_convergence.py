"""Whatever a storefront does to its orders, the balances end right: one test, one thing it does."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from bridge.domain.crediting import AmountRule, Rules
from bridge.sandbox import Sandbox
from bridge.store import orders
from bridge.sync.context import Counts
from bridge.sync.settle import Arrived, settle
from tests.sync.conftest import World


def test_a_completed_order_becomes_balance(world: World) -> None:
    world.sandbox.place_order("50.00")
    assert world.poll() == {"credited": 1}
    assert world.wallet() == (5000, 5000)


def test_reading_an_order_a_hundred_times_posts_nothing_more(world: World) -> None:
    order_id = world.sandbox.place_order("50.00")
    world.poll()
    for _ in range(5):
        world.sandbox.touch(order_id)
        world.poll()
        world.sweep()
        world.hint(order_id)
        world.ingest()
    assert world.entries() == [5000]


@pytest.mark.parametrize("method", ["bacs", "cheque"])
def test_a_bank_transfer_is_credited_when_the_admin_completes_it(world: World, method: str) -> None:
    order_id = world.sandbox.place_order("50.00", status="on-hold", payment_method=method)
    world.poll()
    assert world.wallet() == (0, 0)
    world.sandbox.set_status(order_id, "processing")
    world.poll()
    assert world.wallet() == (0, 0)
    world.sandbox.set_status(order_id, "completed")
    world.poll()
    assert world.wallet() == (5000, 5000)


def test_cash_on_delivery_is_credited_at_processing_where_the_operator_says_so(
    world: World,
) -> None:
    world = world.with_rules(
        Rules(gateway_statuses={"cod": frozenset({"processing", "completed"})})
    )
    world.sandbox.place_order("20.00", status="processing", payment_method="cod")
    world.sandbox.place_order("30.00", status="processing", payment_method="bacs")
    world.poll()
    assert world.balance() == 2000


def test_a_partial_refund_is_reversed(world: World) -> None:
    order_id = world.sandbox.place_order("50.00")
    world.poll()
    world.sandbox.refund(order_id, "20.00")
    world.poll()
    assert world.entries() == [5000, -2000]


def test_a_full_refund_is_reversed(world: World) -> None:
    order_id = world.sandbox.place_order("50.00")
    world.poll()
    world.sandbox.refund(order_id)
    world.poll()
    assert world.entries() == [5000, -5000]


def test_a_deleted_refund_leaves_no_trace_yet_the_sweep_finds_it(world: World) -> None:
    order_id = world.sandbox.place_order("50.00")
    refund_id = world.sandbox.refund(order_id, "20.00")
    world.poll()
    assert world.balance() == 3000
    world.sandbox.delete_refund(order_id, refund_id)
    world.poll()
    world.sweep()
    assert world.balance() == 5000


def test_a_refund_of_spent_money_leaves_a_debt_that_the_next_deposit_pays(world: World) -> None:
    order_id = world.sandbox.place_order("50.00")
    world.poll()
    world.sandbox.place_order("10.00", tenant="globex")
    world.sandbox.set_tags(order_id, "globex")
    world.poll()
    world.sandbox.refund(order_id, "50.00")
    world.poll()
    assert world.balance("globex") == 1000


def test_trash_reverses_and_restoring_credits_again(world: World) -> None:
    order_id = world.sandbox.place_order("50.00")
    world.poll()
    world.sandbox.trash(order_id)
    world.poll()
    assert world.balance() == 0
    world.sandbox.restore(order_id)
    world.poll()
    assert world.balance() == 5000


def test_a_forced_deletion_is_silent_yet_the_sweep_reverses_it(world: World) -> None:
    order_id = world.sandbox.place_order("50.00")
    world.sandbox.place_order("10.00")
    world.poll()
    world.sandbox.delete_forever(order_id)
    world.poll()
    assert world.balance() == 6000
    report = world.sweep()
    assert world.balance() == 1000
    assert [(f.kind, f.order_id, f.drift) for f in report.findings] == [
        ("vanished", order_id, -5000)
    ]


def test_an_edited_total_moves_the_balance_by_the_difference(world: World) -> None:
    order_id = world.sandbox.place_order("50.00")
    world.poll()
    world.sandbox.edit_total(order_id, "100.00")
    world.poll()
    world.sandbox.edit_total(order_id, "80.00")
    world.poll()
    assert world.entries() == [5000, 5000, -2000]


def test_a_changed_tag_moves_the_money_to_the_other_tenant(world: World) -> None:
    order_id = world.sandbox.place_order("50.00")
    world.poll()
    world.sandbox.set_tags(order_id, "globex")
    world.poll()
    assert (world.balance("acme"), world.balance("globex")) == (0, 5000)


def test_a_changed_currency_moves_the_money_to_the_other_wallet(world: World) -> None:
    order_id = world.sandbox.place_order("50.00")
    world.poll()
    world.sandbox.update_order(order_id, currency="USD")
    world.poll()
    assert (world.balance("acme", "EUR"), world.balance("acme", "USD")) == (0, 5000)


def test_two_tags_are_held_and_credited_once_one_is_left(world: World) -> None:
    order_id = world.sandbox.place_order("50.00")
    world.sandbox.set_tags(order_id, "acme", "globex")
    assert world.poll() == {"held": 1}
    assert (world.balance("acme"), world.balance("globex")) == (0, 0)
    world.sandbox.set_tags(order_id, "globex")
    world.poll()
    assert (world.balance("acme"), world.balance("globex")) == (0, 5000)


def test_a_cancelled_order_is_reversed_at_once_and_a_late_payment_credits_it_again(
    world: World,
) -> None:
    order_id = world.sandbox.place_order("50.00")
    world.poll()
    world.sandbox.set_status(order_id, "cancelled")
    world.poll()
    assert world.balance() == 0
    world.sandbox.set_status(order_id, "completed")
    world.poll()
    assert world.balance() == 5000


def test_a_refund_stays_when_the_order_is_completed_again(world: World) -> None:
    order_id = world.sandbox.place_order("50.00")
    world.poll()
    world.sandbox.set_status(order_id, "refunded")
    world.poll()
    world.sandbox.set_status(order_id, "completed")
    world.poll()
    assert world.balance() == 0


def test_a_step_back_takes_the_money_only_when_it_is_still_so_ten_minutes_later(
    world: World,
) -> None:
    order_id = world.sandbox.place_order("50.00")
    world.poll()
    world.sandbox.set_status(order_id, "processing")
    assert world.poll() == {"waiting": 1}
    world.clock.advance(300)
    world.poll()
    world.ingest()
    assert world.balance() == 5000
    world.clock.advance(301)
    world.ingest()
    assert world.balance() == 0


def test_a_step_back_that_was_a_slip_never_touches_the_balance(world: World) -> None:
    order_id = world.sandbox.place_order("50.00")
    world.poll()
    world.sandbox.set_status(order_id, "pending")
    world.poll()
    world.sandbox.set_status(order_id, "completed")
    world.clock.advance(700)
    world.poll()
    world.ingest()
    assert world.entries() == [5000]


def test_a_refund_counts_at_once_while_a_step_back_waits(world: World) -> None:
    order_id = world.sandbox.place_order("50.00")
    world.poll()
    world.sandbox.set_status(order_id, "processing")
    world.sandbox.refund(order_id, "20.00")
    assert world.poll() == {"waiting": 1}
    assert world.balance() == 3000
    world.sandbox.set_status(order_id, "completed")
    world.poll()
    assert world.entries() == [5000, -2000]


def test_a_lost_tag_is_a_step_back(world: World) -> None:
    order_id = world.sandbox.place_order("50.00")
    world.poll()
    world.sandbox.set_tags(order_id)
    world.poll()
    assert world.balance() == 5000
    world.clock.advance(601)
    world.ingest()
    assert world.balance() == 0


def test_a_chargeback_holds_the_money_until_it_is_won_or_lost(world: World) -> None:
    won, lost = world.sandbox.place_order("50.00"), world.sandbox.place_order("30.00")
    world.poll()
    for order_id in (won, lost):
        world.sandbox.set_status(order_id, "on-hold")
    world.poll()
    assert world.wallet() == (8000, 0)
    world.sandbox.set_status(won, "completed")
    world.sandbox.set_status(lost, "refunded")
    world.poll()
    assert world.wallet() == (5000, 5000)


def test_a_custom_status_credits_where_the_operator_lists_it(
    make_world: Callable[[Sandbox], World], clock: Callable[[], int]
) -> None:
    with Sandbox(clock=clock, custom_statuses={"delivered": "Delivered"}) as sandbox:
        world = make_world(sandbox).with_rules(Rules(statuses=frozenset({"delivered"})))
        sandbox.place_order("50.00", status="delivered")
        world.poll()
        assert world.balance() == 5000


@pytest.mark.parametrize(
    ("currency", "decimals", "total", "expected"),
    [("JPY", 0, "5000", 5000), ("JPY", 2, "5000.00", 5000), ("KWD", 3, "12.345", 12345)],
)
def test_every_currency_has_its_own_minor_units(
    make_world: Callable[[Sandbox], World],
    clock: Callable[[], int],
    currency: str,
    decimals: int,
    total: str,
    expected: int,
) -> None:
    with Sandbox(clock=clock, currency=currency, decimals=decimals) as sandbox:
        world = make_world(sandbox)
        sandbox.place_order(total, currency=currency)
        world.poll()
        assert world.balance("acme", currency) == expected


def test_more_decimals_than_the_currency_has_are_held_not_rounded(world: World) -> None:
    world.sandbox.place_order("5000.40", currency="JPY")
    assert world.poll() == {"held": 1}


@pytest.mark.parametrize("offset_s", [-5 * 3600, 0, 13 * 3600])
@pytest.mark.parametrize("legacy_storage", [False, True])
def test_the_storefronts_time_zone_and_storage_do_not_matter(
    make_world: Callable[[Sandbox], World],
    clock: Callable[[], int],
    offset_s: int,
    legacy_storage: bool,
) -> None:
    with Sandbox(
        clock=clock, time_zone_offset_s=offset_s, legacy_storage=legacy_storage
    ) as sandbox:
        world = make_world(sandbox)
        sandbox.place_order("50.00")
        world.poll()
        late = sandbox.place_order("20.00")
        world.poll()
        world.clock.advance(3600)
        sandbox.refund(late, "5.00")
        world.poll()
        assert world.balance() == 6500


def test_a_storefront_whose_clock_is_wrong_loses_nothing(
    make_world: Callable[[Sandbox], World], clock: Callable[[], int]
) -> None:
    with Sandbox(clock=lambda: clock() - 3_600_000_000) as sandbox:
        world = make_world(sandbox)
        sandbox.place_order("50.00")
        world.poll()
        sandbox.place_order("20.00")
        world.poll()
        assert world.balance() == 7000


def test_only_the_deposit_lines_count_where_the_operator_says_so(world: World) -> None:
    product_id = world.sandbox.add_product("Balance", "DEPOSIT")
    shirt_id = world.sandbox.add_product("T-shirt", "SHIRT")
    world = world.with_rules(
        Rules(amount=AmountRule.DEPOSIT_LINES, deposit_skus=frozenset({"DEPOSIT"}))
    )
    order_id = world.sandbox.place_order(
        line_items=[
            {"product_id": product_id, "quantity": 1, "subtotal": "40.00", "total": "40.00"},
            {"product_id": shirt_id, "quantity": 1, "subtotal": "15.00", "total": "15.00"},
        ]
    )
    world.poll()
    assert world.balance() == 4000
    lines = world.sandbox.order_json(order_id)["line_items"]
    world.sandbox.refund(order_id, lines=[{"id": lines[1]["id"], "refund_total": "15.00"}])
    world.poll()
    assert world.balance() == 4000
    world.sandbox.refund(order_id, lines=[{"id": lines[0]["id"], "refund_total": "10.00"}])
    world.poll()
    assert world.balance() == 3000


def test_an_unknown_tenant_is_held_where_the_operator_says_so(world: World) -> None:
    world = world.with_rules(Rules(), create_tenants=False)
    world.sandbox.place_order("50.00")
    assert world.poll() == {"held": 1}
    with world.context.database.read() as tx:
        [held] = orders.held(tx)
    assert (held.reason, held.tenant_id) == ("tenant_unknown", "acme")


def test_changed_rules_are_applied_to_known_orders_by_the_next_sweep(world: World) -> None:
    world.sandbox.place_order("50.00", status="processing")
    world.poll()
    assert world.balance() == 0
    world = world.with_rules(Rules(statuses=frozenset({"completed", "processing"})))
    world.sweep()
    assert world.balance() == 5000


def test_an_untagged_order_is_nobodys(world: World) -> None:
    world.sandbox.place_order("50.00", tenant=None)
    assert world.poll() == {"nothing": 1}


def test_a_doubled_equal_tag_is_one_tag(world: World) -> None:
    order_id = world.sandbox.place_order("50.00")
    world.sandbox.set_tags(order_id, "acme", "acme")
    world.poll()
    assert world.balance() == 5000


def test_a_tag_on_a_line_is_read_too(world: World) -> None:
    order_id = world.sandbox.place_order("50.00", tenant=None)
    world.sandbox.set_line_tags(order_id, "acme")
    world.poll()
    assert world.balance() == 5000


def test_two_threads_that_settle_the_same_new_orders_credit_each_once(world: World) -> None:
    for number in range(1, 6):
        placed = [world.sandbox.place_order("10.00") for _ in range(20)]
        arrived = [
            order for order in world.source.client.orders(placed).values() if order is not None
        ]
        together = threading.Barrier(2)

        def credit(arrived: list[Arrived], together: threading.Barrier) -> Counts:
            together.wait()
            return settle(world.context, world.source.policy, arrived, "poll").counts

        with ThreadPoolExecutor(2) as pool:
            both = [pool.submit(credit, arrived, together) for _ in range(2)]
        assert not any(done.result()["failed"] for done in both)
        assert world.balance() == number * 20 * 1000
        with world.context.database.read() as tx:
            seen = orders.known(tx, "main", placed)
        assert {order.sightings for order in seen.values()} == {1}
