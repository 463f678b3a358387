"""Reconciliations: compare a window of orders with the ledger, now."""

from typing import Annotated, Any, Self

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel

from bridge.api.answers import Time, time_or_none
from bridge.api.asks import PageAsk, ReconciliationAsk
from bridge.api.auth import ADMIN, READ
from bridge.api.orders import known_storefront
from bridge.api.paging import page, place
from bridge.api.problems import documented, invalid
from bridge.api.services import DeskHere
from bridge.api.strict import StrictRoute
from bridge.domain.clock import DAY, Instant, isoformat
from bridge.domain.drift import Comparison, FindingKind
from bridge.domain.drift import Finding as Drifted
from bridge.store import runs
from bridge.store.runs import Run

WINDOW: Instant = 30 * DAY
"""How far back a reconciliation looks unless told."""

router = APIRouter(
    tags=["reconciliations"], route_class=StrictRoute, responses=documented(404, 422)
)


class Finding(BaseModel):
    """An order that has drifted: `drift` is target less posted."""

    kind: FindingKind
    storefront: str
    order_id: int
    tenant_id: str
    currency: str
    target: int
    posted: int
    drift: int
    detail: str

    @classmethod
    def of(cls, finding: Drifted) -> Self:
        """Show a finding."""
        return cls(**finding._asdict(), drift=finding.drift)


class Reconciliation(BaseModel):
    """A run. `counts` are orders by verdict; `failure` says why it failed, if it did.

    `status` is running, done or failed; failed within minutes, too, where its process was killed.
    """

    id: str
    storefront: str
    kind: str
    status: str
    request: dict[str, Any]
    counts: dict[str, int]
    failure: str
    started_at: Time
    finished_at: Time | None

    @classmethod
    def of(cls, run: Run, **more: Any) -> Self:
        """Show a run."""
        return cls(
            id=run.run_id,
            storefront=run.storefront,
            kind=run.kind,
            status=run.status,
            request={name: _readable(name, value) for name, value in run.request.items()},
            counts=dict(run.counts),
            failure=run.failure,
            started_at=isoformat(run.started_at),
            finished_at=time_or_none(run.finished_at),
            **more,
        )


class ReconciliationWithFindings(Reconciliation):
    """A run and a page of what it found."""

    findings: list[Finding]
    next_cursor: str | None


def _readable(name: str, value: Any) -> Any:
    return isoformat(value) if name in {"since", "until"} and value is not None else value


@router.post(
    "/v1/reconciliations",
    status_code=202,
    dependencies=[ADMIN],
    responses=documented(400, 409, 413, 415),
)
async def create_reconciliation(
    ask: ReconciliationAsk, desk: DeskHere, response: Response
) -> Reconciliation:
    """Start to compare orders with the ledger, and to post the drift. Scope: `admin`.

    Needs no Idempotency-Key: the ledger converges on the orders however often it is compared.
    """
    comparison = _comparison(ask, desk.services.clock())
    known_storefront(desk.services, ask.storefront)
    run_id = await desk.call(desk.services.reconcile, comparison)
    response.headers["Location"] = f"/v1/reconciliations/{run_id}"
    return Reconciliation.of(await desk.read(runs.run, run_id))


@router.get("/v1/reconciliations/{run_id}", dependencies=[READ])
async def get_reconciliation(
    run_id: Annotated[str, Path(pattern="^run_[0-9a-f]{1,64}$")],
    ask: Annotated[PageAsk, Query()],
    desk: DeskHere,
) -> ReconciliationWithFindings:
    """Return a reconciliation and a page of what it found. Scope: `read`."""
    after = place(ask.cursor, int)[0] if ask.cursor else 0
    run = await desk.read(runs.run, run_id)
    found = await desk.read(runs.findings, run.run_id, after, ask.limit + 1)
    numbered, cursor = page(found, ask.limit, lambda row: [row[0]])
    findings = [Finding.of(finding) for _, finding in numbered]
    return ReconciliationWithFindings.of(run, findings=findings, next_cursor=cursor)


def _comparison(ask: ReconciliationAsk, now: Instant) -> Comparison:
    until = now if ask.until is None else ask.until
    since = until - WINDOW if ask.since is None else ask.since
    if since >= until:
        raise invalid([("since", "should be before until")])
    return Comparison(ask.storefront, since, until, ask.order_id, ask.dry_run, ask.accept_vanished)
