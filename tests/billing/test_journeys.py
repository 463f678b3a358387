"""From the question for a deposit to the balance, with no webhook at all."""

from typing import NamedTuple

import pytest

from bridge.domain.clock import parse
from bridge.domain.crediting import Rules
from bridge.domain.deposit import Purpose, Status
from bridge.store import audit, reports
from bridge.store.deposits import Deposit
from bridge.sync.context import Context, Policy, Source
from bridge.sync.poll import poll
from bridge.sync.watch import watch
from tests.billing.conftest import World, asked
from tests.depositing import KEYS, kept


class Journey(NamedTuple):
    """A deposit with an order, and the bridge that looks at it."""

    world: World
    deposit: Deposit
    order_id: int
    context: Context
    source: Source

    def watch(self) -> Deposit:
        self.world.clock.advance(2)
        watch(self.context, self.source)
        return kept(self.world.database, self.deposit)

    def balance(self) -> int:
        with self.world.database.read() as tx:
            assert audit.verify(tx).problems == []
            return reports.wallet(tx, "acme", "EUR").balance


@pytest.fixture
def journey(world: World) -> Journey:
    """A deposit of 200.00 EUR that brings 10.00 on top and is meant for a debit of 19.00."""
    purpose = Purpose(1900, "plan_purchase")
    made, _ = world.deposits().open(asked(amount=20_000, purpose=purpose), create_tenant=True)
    assert made.order_id is not None
    context = Context(world.database, world.leases("test"), world.clock)
    policy = Policy("main", Rules(deposit_keys=KEYS))
    source = Source(world.client, policy, import_from=parse("2026-11-01"))
    return Journey(world, made, made.order_id, context, source)


def test_a_paid_deposit_is_in_the_balance_at_the_next_look_its_purpose_served(
    journey: Journey,
) -> None:
    assert journey.watch().status is Status.OPEN
    journey.world.sandbox.pay(journey.order_id)

    seen = journey.watch()

    assert (seen.status, seen.purpose_status) == (Status.CREDITED, "posted")
    assert journey.balance() == 20_000 + 1000 - 1900


def test_an_order_paid_after_its_deposit_expired_is_credited_all_the_same(
    journey: Journey,
) -> None:
    journey.world.clock.now = journey.deposit.expires_at
    assert journey.world.deposits().expire() == 1
    journey.world.sandbox.pay(journey.order_id)

    journey.world.clock.advance(2)
    poll(journey.context, journey.source)

    assert kept(journey.world.database, journey.deposit).status is Status.CREDITED
    assert journey.balance() == 20_000 + 1000 - 1900


def test_a_bank_transfer_keeps_a_deposit_from_expiring_once_it_was_seen(journey: Journey) -> None:
    journey.world.sandbox.set_status(journey.order_id, "on-hold")
    assert journey.watch().order_status == "on-hold"
    journey.world.clock.now = journey.deposit.expires_at
    asked_before = len(journey.world.sandbox.requests)

    assert journey.world.deposits().expire() == 0

    assert len(journey.world.sandbox.requests) == asked_before
