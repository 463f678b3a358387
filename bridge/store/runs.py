"""Runs and what they found."""

import json
import secrets
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, func, insert, select, update

from bridge.domain.clock import Instant
from bridge.domain.drift import Finding, FindingKind
from bridge.domain.errors import NotFoundError
from bridge.store import tables

RUNS = tables.table(tables.Run)
FINDINGS = tables.table(tables.Finding)


class Run(NamedTuple):
    """One execution. `status` is running, done or failed; `counts` are orders by verdict."""

    run_id: str
    storefront: str
    kind: str
    status: str
    request: Mapping[str, Any]
    counts: Mapping[str, int]
    failure: str
    started_at: Instant
    finished_at: Instant | None


def start(
    tx: Connection, storefront: str, kind: str, now: Instant, request: Mapping[str, Any]
) -> str:
    """Record a run that begins, and return its id; ids sort by time."""
    run_id = f"run_{now:016x}{secrets.token_hex(3)}"
    row = {
        "run_id": run_id,
        "storefront": storefront,
        "kind": kind,
        "status": "running",
        "request_json": json.dumps(dict(request)),
        "counts_json": "{}",
        "failure": "",
        "started_at": now,
        "finished_at": None,
    }
    tx.execute(insert(RUNS).values(row))
    return run_id


def finish(
    tx: Connection, run_id: str, now: Instant, counts: Mapping[str, int], failure: str = ""
) -> Run:
    """Record a run's end, and return it as it is then; with a failure it failed."""
    values = {
        "status": "failed" if failure else "done",
        "counts_json": json.dumps(dict(counts)),
        "failure": failure,
        "finished_at": now,
    }
    tx.execute(update(RUNS).where(RUNS.c.run_id == run_id).values(values))
    return run(tx, run_id)


def unfinished(tx: Connection, storefront: str, until: Instant) -> list[Run]:
    """Return a storefront's runs that began until an instant and have not ended, oldest first."""
    running = (RUNS.c.storefront == storefront, RUNS.c.status == "running")
    query = select(RUNS).where(*running, RUNS.c.started_at <= until)
    return [_run(row) for row in tx.execute(query.order_by(RUNS.c.run_id))]


def add_findings(tx: Connection, run_id: str, findings: Iterable[Finding]) -> None:
    """Add to what a run found."""
    query = select(func.count()).select_from(FINDINGS).where(FINDINGS.c.run_id == run_id)
    before = tx.execute(query).scalar_one()
    rows = [
        finding._asdict() | {"run_id": run_id, "number": number}
        for number, finding in enumerate(findings, before + 1)
    ]
    if rows:
        tx.execute(insert(FINDINGS), rows)


def run(tx: Connection, run_id: str) -> Run:
    """Return a run; NotFoundError where there is none."""
    row = tx.execute(select(RUNS).where(RUNS.c.run_id == run_id)).first()
    if row is None:
        raise NotFoundError(f"no run {run_id!r}")
    return _run(row)


def recent(tx: Connection, limit: int, **where: str) -> list[Run]:
    """Return the latest runs, newest first; `where` names columns and their values."""
    query = select(RUNS).where(*(RUNS.c[name] == value for name, value in where.items()))
    return [_run(row) for row in tx.execute(query.order_by(RUNS.c.run_id.desc()).limit(limit))]


def findings(
    tx: Connection, run_id: str, after: int = 0, limit: int | None = None
) -> list[tuple[int, Finding]]:
    """Return up to `limit` numbered findings of a run, beginning behind number `after`."""
    query = select(FINDINGS).where(FINDINGS.c.run_id == run_id, FINDINGS.c.number > after)
    rows = tx.execute(query.order_by(FINDINGS.c.number).limit(limit))
    return [(row.number, Finding(FindingKind(row.kind), *row[3:])) for row in rows]


def prune(tx: Connection, before: Instant) -> int:
    """Forget runs that began before an instant; returns how many."""
    old = select(RUNS.c.run_id).where(RUNS.c.started_at < before)
    tx.execute(delete(FINDINGS).where(FINDINGS.c.run_id.in_(old)))
    return tx.execute(delete(RUNS).where(RUNS.c.started_at < before)).rowcount


def _run(row: Any) -> Run:
    return Run(
        row.run_id,
        row.storefront,
        row.kind,
        row.status,
        json.loads(row.request_json),
        json.loads(row.counts_json),
        row.failure,
        row.started_at,
        row.finished_at,
    )
