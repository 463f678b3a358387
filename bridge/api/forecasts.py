"""Forecasts: what renewals will take, until when a balance lasts, and what carries it on."""

from collections.abc import Mapping
from typing import Annotated, NamedTuple, Self

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from bridge.api.answers import Time, time_or_none
from bridge.api.asks import Ask, Currency, Digits
from bridge.api.asks import Time as TimeAsked
from bridge.api.auth import READ
from bridge.api.ids import TenantHere
from bridge.api.problems import documented, invalid
from bridge.api.services import DeskHere
from bridge.api.strict import StrictRoute
from bridge.domain.clock import Instant, isoformat
from bridge.domain.forecast import Forecast, forecast
from bridge.domain.renewal import Renewal, Status, months_later
from bridge.store import renewals, reports
from bridge.store.database import Connection

MONTHS_MAX = 36
"""How far a forecast looks."""

RENEWALS_MAX = 5000
"""Renewals of a tenant that a forecast looks at, ended ones included."""

AHEAD_MAX = 2
"""Coming periods of each renewal that may have been paid before."""

router = APIRouter(tags=["renewals"], route_class=StrictRoute)


class Ahead(NamedTuple):
    """A tenant's renewals that have not ended, and the forecast of each of its currencies."""

    renewals: list[Renewal]
    forecasts: dict[str, Forecast]


class ForecastAsk(Ask):
    """How far to look."""

    months: Annotated[int, Digits, Field(ge=1, le=MONTHS_MAX)] = 12
    currency: Currency | None = Field(default=None, description="All unless given.")
    carry_to: TimeAsked | None = Field(
        default=None, description="Say what must be deposited now to carry to this time."
    )


class Coming(BaseModel):
    """A debit to come.

    `left` is what is available after it, negative where it does not suffice; `deposit` what must be
    deposited now for it and all before it.
    """

    due_at: Time
    reference: str
    period: str
    amount: int
    left: int
    deposit: int


class CurrencyForecast(BaseModel):
    """The forecast of one wallet up to `until`.

    `deposit` carries to there, `deposit_to_carry` to `carry_to`, where that was asked for; both are
    0 where nothing is missing. `runs_out_at` is when the first debit finds too little.
    """

    currency: str
    available: int
    until: Time
    runs_out_at: Time | None
    deposit: int
    deposit_to_carry: int | None
    coming: list[Coming]

    @classmethod
    def of(cls, currency: str, seen: Forecast, carry_to: Instant | None) -> Self:
        """Show a forecast; what carries further than it looks is not known."""
        return cls(
            currency=currency,
            available=seen.available,
            until=isoformat(seen.until),
            runs_out_at=time_or_none(seen.runs_out_at),
            deposit=seen.deposit_until(seen.until),
            deposit_to_carry=(
                seen.deposit_until(carry_to) if carry_to and carry_to <= seen.until else None
            ),
            coming=[
                Coming(**one._asdict() | {"due_at": isoformat(one.due_at)}) for one in seen.coming
            ],
        )


class TenantForecast(BaseModel):
    """The forecasts of a tenant's wallets, in currency order."""

    tenant_id: str
    data: list[CurrencyForecast]

    @classmethod
    def of(
        cls, tenant_id: str, forecasts: Mapping[str, Forecast], carry_to: Instant | None
    ) -> Self:
        """Show the forecasts of some currencies."""
        data = [CurrencyForecast.of(*item, carry_to) for item in forecasts.items()]
        return cls(tenant_id=tenant_id, data=data)


@router.get("/v1/tenants/{tenant_id}/forecast", dependencies=[READ], responses=documented(404, 422))
async def get_forecast(
    tenant_id: TenantHere, ask: Annotated[ForecastAsk, Query()], desk: DeskHere
) -> TenantForecast:
    """Say what the renewals that bridge debits will take, and until when the balance lasts.

    Scope: `read`. Of more than 1000 debits in a currency, `until` is when the last of these is due.
    """
    now = desk.services.clock()
    until = months_later(now, ask.months)
    if ask.carry_to is not None and not now <= ask.carry_to <= until:
        raise invalid([("carry_to", "should be a time from now on, within these months")])
    found = (await desk.read(ahead, tenant_id, until)).forecasts
    if not found:
        await desk.read(reports.tenant, tenant_id)  # nothing ahead, or no such tenant?
    asked = {one: seen for one, seen in found.items() if ask.currency in {None, one}}
    return TenantForecast.of(tenant_id, asked, ask.carry_to)


def ahead(tx: Connection, tenant_id: str, until: Instant) -> Ahead:
    """Look ahead up to a time."""
    known = renewals.of_tenant(tx, tenant_id, limit=RENEWALS_MAX)
    going_on = [renewal for renewal in known if renewal.status != Status.ENDED]
    paid = renewals.paid_ahead(tx, going_on, until, AHEAD_MAX)
    available = {wallet.currency: wallet.available for wallet in reports.wallets(tx, tenant_id)}
    forecasts = {
        currency: forecast(
            available.get(currency, 0),
            [renewal for renewal in going_on if renewal.currency == currency],
            until,
            paid,
        )
        for currency in sorted({*available, *(renewal.currency for renewal in going_on)})
    }
    return Ahead(going_on, forecasts)
