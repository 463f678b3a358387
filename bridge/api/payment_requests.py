"""Payment requests: what a tenant is asked to pay, by card, by PayPal or from the balance."""

import json
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from bridge.api import asks, ids, moves
from bridge.api.answers import Time
from bridge.api.asks import Amount, Ask, Currency, Metadata, PageAsk, TenantId, WebAddress
from bridge.api.auth import DEBIT
from bridge.api.moves import Debiting, Move
from bridge.api.paging import before, page
from bridge.api.problems import documented
from bridge.api.services import DeskHere
from bridge.api.strict import StrictRoute
from bridge.domain.clock import Instant, isoformat
from bridge.domain.entry import Reason, canonical_metadata, request_digest
from bridge.store import payment_requests, reports
from bridge.store.database import Connection
from bridge.store.payment_requests import PaymentRequest as Kept

router = APIRouter(tags=["payment requests"], route_class=StrictRoute)

RequestId = Annotated[str, Path(pattern="^pay[a-z2-7]{17}$")]
Status = Literal["open", "paid", "cancelled"]


class PaymentRequestAsk(Ask):
    """What a tenant is to pay, and where else than from the balance it can."""

    tenant_id: TenantId
    amount: Amount
    currency: Currency
    purpose: asks.Purpose
    reference: asks.Reference = Field(default="", description="Yours, e.g. an invoice number.")
    description: asks.Description = Field(default="", description="For the tenant to read.")
    metadata: Metadata = Field(default_factory=dict)
    card_url: WebAddress | None = Field(default=None, description="Where it is paid by card.")
    paypal_url: WebAddress | None = Field(default=None, description="Where it is paid by PayPal.")
    return_url: WebAddress | None = Field(default=None, description="Where the tenant goes after.")


class PaymentRequestsAsk(PageAsk):
    """A page of a tenant's payment requests."""

    tenant_id: TenantId
    status: Status | None = None


class PaymentRequest(BaseModel):
    """A payment request; `entry_id` is the debit that paid it from the balance."""

    id: str
    tenant_id: str
    amount: int
    currency: str
    purpose: str
    reference: str
    description: str
    metadata: dict[str, str]
    card_url: str | None
    paypal_url: str | None
    return_url: str | None
    status: Status
    entry_id: str | None
    created_at: Time
    changed_at: Time

    @classmethod
    def of(cls, request: Kept) -> Self:
        """Show a payment request."""
        return cls(
            id=request.request_id,
            tenant_id=request.tenant_id,
            amount=request.amount,
            currency=request.currency,
            purpose=request.purpose,
            reference=request.reference,
            description=request.description,
            metadata=json.loads(request.metadata),
            card_url=request.card_url or None,
            paypal_url=request.paypal_url or None,
            return_url=request.return_url or None,
            status=request.status,
            entry_id=request.entry_id or None,
            created_at=isoformat(request.created_at),
            changed_at=isoformat(request.changed_at),
        )


class PaymentRequests(BaseModel):
    """A page of payment requests."""

    data: list[PaymentRequest]
    next_cursor: str | None


@router.post("/v1/payment-requests", status_code=201, responses=moves.documented(404))
async def create_payment_request(ask: PaymentRequestAsk, move: Debiting) -> PaymentRequest:
    """Ask a tenant to pay, on its page. Scope: `debit`.

    A repeated request answers with the payment request as it stands now and
    `Idempotent-Replayed: true`.
    """
    services = move.desk.services
    ids.checked_tenant(services, ask.tenant_id)
    asked = _asked(ask, move, services.clock())
    kept = await move.desk.write(_keep, asked, create_tenant=services.create_tenants)
    if kept.request_digest != asked.request_digest:
        raise moves.refused(Reason.KEY_REUSED)
    if kept.request_id != asked.request_id:
        move.response.headers[moves.REPLAYED_HEADER] = "true"
    return PaymentRequest.of(kept)


@router.get("/v1/payment-requests", dependencies=[DEBIT], responses=documented(404, 422))
async def list_payment_requests(
    ask: Annotated[PaymentRequestsAsk, Query()], desk: DeskHere
) -> PaymentRequests:
    """List a tenant's payment requests, newest first. Scope: `debit`."""
    ids.checked_tenant(desk.services, ask.tenant_id)
    found = await desk.read(
        payment_requests.of_tenant,
        ask.tenant_id,
        status=ask.status,
        before=before(ask.cursor),
        limit=ask.limit + 1,
    )
    if not found:
        await desk.read(reports.tenant, ask.tenant_id)  # no requests, or no such tenant?
    shown, cursor = page(found, ask.limit, lambda one: [one.created_at, one.request_id])
    return PaymentRequests(data=list(map(PaymentRequest.of, shown)), next_cursor=cursor)


@router.get(
    "/v1/payment-requests/{request_id}", dependencies=[DEBIT], responses=documented(404, 422)
)
async def get_payment_request(request_id: RequestId, desk: DeskHere) -> PaymentRequest:
    """Say how a payment request stands. Scope: `debit`."""
    return PaymentRequest.of(await desk.read(payment_requests.get, request_id))


@router.post(
    "/v1/payment-requests/{request_id}/cancel",
    dependencies=[DEBIT],
    responses=documented(404, 409, 422),
)
async def cancel_payment_request(request_id: RequestId, desk: DeskHere) -> PaymentRequest:
    """Call a payment request off, e.g. once it was paid by card. Scope: `debit`.

    One that was paid from the balance stays paid: 409, refund its debit.
    """
    now = desk.services.clock()
    return PaymentRequest.of(await desk.write(payment_requests.cancel, request_id, now))


def _asked(ask: PaymentRequestAsk, move: Move, now: Instant) -> Kept:
    content = (
        ask.amount,
        ask.currency,
        ask.purpose,
        ask.reference,
        ask.description,
        canonical_metadata(ask.metadata),
        ask.card_url or "",
        ask.paypal_url or "",
        ask.return_url or "",
    )
    return Kept(
        ask.tenant_id,
        payment_requests.new_id(),
        f"api:{move.caller}",
        move.key,
        request_digest("payment_request", ask.tenant_id, *content),
        *content,
        created_at=now,
        changed_at=now,
    )


def _keep(tx: Connection, asked: Kept, *, create_tenant: bool) -> Kept:
    """Keep a payment request, and return it, or the one that was asked for before."""
    reports.require_tenant(tx, asked.tenant_id, asked.created_at, create=create_tenant)
    key = (asked.tenant_id, asked.caller, asked.idempotency_key)
    if (known := payment_requests.asked(tx, *key)) is not None:
        return known
    payment_requests.add(tx, asked)
    return asked
