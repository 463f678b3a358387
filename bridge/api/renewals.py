"""Renewals: agreed, looked at, paid by hand, ended."""

import json
from typing import Annotated, Self

from fastapi import APIRouter, Path, Query, Response
from pydantic import AfterValidator, BaseModel, Field

from bridge.api import ids, moves
from bridge.api.answers import Entry, Time, time_or_none
from bridge.api.asks import (
    Amount,
    Ask,
    Currency,
    Description,
    Metadata,
    PageAsk,
    Period,
    RenewalReference,
    TenantId,
    TimeZone,
)
from bridge.api.asks import Time as TimeAsked
from bridge.api.auth import DEBIT, READ
from bridge.api.ids import TenantHere
from bridge.api.moves import Debiting
from bridge.api.paging import page, place
from bridge.api.problems import ProblemError, documented
from bridge.api.services import Desk, DeskHere, RenewalDesk
from bridge.api.strict import StrictRoute
from bridge.domain import renewal as domain
from bridge.domain.clock import Instant, isoformat
from bridge.domain.entry import REPLAYED, canonical_metadata
from bridge.domain.money import AMOUNT_MAX
from bridge.domain.renewal import Status, Unit
from bridge.store import renewals, reports
from bridge.store.renewal_payments import ByHand

UNITS_MAX = 120
"""Days, weeks, months or years in an interval."""

PRIORITY_MAX = 1000
RETRIES_MAX = 20
RETRY_HOURS_MAX = 90 * 24
"""How long after the first failure the last retry may be."""

router = APIRouter(tags=["renewals"], route_class=StrictRoute)

ReferenceHere = Annotated[RenewalReference, Path()]


def _rising(hours: list[int]) -> list[int]:
    if hours != sorted(set(hours)):
        raise ValueError("should be hours after the first failure, each later than the one before")
    return hours


class Interval(Ask):
    """How often something is renewed: every `count` units."""

    unit: Unit = Field(strict=False)  # since JSON has texts for it
    count: int = Field(ge=1, le=UNITS_MAX)


class RenewalAsk(Ask):
    """What a tenant pays again and again."""

    tenant_id: TenantId
    amount: Amount
    currency: Currency
    interval: Interval
    next_due_at: TimeAsked = Field(
        description="When the next period is due. Later ones are counted from here, so that the "
        "31st stays the 31st wherever a month has one. Sent again unchanged, periods go on."
    )
    timezone: TimeZone = "UTC"
    auto_renew: bool = Field(default=True, description="False: the tenant pays by hand.")
    max_amount: Amount | None = Field(
        default=None, description="What bridge may debit by itself, as the tenant agreed to."
    )
    keep_at_least: int = Field(
        default=0, ge=0, le=AMOUNT_MAX, description="What must stay available after the debit."
    )
    priority: int = Field(
        default=100, ge=0, le=PRIORITY_MAX, description="Among those due together, lowest first."
    )
    retries: Annotated[
        list[Annotated[int, Field(ge=1, le=RETRY_HOURS_MAX)]],
        Field(max_length=RETRIES_MAX),
        AfterValidator(_rising),
    ] = Field(default=[24, 72, 168], description="Hours after the first failure.")
    grace_until: TimeAsked | None = Field(
        default=None, description="When the period lapses; else by the configuration."
    )
    description: Description = Field(default="", description="For the tenant to read.")
    metadata: Metadata = Field(default_factory=dict)


class PayAsk(Ask):
    """Which period to pay."""

    period: Period | None = Field(
        default=None, description="The present one unless given. Naming it makes sure which."
    )


class WhoseAsk(Ask):
    """Whose renewal it is."""

    tenant_id: TenantId | None = Field(
        default=None, description="Needed only where several tenants have one by the reference."
    )


class Renewal(BaseModel):
    """A renewal, and how its present period stands.

    `failures` counts declined and missed debits of the present period, the last for `reason`;
    `retry_at` is when it is tried again, also without that as soon as money arrives, and
    `lapses_at` when that ends. `last_entry_id` is the debit that paid the last period.
    """

    reference: str
    tenant_id: str
    amount: int
    currency: str
    interval: Interval
    timezone: str
    period: str
    next_due_at: Time
    auto_renew: bool
    max_amount: int | None
    keep_at_least: int
    priority: int
    retries: list[int]
    grace_until: Time | None
    description: str
    metadata: dict[str, str]
    status: Status
    reason: str | None
    failures: int
    retry_at: Time | None
    lapses_at: Time | None
    last_entry_id: str | None
    created_at: Time
    changed_at: Time

    @classmethod
    def of(cls, renewal: domain.Renewal) -> Self:
        """Show a renewal."""
        same = ("reference", "tenant_id", "amount", "currency", "timezone", "period")
        agreed = ("max_amount", "keep_at_least", "priority", "description", "status", "failures")
        return cls(
            **{name: getattr(renewal, name) for name in (*same, *agreed)},
            interval=Interval(unit=Unit(renewal.unit), count=renewal.units),
            next_due_at=isoformat(renewal.due_at),
            auto_renew=bool(renewal.auto_renew),
            retries=json.loads(renewal.retries),
            grace_until=time_or_none(renewal.grace_until),
            metadata=json.loads(renewal.metadata),
            reason=renewal.reason or None,
            retry_at=time_or_none(renewal.retry_at),
            lapses_at=time_or_none(renewal.lapses_at),
            last_entry_id=renewal.entry_id or None,
            created_at=isoformat(renewal.created_at),
            changed_at=isoformat(renewal.changed_at),
        )


class Renewals(BaseModel):
    """A page of renewals."""

    data: list[Renewal]
    next_cursor: str | None


class Paid(BaseModel):
    """A renewal after a period was paid, and the debit that paid it."""

    renewal: Renewal
    entry: Entry


@router.put(
    "/v1/renewals/{reference}",
    dependencies=[DEBIT],
    responses={
        201: {"model": Renewal, "description": "The renewal is new."},
        **documented(400, 404, 413, 415, 422),
    },
)
async def put_renewal(
    reference: ReferenceHere, ask: RenewalAsk, desk: DeskHere, response: Response
) -> Renewal:
    """Agree on a renewal (201), or on other terms for it (200). Scope: `debit`.

    Sent again it changes nothing. Another `next_due_at` begins its periods anew, also where the
    renewal had lapsed or ended.
    """
    ids.checked_tenant(desk.services, ask.tenant_id)
    asked = _asked(reference, ask, desk.services.clock())
    create = desk.services.create_tenants
    agree = renewal_desk(desk).put
    renewal, created = await desk.call(lambda: agree(asked, create_tenant=create))
    response.status_code = 201 if created else 200
    return Renewal.of(renewal)


@router.get("/v1/renewals/{reference}", dependencies=[READ], responses=documented(404, 409, 422))
async def get_renewal(
    reference: ReferenceHere, ask: Annotated[WhoseAsk, Query()], desk: DeskHere
) -> Renewal:
    """Say how a renewal stands. Scope: `read`."""
    return Renewal.of(await _found(desk, reference, ask))


@router.delete(
    "/v1/renewals/{reference}", dependencies=[DEBIT], responses=documented(404, 409, 422)
)
async def end_renewal(
    reference: ReferenceHere, ask: Annotated[WhoseAsk, Query()], desk: DeskHere
) -> Renewal:
    """End a renewal: nothing is debited any more, what was paid stays. Scope: `debit`."""
    tenant_id = _whose(desk, ask)
    return Renewal.of(await desk.call(renewal_desk(desk).end, reference, tenant_id))


@router.post(
    "/v1/renewals/{reference}/pay",
    status_code=201,
    responses=moves.documented(402, 404, 409),
)
async def pay_renewal(
    reference: ReferenceHere,
    whose: Annotated[WhoseAsk, Query()],
    move: Debiting,
    ask: PayAsk = PayAsk(),  # noqa: B008 # frozen by never being written to
) -> Paid:
    """Pay the present period now, before it is due, overdue or lapsed. Scope: `debit`.

    It may take what `keep_at_least` keeps, and more than `max_amount`. A period that was paid
    before is answered with its entry and `Idempotent-Replayed: true`. Under another key and without
    `period`, the next period is paid ahead.
    """
    found = await _found(move.desk, reference, whose)
    asked = ByHand(found.tenant_id, f"api:{move.caller}", move.key, reference, ask.period or "")
    renewal, outcome = await move.desk.call(renewal_desk(move.desk).pay, asked)
    if outcome.entry is None:
        raise moves.declined(domain.draft(renewal, by_hand=True), outcome)
    if outcome.status == REPLAYED:
        move.response.headers[moves.REPLAYED_HEADER] = "true"
    return Paid(renewal=Renewal.of(renewal), entry=Entry.of(outcome.entry))


@router.get("/v1/tenants/{tenant_id}/renewals", dependencies=[READ], responses=documented(404, 422))
async def list_renewals(
    tenant_id: TenantHere, ask: Annotated[PageAsk, Query()], desk: DeskHere
) -> Renewals:
    """List a tenant's renewals in the order of their references. Scope: `read`."""
    after = place(ask.cursor, str)[0] if ask.cursor else ""
    found = await desk.read(renewals.of_tenant, tenant_id, after=after, limit=ask.limit + 1)
    if not found:
        await desk.read(reports.tenant, tenant_id)  # no renewals, or no such tenant?
    shown, cursor = page(found, ask.limit, lambda one: [one.reference])
    return Renewals(data=list(map(Renewal.of, shown)), next_cursor=cursor)


def renewal_desk(desk: Desk) -> RenewalDesk:
    """Return who agrees on renewals; ProblemError 404 where nobody does."""
    if desk.services.renewals is None:
        raise ProblemError(404, "route_not_found", "this bridge keeps no renewals")
    return desk.services.renewals


def _whose(desk: Desk, ask: WhoseAsk) -> str:
    return ids.checked_tenant(desk.services, ask.tenant_id) if ask.tenant_id else ""


async def _found(desk: Desk, reference: str, ask: WhoseAsk) -> domain.Renewal:
    return await desk.read(renewals.find, reference, _whose(desk, ask))


def _asked(reference: str, ask: RenewalAsk, now: Instant) -> domain.Renewal:
    return domain.Renewal(
        tenant_id=ask.tenant_id,
        reference=reference,
        amount=ask.amount,
        currency=ask.currency,
        unit=ask.interval.unit.value,
        units=ask.interval.count,
        timezone=ask.timezone,
        auto_renew=int(ask.auto_renew),
        max_amount=ask.max_amount,
        keep_at_least=ask.keep_at_least,
        priority=ask.priority,
        retries=json.dumps(ask.retries),
        grace_until=ask.grace_until,
        notice=0,  # the configuration's, as is the grace
        grace=0,
        description=ask.description,
        metadata=canonical_metadata(ask.metadata),
        asked_due_at=ask.next_due_at,
        anchor=ask.next_due_at,
        created_at=now,
    )
