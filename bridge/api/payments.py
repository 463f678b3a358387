"""Payment options: how a tenant can pay an amount."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel

from bridge.api.asks import PaymentOptionsAsk
from bridge.api.auth import READ
from bridge.api.ids import TenantHere
from bridge.api.problems import documented
from bridge.api.services import DeskHere, Services
from bridge.domain.deposit import DepositRefusedError, Limits
from bridge.store import reports

router = APIRouter(tags=["tenants"], responses=documented(404, 422))


class ByCore(BaseModel):
    """A way to pay that the SaaS core serves itself."""

    handled_by: Literal["core"] = "core"


class DepositBody(BaseModel):
    """What to send to open a deposit."""

    tenant_id: str
    amount: int
    currency: str


class DepositRequest(BaseModel):
    """The request that opens the deposit; it needs an Idempotency-Key."""

    method: Literal["POST"] = "POST"
    path: Literal["/v1/deposits"] = "/v1/deposits"
    body: DepositBody


class Shortfall(BaseModel):
    """What to deposit so that the balance suffices, and what that brings on top.

    Without a `request`, bridge opens no such deposit.
    """

    amount: int
    currency: str
    bonus: int
    request: DepositRequest | None


class ByBalance(BaseModel):
    """Whether the balance suffices, and what to deposit where it does not."""

    available: int
    sufficient: bool
    shortfall: int
    deposit: Shortfall | None


class PaymentOptions(BaseModel):
    """The ways to pay an amount."""

    amount: int
    currency: str
    card: ByCore
    paypal: ByCore
    balance: ByBalance


@router.get("/v1/tenants/{tenant_id}/payment-options", dependencies=[READ])
async def get_payment_options(
    tenant_id: TenantHere, ask: Annotated[PaymentOptionsAsk, Query()], desk: DeskHere
) -> PaymentOptions:
    """Say how a tenant can pay, and what to deposit if the balance is short. Scope: `read`.

    Cards and PayPal are served by the SaaS core itself.
    """
    wallet = await desk.read(reports.wallet, tenant_id, ask.currency)
    shortfall = max(0, ask.amount - wallet.available)
    deposit = _deposit(desk.services, tenant_id, shortfall, ask.currency) if shortfall else None
    return PaymentOptions(
        amount=ask.amount,
        currency=ask.currency,
        card=ByCore(),
        paypal=ByCore(),
        balance=ByBalance(
            available=wallet.available,
            sufficient=not shortfall,
            shortfall=shortfall,
            deposit=deposit,
        ),
    )


def _deposit(services: Services, tenant_id: str, shortfall: int, currency: str) -> Shortfall:
    """Return the smallest deposit that suffices and may be opened, else the bare shortfall."""
    limits = _limits(services, currency)
    amount = limits.smallest(shortfall) if limits else None
    if limits is None or amount is None:
        return Shortfall(amount=shortfall, currency=currency, bonus=0, request=None)
    body = DepositBody(tenant_id=tenant_id, amount=amount, currency=currency)
    return Shortfall(
        amount=amount,
        currency=currency,
        bonus=limits.bonus(amount),
        request=DepositRequest(body=body),
    )


def _limits(services: Services, currency: str) -> Limits | None:
    if services.deposits is None:
        return None
    try:
        return services.deposits.limits(currency)
    except DepositRefusedError:
        return None
