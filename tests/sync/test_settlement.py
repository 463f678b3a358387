"""Orders that are credited pay overdue renewals, after what their own deposit was meant for."""

from bridge.domain.clock import DAY
from bridge.domain.crediting import Rules
from bridge.domain.deposit import TAG_KEY, Purpose
from bridge.domain.renewal import Status, failed
from tests.depositing import KEYS, begin, deposit, sealed
from tests.renewing import counted, keep, kept, renewal
from tests.sync.conftest import World


def overdue(world: World) -> None:
    """Let a renewal of acme's over 19.00 EUR be overdue since yesterday."""
    yesterday = world.clock() - DAY
    short = failed(renewal(due_at=yesterday), "insufficient_balance", yesterday)
    keep(world.context.database, short)


def test_a_completed_order_pays_an_overdue_renewal(world: World) -> None:
    overdue(world)
    world.sandbox.place_order("50.00", tenant="acme")
    world.poll()
    assert world.entries() == [5000, -1900]
    assert kept(world.context.database).status == Status.ACTIVE
    assert counted(world.context.database)["paid"] == 1


def test_what_a_deposit_was_meant_for_comes_first(world: World) -> None:
    overdue(world)
    purpose = Purpose(4000, "plan_purchase", "order-7", "Pro for a month")
    made = deposit(purpose=purpose.as_json(), purpose_status="pending")
    begin(world.context.database, made)
    fee = {"name": f"Deposit {made.deposit_id}", "total": "50.00", "tax_status": "none"}
    order_id = world.sandbox.place_order(tenant="acme", status="completed", fee_lines=[fee])
    world.sandbox.set_tags(order_id, sealed(made), key=TAG_KEY)
    world.with_rules(Rules(deposit_keys=KEYS)).poll()
    assert world.entries() == [5000, -4000]
    assert kept(world.context.database).status == Status.OVERDUE
