"""Runs and their findings."""

import pytest

from bridge.domain.drift import Finding, FindingKind
from bridge.domain.errors import NotFoundError
from bridge.store import runs
from bridge.store.database import Connection, Database


def finding(order_id: int, kind: FindingKind = FindingKind.AMOUNT_MISMATCH) -> Finding:
    return Finding(kind, "main", order_id, "acme", "EUR", 500, 300, "edited total")


def test_a_run_is_running_until_it_is_done(database: Database) -> None:
    with database.write() as tx:
        run_id = runs.start(tx, "main", "reconcile", 10, {"since": 5, "dry_run": True})
        begun = runs.run(tx, run_id)
        runs.finish(tx, run_id, 20, {"credited": 3})
    with database.read() as tx:
        ended = runs.run(tx, run_id)
    assert (begun.status, begun.finished_at, begun.request) == (
        "running",
        None,
        {"since": 5, "dry_run": True},
    )
    assert (ended.status, ended.finished_at, ended.counts) == ("done", 20, {"credited": 3})


def test_a_run_with_a_failure_failed(database: Database) -> None:
    with database.write() as tx:
        run_id = runs.start(tx, "main", "poll", 10, {})
        ended = runs.finish(tx, run_id, 20, {}, "the storefront is away")
        assert ended == runs.run(tx, run_id)
        assert ended[3:7] == ("failed", {}, {}, "the storefront is away")


def test_a_run_nobody_began_is_not_found(database: Database) -> None:
    with database.read() as tx, pytest.raises(NotFoundError, match="run_0"):
        runs.run(tx, "run_0")


def test_runs_that_have_not_ended_are_found_by_their_storefront_and_age(
    database: Database,
) -> None:
    def found(tx: Connection, until: int) -> list[str]:
        return [run.run_id for run in runs.unfinished(tx, "main", until)]

    with database.write() as tx:
        first, second = (runs.start(tx, "main", "sweep", now, {}) for now in (10, 11))
        runs.finish(tx, runs.start(tx, "main", "sweep", 9, {}), 12, {})
        runs.start(tx, "other", "sweep", 9, {})
        assert (found(tx, 9), found(tx, 10)) == ([], [first])
        assert found(tx, 11) == [first, second]


def test_the_latest_runs_come_first(database: Database) -> None:
    with database.write() as tx:
        begun = [runs.start(tx, "main", "poll", now, {}) for now in (9, 10**15, 11)]
        latest = [run.run_id for run in runs.recent(tx, 2)]
    assert latest == [begun[1], begun[2]]


def test_findings_are_numbered_across_calls_and_read_in_pages(database: Database) -> None:
    def page(tx: Connection, after: int) -> list[tuple[int, int]]:
        return [(n, found.order_id) for n, found in runs.findings(tx, run_id, after, 2)]

    with database.write() as tx:
        run_id = runs.start(tx, "main", "reconcile", 10, {})
        other = runs.start(tx, "main", "reconcile", 10, {})
        runs.add_findings(tx, run_id, [finding(7), finding(8)])
        runs.add_findings(tx, run_id, [])
        runs.add_findings(tx, run_id, [finding(9, FindingKind.HELD)])
        runs.add_findings(tx, other, [finding(1)])
        assert [page(tx, 0), page(tx, 2), page(tx, 3)] == [[(1, 7), (2, 8)], [(3, 9)], []]
        assert runs.findings(tx, run_id, 2, 2) == [(3, finding(9, FindingKind.HELD))]


def test_old_runs_are_forgotten_with_their_findings(database: Database) -> None:
    with database.write() as tx:
        old = runs.start(tx, "main", "reconcile", 10, {})
        new = runs.start(tx, "main", "reconcile", 20, {})
        for run_id in (old, new):
            runs.add_findings(tx, run_id, [finding(1)])
        assert runs.prune(tx, 20) == 1
        assert [run.run_id for run in runs.recent(tx, 10)] == [new]
        assert runs.findings(tx, old, 0, 10) == []
        assert len(runs.findings(tx, new, 0, 10)) == 1
