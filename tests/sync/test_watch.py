"""The watch: a deposit is in the balance soon after it is paid, with no webhook and no poll."""

import pytest

from bridge.domain.clock import HOUR, MINUTE, SECOND
from bridge.domain.crediting import Rules
from bridge.domain.deposit import TAG_KEY, Status
from bridge.sandbox import MAINTENANCE
from bridge.store import deposits
from bridge.store.deposits import Deposit
from bridge.storefront.errors import StorefrontUnavailableError
from bridge.sync.context import Counts
from bridge.sync.watch import WATCH_MAX, watch
from tests.depositing import KEYS, begin, deposit, kept, sealed
from tests.sync.conftest import World


@pytest.fixture
def watching(world: World) -> World:
    return world.with_rules(Rules(deposit_keys=KEYS))


def look(world: World, seconds: float = 2) -> Counts:
    """Watch some seconds later."""
    world.clock.advance(seconds)
    return watch(world.context, world.source)


def placed(world: World, number: int = 1) -> Deposit:
    """A deposit whose order waits on its pay page."""
    made = deposit(number)
    order_id = world.sandbox.place_order(
        status="pending", fee_lines=[{"name": f"Deposit {made.deposit_id}", "total": "50.00"}]
    )
    world.sandbox.set_tags(order_id, sealed(made), key=TAG_KEY)
    made = made._replace(order_id=order_id)
    begin(world.context.database, made)
    return made


def order_of(made: Deposit) -> int:
    assert made.order_id is not None
    return made.order_id


def now(world: World, made: Deposit) -> Deposit:
    return kept(world.context.database, made)


def test_a_deposit_is_credited_within_seconds_with_no_webhook_and_no_poll(watching: World) -> None:
    made = placed(watching)
    assert look(watching) == {"nothing": 1}
    watching.sandbox.pay(order_of(made))
    assert look(watching) == {"credited": 1}
    assert (watching.balance(), now(watching, made).status) == (5000, Status.CREDITED)


def test_all_deposits_that_are_due_are_looked_at_with_one_request(watching: World) -> None:
    for number in range(5):
        placed(watching, number)
    watching.sandbox.requests.clear()
    assert look(watching) == {"nothing": 5}
    [request] = watching.sandbox.requests
    assert len(request.query["include"].split(",")) == 5


def test_where_nothing_is_due_the_storefront_is_not_asked(watching: World) -> None:
    placed(watching)
    look(watching)
    watching.sandbox.requests.clear()
    assert look(watching, 1) == {}
    assert not watching.sandbox.requests


def test_a_deposit_that_is_done_is_not_looked_at_again(watching: World) -> None:
    made = placed(watching)
    watching.sandbox.pay(order_of(made))
    look(watching)
    watching.sandbox.requests.clear()
    assert look(watching, 3600) == {}
    assert not watching.sandbox.requests


def test_looks_grow_rare_and_come_often_again_when_the_tenant_returns(watching: World) -> None:
    made = placed(watching)
    pauses = []
    for seconds in (2, 5 * 60, 30 * 60, 2 * 3600):
        look(watching, seconds)
        pauses.append((now(watching, made).watch_at or 0) - watching.clock())
    assert pauses == [2 * SECOND, 10 * SECOND, MINUTE, 10 * MINUTE]
    with watching.context.database.write() as tx:
        deposits.hasten(tx, made, watching.clock())
    look(watching, 0)
    assert now(watching, made).watch_at == watching.clock() + 2 * SECOND


def test_an_order_begun_by_link_is_found_among_what_changed_lately(watching: World) -> None:
    made = deposit(mode="cart")
    begin(watching.context.database, made)
    assert look(watching) == {}
    order_id = watching.sandbox.place_order(tenant=None, status="pending")
    watching.sandbox.set_line_tags(order_id, sealed(made), key=TAG_KEY)
    assert look(watching) == {"nothing": 1}
    assert now(watching, made).order_id == order_id
    watching.sandbox.set_status(order_id, "completed")
    look(watching)
    assert watching.balance() == 5000


def test_a_deposit_that_waits_for_a_bank_stays_watched(watching: World) -> None:
    made = placed(watching)
    watching.sandbox.set_status(order_of(made), "on-hold")
    look(watching)
    waiting = now(watching, made)
    assert (waiting.status, waiting.order_status) == (Status.OPEN, "on-hold")
    assert waiting.watch_at is not None


def test_an_order_deleted_for_good_ends_its_deposit(watching: World) -> None:
    made = placed(watching)
    look(watching)
    watching.sandbox.delete_forever(order_of(made))
    look(watching)
    assert now(watching, made).status == Status.CANCELLED


def test_a_storefront_that_is_away_is_noted_and_asked_again_at_the_next_look(
    watching: World,
) -> None:
    made = placed(watching)
    watching.sandbox.pay(order_of(made))
    watching.sandbox.faults.switch_on(MAINTENANCE)
    with pytest.raises(StorefrontUnavailableError):
        look(watching)
    assert watching.state().failing_since == watching.clock()
    watching.sandbox.faults.switch_off()
    look(watching)
    assert (watching.balance(), watching.state().failing_since) == (5000, None)


def test_more_deposits_than_fit_one_look_take_turns(watching: World) -> None:
    late = deposit(0, watch_at=deposit().watch_at)
    many = [deposit(n, mode="cart", watch_at=n) for n in range(1, WATCH_MAX + 1)]
    begin(watching.context.database, late, *many)
    look(watching, HOUR // SECOND)
    assert now(watching, late).watch_at == late.watch_at
    look(watching, 0)
    assert now(watching, late).watch_at != late.watch_at
