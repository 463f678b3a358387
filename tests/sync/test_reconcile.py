"""Reconciling: drift is found, named, and repaired or only reported."""

import pytest

from bridge.domain.clock import DAY
from bridge.domain.drift import Comparison, FindingKind
from bridge.domain.errors import NotFoundError, StorefrontStoppedError
from bridge.store import runs
from bridge.sync.reconcile import Report, reconcile
from tests.sync.conftest import World


def compare(world: World, *, order_id: int | None = None, dry_run: bool = False) -> Report:
    world.clock.advance(2)
    now = world.clock()
    comparison = Comparison("main", now - 30 * DAY, now, order_id=order_id, dry_run=dry_run)
    return reconcile(world.context, world.source, comparison)


def kinds(report: Report) -> list[tuple[FindingKind, int]]:
    return [(finding.kind, finding.drift) for finding in report.findings]


def test_a_dry_run_names_the_drift_and_posts_nothing(world: World) -> None:
    world.sandbox.place_order("50.00")
    report = compare(world, dry_run=True)
    assert kinds(report) == [(FindingKind.PAID_NOT_CREDITED, 5000)]
    assert world.entries() == []


def test_a_run_repairs_the_drift_and_the_next_finds_none(world: World) -> None:
    world.sandbox.place_order("50.00")
    assert kinds(compare(world)) == [(FindingKind.PAID_NOT_CREDITED, 5000)]
    assert world.balance() == 5000
    assert compare(world).findings == []


def test_each_kind_of_drift_has_its_name(world: World) -> None:
    edited, cancelled, refunded, gone, moved = (
        world.sandbox.place_order(f"{total}.00") for total in (10, 20, 30, 40, 50)
    )
    world.poll()
    world.sandbox.edit_total(edited, "11.00")
    world.sandbox.set_status(cancelled, "cancelled")
    world.sandbox.refund(refunded, "5.00")
    world.sandbox.delete_forever(gone)
    world.sandbox.set_tags(moved, "globex")
    two_tags = world.sandbox.place_order("60.00")
    world.sandbox.set_tags(two_tags, "acme", "globex")
    found = {(f.kind, f.order_id, f.tenant_id, f.drift) for f in compare(world).findings}
    assert found == {
        (FindingKind.AMOUNT_MISMATCH, edited, "acme", 100),
        (FindingKind.CREDITED_NOT_PAID, cancelled, "acme", -2000),
        (FindingKind.REFUND_NOT_REVERSED, refunded, "acme", -500),
        (FindingKind.VANISHED, gone, "acme", -4000),
        (FindingKind.CREDITED_NOT_PAID, moved, "acme", -5000),
        (FindingKind.PAID_NOT_CREDITED, moved, "globex", 5000),
        (FindingKind.HELD, two_tags, "", 0),
    }


def test_one_order_can_be_reconciled_alone(world: World) -> None:
    first, _second = world.sandbox.place_order("50.00"), world.sandbox.place_order("20.00")
    compare(world, order_id=first)
    assert world.balance() == 5000


def test_an_order_that_exists_nowhere_is_an_error(world: World) -> None:
    with pytest.raises(NotFoundError, match="4711"):
        compare(world, order_id=4711)


def test_a_storefront_that_comes_back_empty_reverses_nothing_until_an_admin_says_so(
    world: World,
) -> None:
    placed = [world.sandbox.place_order("10.00") for _ in range(6)]
    world.poll()
    for order_id in placed:
        world.sandbox.delete_forever(order_id)
    with pytest.raises(StorefrontStoppedError, match="--accept-vanished"):
        world.sweep()
    assert world.balance() == 6000
    now = world.clock()
    accepted = Comparison("main", now - DAY, now, accept_vanished=True)
    reconcile(world.context, world.source, accepted)
    assert world.balance() == 0


def test_a_run_and_its_findings_stay_on_record(world: World) -> None:
    world.sandbox.place_order("50.00")
    report = compare(world)
    with world.context.database.read() as tx:
        run = runs.run(tx, report.run_id)
        [(number, finding)] = runs.findings(tx, report.run_id, 0, 10)
    assert (run.status, run.kind, run.counts) == ("done", "reconcile", {"credited": 1})
    assert (number, finding) == (1, report.findings[0])


def test_a_failed_run_says_why(world: World) -> None:
    with pytest.raises(NotFoundError):
        compare(world, order_id=4711)
    with world.context.database.read() as tx:
        [run] = runs.recent(tx, 1)
    assert run.status == "failed"
    assert "4711" in run.failure


def test_a_held_order_is_reported_every_time(world: World) -> None:
    order_id = world.sandbox.place_order("50.00")
    world.sandbox.set_tags(order_id, "acme", "globex")
    assert kinds(compare(world)) == kinds(compare(world)) == [(FindingKind.HELD, 0)]
