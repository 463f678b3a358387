"""Deposits: opened for a tenant, followed until they are in the balance, or called off."""

import json
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field

from bridge.api import asks, auth, ids, moves
from bridge.api.answers import Time, time_or_none
from bridge.api.asks import Amount, Ask, Currency, Metadata, PageAsk, TenantId, WebAddress
from bridge.api.auth import DEPOSIT
from bridge.api.moves import Depositing, Move
from bridge.api.paging import before, page
from bridge.api.problems import ProblemError, documented, invalid
from bridge.api.services import DepositDesk, Desk, DeskHere
from bridge.api.strict import StrictRoute
from bridge.domain import deposit as domain
from bridge.domain.clock import isoformat
from bridge.domain.deposit import PERIODS_MAX, Mode, Status
from bridge.domain.entry import canonical_metadata
from bridge.store import deposits, reports

router = APIRouter(tags=["deposits"], route_class=StrictRoute)

DepositId = Annotated[str, Path(pattern="^dep[a-z2-7]{17}$")]


class DebitPurpose(Ask):
    """A debit that is made when the deposit is in the balance."""

    type: Literal["debit"]
    amount: Amount
    purpose: asks.Purpose
    reference: asks.Reference = ""
    description: asks.Description = ""
    metadata: Metadata = Field(default_factory=dict)


class RequestPurpose(Ask):
    """A payment request that is paid when the deposit is in the balance."""

    type: Literal["payment_request"]
    id: str = Field(max_length=40)


class DepositAsk(Ask):
    """A deposit to open: an `amount` in a `currency`, or a `plan` of the price list."""

    tenant_id: TenantId
    amount: Amount | None = None
    currency: Currency | None = None
    storefront: str | None = Field(default=None, description="The first that can, unless given.")
    plan: str | None = Field(default=None, description="Instead of amount and currency.")
    periods: int = Field(default=1, ge=1, le=PERIODS_MAX, description="How many of the plan.")
    mode: Literal["pay", "checkout", "cart"] | None = None
    return_url: WebAddress | None = Field(default=None, description="Where the tenant goes after.")
    purpose: Annotated[DebitPurpose | RequestPurpose, Field(discriminator="type")] | None = None
    metadata: Metadata = Field(default_factory=dict)


class DepositsAsk(PageAsk):
    """A page of a tenant's deposits."""

    tenant_id: TenantId
    status: Literal["open", "paid", "credited", "expired", "cancelled", "reversed"] | None = None


class Purpose(BaseModel):
    """What a deposit is for. Of a payment request `id` says which, and that says the rest.

    `status` is pending, posted with the entry's id, or declined with the ledger's reason.
    """

    type: Literal["debit", "payment_request"]
    id: str | None
    amount: int | None
    purpose: str | None
    reference: str
    description: str
    metadata: dict[str, str]
    status: str
    reason: str | None
    entry_id: str | None

    @classmethod
    def of(cls, deposit: deposits.Deposit) -> Self:
        """Show a deposit's purpose."""
        meant = domain.Purpose.from_json(deposit.purpose)
        return cls(
            type="payment_request" if meant.request_id else "debit",
            id=meant.request_id or None,
            amount=meant.amount or None,
            purpose=meant.purpose or None,
            reference=meant.reference,
            description=meant.description,
            metadata=json.loads(meant.metadata),
            status=deposit.purpose_status,
            reason=deposit.purpose_reason or None,
            entry_id=deposit.purpose_entry or None,
        )


class Deposit(BaseModel):
    """A deposit. `paid`: the storefront has the money; in the balance it is when `credited`.

    `waiting_for` is payment, bank or storefront while it is under way; `because` says what was
    made of its order.
    """

    id: str
    tenant_id: str
    storefront: str
    mode: str
    status: Status
    amount: int
    bonus: int
    currency: str
    plan: str | None
    periods: int
    paid: bool
    waiting_for: str | None
    because: str
    pay_url: str
    return_url: str | None
    order_id: int | None
    order_status: str | None
    purpose: Purpose | None
    metadata: dict[str, str]
    expires_at: Time
    created_at: Time
    changed_at: Time
    credited_at: Time | None

    @classmethod
    def of(cls, deposit: deposits.Deposit) -> Self:
        """Show a deposit."""
        same = ("tenant_id", "storefront", "mode", "status", "amount", "bonus", "currency")
        return cls(
            **{name: getattr(deposit, name) for name in same},
            id=deposit.deposit_id,
            plan=deposit.plan or None,
            periods=deposit.periods,
            paid=deposit.status in {Status.PAID, Status.CREDITED, Status.REVERSED},
            waiting_for=domain.waiting_for(deposit.status, deposit.order_status),
            because=deposit.because,
            pay_url=deposit.pay_url,
            return_url=deposit.return_url or None,
            order_id=deposit.order_id,
            order_status=deposit.order_status or None,
            purpose=Purpose.of(deposit) if deposit.purpose else None,
            metadata=json.loads(deposit.metadata),
            expires_at=isoformat(deposit.expires_at),
            created_at=isoformat(deposit.created_at),
            changed_at=isoformat(deposit.changed_at),
            credited_at=time_or_none(deposit.credited_at),
        )


class Deposits(BaseModel):
    """A page of deposits."""

    data: list[Deposit]
    next_cursor: str | None


@router.post("/v1/deposits", status_code=201, responses=moves.documented(404, 409, 502))
async def create_deposit(ask: DepositAsk, move: Depositing, request: Request) -> Deposit:
    """Open a deposit; send the tenant to its `pay_url`. Scope: `deposit`, a purpose also `debit`.

    A repeated request answers with the deposit as it stands now and `Idempotent-Replayed: true`.
    """
    if ask.purpose is not None:
        auth.require(request, "debit")
    ids.checked_tenant(move.desk.services, ask.tenant_id)
    _check_either(ask)
    desk = deposit_desk(move.desk)
    asked = _asked(ask, move)
    create = move.desk.services.create_tenants
    deposit, replayed = await move.desk.ask(lambda: desk.open(asked, create_tenant=create))
    if replayed:
        move.response.headers[moves.REPLAYED_HEADER] = "true"
    return Deposit.of(deposit)


@router.get("/v1/deposits", dependencies=[DEPOSIT], responses=documented(404, 422))
async def list_deposits(ask: Annotated[DepositsAsk, Query()], desk: DeskHere) -> Deposits:
    """List a tenant's deposits, newest first. Scope: `deposit`."""
    ids.checked_tenant(desk.services, ask.tenant_id)
    found = await desk.read(
        deposits.of_tenant,
        ask.tenant_id,
        statuses=[ask.status] if ask.status else [],
        before=before(ask.cursor),
        limit=ask.limit + 1,
    )
    if not found:
        await desk.read(reports.tenant, ask.tenant_id)  # no deposits, or no such tenant?
    shown, cursor = page(found, ask.limit, lambda one: [one.created_at, one.deposit_id])
    return Deposits(data=list(map(Deposit.of, shown)), next_cursor=cursor)


@router.get("/v1/deposits/{deposit_id}", dependencies=[DEPOSIT], responses=documented(404, 422))
async def get_deposit(deposit_id: DepositId, desk: DeskHere) -> Deposit:
    """Say how a deposit fares. Scope: `deposit`."""
    return Deposit.of(await desk.read(deposits.get, deposit_id))


@router.post(
    "/v1/deposits/{deposit_id}/cancel",
    dependencies=[DEPOSIT],
    responses=documented(404, 409, 422, 502),
)
async def cancel_deposit(deposit_id: DepositId, desk: DeskHere) -> Deposit:
    """Call a deposit off, also one that was called off or has expired before. Scope: `deposit`.

    One that is paid stays: refund its order at the storefront.
    """
    return Deposit.of(await desk.ask(deposit_desk(desk).cancel, deposit_id))


def deposit_desk(desk: Desk) -> DepositDesk:
    """Return who opens deposits; ProblemError 409 where nobody is configured to."""
    if desk.services.deposits is None:
        raise ProblemError(
            409,
            "deposits_closed",
            "no deposits are configured; set [signing] key_file and [[deposits.currencies]]",
        )
    return desk.services.deposits


def _check_either(ask: DepositAsk) -> None:
    """Raise ProblemError 422 unless there is a plan, or amount and currency."""
    given = {"amount": ask.amount, "currency": ask.currency}
    if ask.plan is None:
        wrong = [(name, "is required without a plan") for name, it in given.items() if it is None]
    else:
        wrong = [(name, "is the plan's") for name, it in given.items() if it is not None]
    if wrong:
        raise invalid(wrong)


def _asked(ask: DepositAsk, move: Move) -> domain.Asked:
    return domain.Asked(
        tenant_id=ask.tenant_id,
        caller=f"api:{move.caller}",
        key=move.key,
        amount=ask.amount,
        currency=ask.currency or "",
        storefront=ask.storefront or "",
        plan=ask.plan or "",
        periods=ask.periods,
        mode=Mode(ask.mode) if ask.mode else None,
        return_url=ask.return_url or "",
        purpose=_meant(ask.purpose) if ask.purpose else None,
        metadata=canonical_metadata(ask.metadata),
    )


def _meant(purpose: DebitPurpose | RequestPurpose) -> domain.Purpose:
    if isinstance(purpose, RequestPurpose):
        return domain.Purpose(request_id=purpose.id)
    return domain.Purpose(
        purpose.amount,
        purpose.purpose,
        purpose.reference,
        purpose.description,
        canonical_metadata(purpose.metadata),
    )
