"""Debits: one, many, and back."""

from typing import Any

from fastapi import APIRouter

from bridge.api import ids, moves, problems
from bridge.api.answers import BatchOutcome, BatchOutcomes, Entry
from bridge.api.asks import DebitAsk, DebitBatchAsk, PlainDebit, RefundAsk
from bridge.api.auth import DebitCaller
from bridge.api.moves import Debiting, Move
from bridge.api.problems import documented
from bridge.api.services import DeskHere
from bridge.api.strict import StrictRoute
from bridge.domain import renewal
from bridge.domain.entry import Draft, Kind, Outcome, canonical_metadata, request_digest
from bridge.store import shown

CONTRA = "plans"
"""The other side of every debit: what the SaaS core sells."""

router = APIRouter(tags=["debits"], route_class=StrictRoute)


@router.post("/v1/debits", status_code=201, responses=moves.documented(402, 404))
async def create_debit(ask: DebitAsk, move: Debiting) -> Entry:
    """Take money from a balance, if as much is available. Scope: `debit`.

    A repeated request answers 201 with its first entry and `Idempotent-Replayed: true`. A declined
    one leaves no trace: the same key may succeed after a deposit.
    """
    ids.checked_tenant(move.desk.services, ask.tenant_id)
    return Entry.of(await move.post(draft(ask, move.caller, move.key)))


@router.post("/v1/debits/batch", responses=documented(400, 413, 415, 422))
async def create_debits(ask: DebitBatchAsk, caller: DebitCaller, desk: DeskHere) -> BatchOutcomes:
    """Make up to 1000 debits together; each is posted or declined for itself. Scope: `debit`.

    A malformed debit refuses the whole batch, and nothing is posted.
    """
    for n, debit in enumerate(ask.debits):
        ids.checked_tenant(desk.services, debit.tenant_id, f"debits[{n}].tenant_id")
    drafts = [draft(debit, caller, debit.idempotency_key) for debit in ask.debits]
    data = map(became, drafts, await desk.post(drafts))
    return BatchOutcomes(data=[BatchOutcome(**outcome) for outcome in data])


@router.post("/v1/debits/{entry_id}/refunds", status_code=201, responses=moves.documented(404))
async def refund_debit(entry_id: str, ask: RefundAsk, move: Debiting) -> Entry:
    """Give a debit or a capture back to its balance, in whole or in parts. Scope: `debit`."""
    return Entry.of(await move.post(_refund(entry_id, ask, move)))


def draft(ask: DebitAsk | PlainDebit, caller: str, key: str) -> Draft:
    """Return the draft that a debit asks for; what it leaves out is empty.

    One that pays a period of a renewal has the key of that period, whoever asks for it.
    """
    reference, description = ask.reference or "", ask.description or ""
    metadata = canonical_metadata(ask.metadata or {})
    asked = Draft(
        kind=Kind.DEBIT,
        tenant_id=ask.tenant_id,
        currency=ask.currency,
        amount=ask.amount,
        caller=f"api:{caller}",
        key=key,
        digest=request_digest(
            Kind.DEBIT,
            ask.tenant_id,
            ask.amount,
            ask.currency,
            ask.purpose,
            reference,
            description,
            metadata,
        ),
        contra=CONTRA,
        source=f"api/{caller}/{ask.purpose}",
        reference=reference,
        description=description,
        metadata=metadata,
    )
    if not ask.period:
        return asked
    return asked._replace(
        caller=renewal.CALLER,
        key=renewal.key(reference, ask.period),
        digest=renewal.digest(reference, ask.period),
    )


def _refund(entry_id: str, ask: RefundAsk, move: Move) -> Draft:
    place = ids.place_of(move.desk.services, entry_id)
    return Draft(
        kind=Kind.DEBIT_REFUND,
        tenant_id=place.tenant_id,
        currency=place.currency,
        amount=ask.amount,
        caller=f"api:{move.caller}",
        key=move.key,
        digest=request_digest(Kind.DEBIT_REFUND, entry_id, ask.amount, ask.reason),
        contra=CONTRA,
        source=f"api/{move.caller}",
        description=ask.reason,
        related_version=place.version,
    )


def became(draft: Draft, outcome: Outcome) -> dict[str, Any]:
    """Return the members of a `BatchOutcome`."""
    if outcome.entry is None:
        problem = problems.shape(moves.declined(draft, outcome))
        return {"status": outcome.status, "entry": None, "problem": problem}
    return {"status": outcome.status, "entry": shown.entry(outcome.entry), "problem": None}
