"""Notices: whom to write to about a tenant's balance, in which language, and below what."""

from typing import Annotated, Self

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, Field

from bridge.api.asks import Ask, Currency, Language
from bridge.api.auth import ADMIN, READ
from bridge.api.ids import TenantHere
from bridge.api.problems import documented
from bridge.api.services import DeskHere, Services
from bridge.api.strict import StrictRoute
from bridge.domain.alert import Threshold
from bridge.domain.clock import Instant
from bridge.domain.mailbox import MAILBOX_MAX, is_mailbox
from bridge.domain.money import AMOUNT_MAX
from bridge.store import alerts, reports
from bridge.store.alerts import Notice
from bridge.store.database import Connection

router = APIRouter(tags=["notices"], route_class=StrictRoute, responses=documented(404, 422))

THRESHOLDS_MAX = 50


def _mailbox(text: str) -> str:
    if not is_mailbox(text):
        raise ValueError("should be one plain e-mail address such as billing@example.com")
    return text


class Mark(Ask):
    """Below what a balance is low: the larger of `below` and what the next renewal takes."""

    currency: Currency
    below: int = Field(default=0, ge=0, le=AMOUNT_MAX, description="In minor units; 0: never.")
    next_renewal: bool = Field(default=False, description="Low where it is not covered, too.")


def _once_each(marks: list[Mark]) -> list[Mark]:
    if len({mark.currency for mark in marks}) < len(marks):
        raise ValueError("should name each currency once")
    return marks


class NoticesAsk(Ask):
    """Whom to tell, and when. What is left out is nobody, and what the configuration says."""

    # Out of every repr: addresses are not logged.
    email: Annotated[str, AfterValidator(_mailbox)] | None = Field(
        default=None, max_length=MAILBOX_MAX, repr=False, examples=["billing@example.com"]
    )
    language: Language | None = None
    thresholds: Annotated[list[Mark], AfterValidator(_once_each)] = Field(
        default=[], max_length=THRESHOLDS_MAX
    )


class Notices(BaseModel):
    """What a tenant is told, and where. For currencies that are not named the configuration's."""

    email: str | None = Field(repr=False)
    language: str | None
    thresholds: list[Mark]

    @classmethod
    def of(cls, notice: Notice) -> Self:
        """Show a tenant's wishes."""
        return cls(
            email=notice.email or None,
            language=notice.language or None,
            thresholds=[
                Mark(currency=code, **mark._asdict())
                for code, mark in sorted(notice.thresholds.items())
            ],
        )


@router.get("/v1/tenants/{tenant_id}/notices", dependencies=[READ])
async def get_notices(tenant_id: TenantHere, desk: DeskHere) -> Notices:
    """Say what a tenant is told, and where. Scope: `read`."""
    return Notices.of(await desk.read(_found, tenant_id))


@router.put(
    "/v1/tenants/{tenant_id}/notices",
    dependencies=[ADMIN],
    responses=documented(400, 413, 415),
)
async def put_notices(tenant_id: TenantHere, ask: NoticesAsk, desk: DeskHere) -> Notices:
    """Say what a tenant is to be told, and where, in place of what was said. Scope: `admin`."""
    thresholds = {
        mark.currency: Threshold(mark.below, mark.next_renewal) for mark in ask.thresholds
    }
    notice = Notice(tenant_id, ask.email or "", ask.language or "", thresholds)
    await desk.write(_keep, notice, desk.services)
    return Notices.of(notice)


@router.delete("/v1/tenants/{tenant_id}/notices", dependencies=[ADMIN])
async def delete_notices(tenant_id: TenantHere, desk: DeskHere) -> Notices:
    """Forget what a tenant is to be told, the address too. Scope: `admin`."""
    await desk.write(_forget, tenant_id, desk.services.clock())
    return Notices.of(Notice(tenant_id))


def _found(tx: Connection, tenant_id: str) -> Notice:
    reports.tenant(tx, tenant_id)
    return alerts.notices(tx, [tenant_id]).get(tenant_id, Notice(tenant_id))


def _keep(tx: Connection, notice: Notice, services: Services) -> None:
    now = services.clock()
    reports.require_tenant(tx, notice.tenant_id, now, create=services.create_tenants)
    alerts.put_notice(tx, notice, now)
    alerts.touch(tx, notice.tenant_id, now)


def _forget(tx: Connection, tenant_id: str, now: Instant) -> None:
    reports.tenant(tx, tenant_id)
    alerts.forget_notice(tx, tenant_id)
    alerts.touch(tx, tenant_id, now)
