"""Holds: reserve now, take or release later."""

from fastapi import APIRouter

from bridge.api import ids, moves
from bridge.api.answers import Hold
from bridge.api.asks import CaptureAsk, HoldAsk, VoidAsk
from bridge.api.auth import DEBIT
from bridge.api.debits import CONTRA
from bridge.api.moves import Debiting, Move, Voiding
from bridge.api.problems import documented
from bridge.api.services import Desk, DeskHere
from bridge.api.strict import StrictRoute
from bridge.domain.clock import SECOND
from bridge.domain.entry import Draft, EntryId, Kind, canonical_metadata, request_digest
from bridge.store import reports

router = APIRouter(tags=["holds"], route_class=StrictRoute)


@router.post("/v1/holds", status_code=201, responses=moves.documented(402, 404))
async def create_hold(ask: HoldAsk, move: Debiting) -> Hold:
    """Reserve money: the balance stays, the available part shrinks. Scope: `debit`.

    A repeated request answers with the hold as it stands now and `Idempotent-Replayed: true`.
    """
    ids.checked_tenant(move.desk.services, ask.tenant_id)
    placed = await move.post(_draft(ask, move))
    return Hold.of(await move.desk.read(reports.hold, EntryId.parse(placed.id)))


@router.get("/v1/holds/{hold_id}", dependencies=[DEBIT], responses=documented(404, 422))
async def get_hold(hold_id: str, desk: DeskHere) -> Hold:
    """Say how a hold stands. Scope: `debit`.

    One whose time has run out is `open` until it was expired, within a minute; it can no longer
    be captured.
    """
    return Hold.of(await _hold(desk, hold_id))


@router.post(
    "/v1/holds/{hold_id}/capture",
    status_code=201,
    responses=moves.documented(402, 404, 409),
)
async def capture_hold(
    hold_id: str,
    move: Debiting,
    ask: CaptureAsk = CaptureAsk(),  # noqa: B008 # frozen by never being written to
) -> Hold:
    """Turn a hold into a debit; what is not taken becomes available again. Scope: `debit`."""
    hold = await _hold(move.desk, hold_id)
    digest = request_digest(Kind.CAPTURE, hold_id, ask.amount)
    draft = _end(hold, Kind.CAPTURE, move)._replace(amount=ask.amount, digest=digest)
    end = await move.post(draft, reserved=hold.entry.held)
    return Hold.of(reports.ended(hold.entry, end))


@router.post(
    "/v1/holds/{hold_id}/void",
    status_code=201,
    responses=moves.documented(404, 409),
)
async def void_hold(
    hold_id: str,
    move: Voiding,
    _ask: VoidAsk = VoidAsk(),  # noqa: B008 # frozen by having no fields
) -> Hold:
    """Release a hold. Scope: `debit`. Without an Idempotency-Key, the hold itself is the key."""
    hold = await _hold(move.desk, hold_id)
    keyed = move._replace(key=move.key or f"void/{hold_id}")
    end = await move.post(_end(hold, Kind.VOID, keyed))
    return Hold.of(reports.ended(hold.entry, end))


async def _hold(desk: Desk, hold_id: str) -> reports.Hold:
    return await desk.read(reports.hold, ids.place_of(desk.services, hold_id))


def _draft(ask: HoldAsk, move: Move) -> Draft:
    metadata = canonical_metadata(ask.metadata)
    return Draft(
        kind=Kind.HOLD,
        tenant_id=ask.tenant_id,
        currency=ask.currency,
        amount=ask.amount,
        caller=f"api:{move.caller}",
        key=move.key,
        # The duration, not the time it leads to: a repeated request comes later.
        digest=request_digest(
            Kind.HOLD,
            ask.tenant_id,
            ask.amount,
            ask.currency,
            ask.expires_in_s,
            ask.reference,
            ask.description,
            metadata,
        ),
        contra=CONTRA,
        source=f"api/{move.caller}",
        reference=ask.reference,
        description=ask.description,
        metadata=metadata,
        expires_at=move.desk.services.clock() + ask.expires_in_s * SECOND,
    )


def _end(hold: reports.Hold, kind: Kind, move: Move) -> Draft:
    """Return the draft that ends a hold; it carries the hold's texts into the statement."""
    placed = hold.entry
    return Draft(
        kind=kind,
        tenant_id=placed.tenant_id,
        currency=placed.currency,
        amount=None,
        caller=f"api:{move.caller}",
        key=move.key,
        digest=request_digest(kind, placed.id),
        contra=CONTRA,
        source=f"api/{move.caller}",
        reference=placed.reference,
        description=placed.description,
        metadata=placed.metadata,
        related_version=placed.version,
    )
