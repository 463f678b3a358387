"""Payment options: how a tenant can pay an amount."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel

from bridge.api.asks import PaymentOptionsAsk
from bridge.api.auth import READ
from bridge.api.ids import TenantHere
from bridge.api.problems import documented
from bridge.api.services import DeskHere
from bridge.store import reports

router = APIRouter(tags=["tenants"], responses=documented(404, 422))


class ByCore(BaseModel):
    """A way to pay that the SaaS core serves itself."""

    handled_by: Literal["core"] = "core"


class Shortfall(BaseModel):
    """What to deposit so that the balance suffices."""

    amount: int
    currency: str


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
    deposit = Shortfall(amount=shortfall, currency=ask.currency) if shortfall else None
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
