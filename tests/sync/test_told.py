"""What settling and comparing tell: deposits, held orders, drift, and storefronts gone silent."""

from typing import Any

import pytest

from bridge.domain.clock import DAY
from bridge.domain.crediting import Rules
from bridge.domain.drift import Comparison, Finding, FindingKind
from bridge.domain.event import Happened
from bridge.store import cursors, runs
from bridge.store.leases import Leases
from bridge.sync.context import LEASE_S
from bridge.sync.freshness import look
from bridge.sync.reconcile import abandon, reconcile, start
from tests.depositing import KEYS, begin, deposit
from tests.sync.conftest import World
from tests.sync.test_started import Till, meant
from tests.telling import facts, types

INTERVALS = {"main": 30}


@pytest.fixture
def till(world: World) -> Till:
    return Till(world.with_rules(Rules(deposit_keys=KEYS)))


def told(world: World, family: str) -> list[Happened]:
    """What was told so far of a kind of thing."""
    return [fact for fact in facts(world.context.database) if fact.type.startswith(f"{family}.")]


def names(world: World, family: str) -> list[str]:
    return [name.removeprefix(f"{family}.") for name in types(told(world, family))]


# Deposits


def test_a_deposit_is_told_of_at_each_state_it_comes_to(till: Till) -> None:
    made = deposit(mode="cart", bonus=250, metadata='{"seat":"7"}')
    begin(till.world.context.database, made)
    order_id = till.place_by_link(made, status="pending")
    for status in ("on-hold", "processing", "completed", "refunded"):
        till.world.sandbox.set_status(order_id, status)
        for _ in range(2):
            till.world.hint(order_id)
            till.world.ingest()
    assert names(till.world, "deposit") == ["paid", "credited", "reversed"]
    credited = told(till.world, "deposit")[1]
    assert (credited.tenant_id, credited.occurred_at > made.created_at) == ("acme", True)
    assert credited.data["credited_at"] is not None
    without_times = {k: v for k, v in credited.data.items() if not k.endswith("_at")}
    assert without_times == {
        "id": made.deposit_id,
        "storefront": "main",
        "mode": "cart",
        "status": "credited",
        "amount": 5000,
        "bonus": 250,
        "currency": "EUR",
        "plan": None,
        "periods": 1,
        "order_id": order_id,
        "order_status": "completed",
        "waiting_for": None,
        "metadata": {"seat": "7"},
        "purpose_status": None,
        "purpose_reason": None,
        "purpose_entry_id": None,
    }


def test_a_credited_deposit_is_told_of_with_what_became_of_its_purpose(till: Till) -> None:
    made = meant()
    begin(till.world.context.database, made)
    till.place(made)
    till.world.poll()
    [fact] = told(till.world, "deposit")
    assert (fact.data["purpose_status"], fact.data["purpose_entry_id"]) == ("posted", "acme.EUR.2")


def test_a_deposit_that_is_called_off_at_the_storefront_is_not_told_of(till: Till) -> None:
    made = deposit()
    begin(till.world.context.database, made)
    order_id = till.place(made, status="pending")
    till.world.sandbox.set_status(order_id, "cancelled")
    till.world.hint(order_id)
    till.world.ingest()
    assert told(till.world, "deposit") == []


# Held orders


def test_an_order_is_held_once_for_each_reason_and_released_once(world: World) -> None:
    order_id = world.sandbox.place_order("50.00", tenant="no tenant")

    def tagged(*tenants: str) -> list[str]:
        world.sandbox.set_tags(order_id, *tenants)
        world.hint(order_id)
        world.ingest()
        world.poll()
        return names(world, "order")

    world.poll()
    world.poll()
    assert names(world, "order") == ["held"]
    assert tagged("acme", "globex") == ["held", "held"]
    assert tagged("acme") == ["held", "held", "released"]
    assert tagged("acme") == ["held", "held", "released"]
    first, second, third = (dict(fact.data) for fact in told(world, "order"))
    assert first.pop("because")
    same = {"storefront": "main", "order_id": order_id, "status": "completed"}
    assert first == same | {"reason": "tag_invalid"}
    assert second["reason"] == "tag_conflict"
    assert third == same | {"reason": None, "because": third["because"]}
    assert told(world, "order")[2].tenant_id == "acme"


def test_an_order_that_is_credited_at_once_is_not_told_of(world: World) -> None:
    world.sandbox.place_order("50.00")
    world.poll()
    assert told(world, "order") == []


# Drift


def compare(world: World, **fields: Any) -> str:
    now = world.clock()
    comparison = Comparison("main", now - 30 * DAY, now, **fields)
    return reconcile(world.context, world.source, comparison).run_id


def drift(world: World) -> list[dict[str, Any]]:
    return [dict(fact.data) for fact in told(world, "reconciliation")]


def test_a_comparison_tells_what_it_found(world: World) -> None:
    world.sandbox.place_order("50.00")
    world.sandbox.place_order("7.00", tenant="globex")
    world.sandbox.place_order("3.00", tenant=None)
    world.clock.advance(2)
    dry = compare(world, dry_run=True)
    wet = compare(world)
    compare(world)
    same = {"storefront": "main", "kind": "reconcile", "findings": 2, "amounts": {"EUR": 5700}}
    assert drift(world) == [
        same | {"run_id": dry, "dry_run": True},
        same | {"run_id": wet, "dry_run": False},
    ]
    assert {fact.tenant_id for fact in told(world, "reconciliation")} == {""}


def test_a_sweep_tells_what_the_poll_overlooked(world: World) -> None:
    order_id = world.sandbox.place_order("50.00")
    refund_id = world.sandbox.refund(order_id, "20.00")
    world.clock.advance(400)
    world.poll()
    world.sandbox.delete_refund(order_id, refund_id)
    world.sweep()
    [found] = drift(world)
    assert (found["kind"], found["amounts"]) == ("sweep", {"EUR": 2000})
    world.sweep()
    assert len(drift(world)) == 1


def test_a_sweep_says_nothing_of_what_the_next_poll_would_bring(world: World) -> None:
    world.sandbox.place_order("50.00")
    world.sweep()
    assert (world.balance(), drift(world)) == (5000, []), "nothing was polled yet"
    world.poll()
    world.sandbox.place_order("7.00")
    world.sweep()
    assert (world.balance(), drift(world)) == (5700, [])


def killed(world: World, kind: str, *order_ids: int) -> str:
    """Leave a run as one that was killed does: with what it found, and open."""
    world.clock.advance(1)
    comparison = Comparison("main", 0, world.clock())
    run_id = start(world.context, comparison, kind)
    found = [
        Finding(FindingKind.AMOUNT_MISMATCH, "main", order_id, "acme", "EUR", 500, 300, "")
        for order_id in order_ids
    ]
    with world.context.database.write() as tx:
        runs.add_findings(tx, run_id, found)
    return run_id


def ended(world: World, run_id: str) -> tuple[str, str]:
    with world.context.database.read() as tx:
        run = runs.run(tx, run_id)
    return run.status, run.failure


def test_a_run_that_was_killed_is_closed_and_what_it_found_is_told(world: World) -> None:
    old = world.sandbox.place_order("50.00")
    world.clock.advance(400)
    world.poll()
    new = world.sandbox.place_order("5.00")
    world.clock.advance(2)
    world.poll()
    run, sweep = (killed(world, kind, old, new) for kind in ("reconcile", "sweep"))
    calm = killed(world, "reconcile")
    world.clock.advance(LEASE_S)
    young = killed(world, "reconcile", old)
    for _ in range(2):
        abandon(world.context, [world.source])
    assert {ended(world, one)[0] for one in (run, sweep, calm)} == {"failed"}
    assert ended(world, run)[1] == "the process ended before the run did; start it again"
    assert ended(world, young) == ("running", "")
    same = {"storefront": "main", "dry_run": False}
    assert drift(world) == [
        same | {"run_id": run, "kind": "reconcile", "findings": 2, "amounts": {"EUR": 400}},
        same | {"run_id": sweep, "kind": "sweep", "findings": 1, "amounts": {"EUR": 200}},
    ]


def test_runs_of_a_storefront_that_somebody_reconciles_now_are_left_alone(world: World) -> None:
    run_id = killed(world, "reconcile", 63)
    other = Leases(world.context.database, world.clock, "another process")
    with other.held("reconcile:main", LEASE_S):
        abandon(world.context, [world.source], age_s=0)
        assert (ended(world, run_id), drift(world)) == (("running", ""), [])
    abandon(world.context, [world.source], age_s=0)
    assert (ended(world, run_id)[0], len(drift(world))) == ("failed", 1)


# Silence


def silent(world: World) -> list[str]:
    look(world.context, INTERVALS)
    return names(world, "storefront")


def test_a_storefront_that_was_never_asked_is_not_stale(world: World) -> None:
    assert silent(world) == []


def test_a_storefront_that_falls_silent_is_told_of_once_and_so_is_its_return(
    world: World,
) -> None:
    world.poll()
    read_at = world.state().succeeded_at
    world.clock.advance(900)
    assert silent(world) == []
    world.clock.advance(1)
    assert silent(world) == ["stale"]
    assert silent(world) == ["stale"]
    world.poll()
    assert silent(world) == ["stale", "recovered"]
    assert silent(world) == ["stale", "recovered"]
    stale, recovered = (fact.data for fact in told(world, "storefront"))
    assert stale == {
        "storefront": "main",
        "stale_since": "2026-11-22T12:15:03.000000Z",
        "succeeded_at": "2026-11-22T12:00:02.000000Z",
        "because": "",
    }
    assert (recovered["stale_since"], read_at) == (
        stale["stale_since"],
        world.clock() - 903_000_000,
    )


def test_a_storefront_that_never_answered_is_stale_in_the_end_and_says_why(world: World) -> None:
    with world.context.database.write() as tx:
        cursors.failed(tx, "main", "it refuses the key", world.clock())
    assert silent(world) == []
    world.clock.advance(901)
    assert silent(world) == ["stale"]
    [fact] = told(world, "storefront")
    assert (fact.data["succeeded_at"], fact.data["because"]) == (None, "it refuses the key")


def test_a_storefront_polled_seldom_may_be_silent_for_longer(world: World) -> None:
    world.poll()
    world.clock.advance(36_000)
    look(world.context, {"main": 3600})
    assert told(world, "storefront") == []
    world.clock.advance(1)
    look(world.context, {"main": 3600})
    assert names(world, "storefront") == ["stale"]


def test_a_storefront_whose_crediting_stopped_is_stale_at_once(world: World) -> None:
    world.poll()
    with world.context.database.write() as tx:
        cursors.stop(tx, "main", "ids were given anew", world.clock())
    assert silent(world) == ["stale"]
    with world.context.database.write() as tx:
        cursors.resume(tx, "main")
    assert silent(world) == ["stale", "recovered"]


def test_two_who_look_at_once_tell_once(world: World) -> None:
    world.poll()
    world.clock.advance(901)
    with world.context.database.write() as tx:
        assert cursors.mark_stale(tx, "main", world.clock())
        assert not cursors.mark_stale(tx, "main", world.clock())
        assert cursors.mark_fresh(tx, "main")
        assert not cursors.mark_fresh(tx, "main")
