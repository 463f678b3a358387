"""Adjustments: what an admin changes by hand."""

from fastapi import APIRouter

from bridge.api import ids, moves
from bridge.api.answers import Entry
from bridge.api.asks import AdjustmentAsk
from bridge.api.moves import Adjusting
from bridge.api.strict import StrictRoute
from bridge.domain.entry import Draft, Kind, request_digest

router = APIRouter(tags=["adjustments"], route_class=StrictRoute)


@router.post("/v1/adjustments", status_code=201, responses=moves.documented(404))
async def create_adjustment(ask: AdjustmentAsk, move: Adjusting) -> Entry:
    """Raise or lower a balance, with a reason and who decided it. Scope: `admin`.

    It makes the tenant where the configuration lets deposits do so.
    """
    ids.checked_tenant(move.desk.services, ask.tenant_id)
    draft = Draft(
        kind=Kind.ADJUSTMENT,
        tenant_id=ask.tenant_id,
        currency=ask.currency,
        amount=ask.amount,
        caller=f"api:{move.caller}",
        key=move.key,
        digest=request_digest(
            Kind.ADJUSTMENT, ask.tenant_id, ask.amount, ask.currency, ask.reason, ask.actor
        ),
        contra="adjustments",
        source=f"admin/{ask.actor}",
        description=ask.reason,
        opens_wallet=move.desk.services.create_tenants,
    )
    return Entry.of(await move.post(draft))
