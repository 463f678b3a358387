"""Renewals: when a period is due, what becomes of one that is paid or not, and in which order.

Periods are counted from an anchor in the tenant's time zone, never from the period before, so that
31 January is followed by 28 February and by 31 March. A period's name is its due day there, e.g.
2026-03-31; reference and period are the key of the debit that pays it, whoever makes that.
"""

import calendar
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import count
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from bridge.domain.clock import DAY, HOUR, Instant, from_datetime, isoformat, to_datetime
from bridge.domain.entry import PLANS, Draft, Kind, request_digest
from bridge.domain.errors import InvalidRequestError
from bridge.domain.wallet import WalletId

CALLER = "renewal"
"""The owner of the keys under which periods are paid."""

PURPOSE = "plan_renewal"
"""The purpose of the debits that bridge makes by itself, the last part of their source."""

PAST_MAX: Instant = 366 * DAY
"""How long ago the first period may have been due: each since then is debited."""

AHEAD_MAX: Instant = 3660 * DAY
"""How far ahead the first period may be due."""


class Unit(StrEnum):
    """What intervals are counted in."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


class Status(StrEnum):
    """How a renewal stands."""

    ACTIVE = "active"
    """Its next period is not due yet, or about to be paid."""
    OVERDUE = "overdue"
    """A period is due and not paid; deposits and retries pay it."""
    LAPSED = "lapsed"
    """A period was not paid in its time. Nothing is debited until it is paid by hand or changed."""
    ENDED = "ended"
    """It was deleted; only its past is kept."""


COMING = frozenset({Status.ACTIVE, Status.OVERDUE})
"""The statuses in which periods are debited."""


class Refusal(StrEnum):
    """Why a due period is not debited, beside the ledger's reasons."""

    NOT_AUTOMATIC = "not_automatic"
    """auto_renew is off: the tenant pays by hand."""
    EXCEEDS_MAX_AMOUNT = "exceeds_max_amount"
    """The amount is more than may be debited without asking."""


class Terms(NamedTuple):
    """How long before a period is due its event comes, and how long it may be overdue: spans."""

    notice: Instant
    grace: Instant


class Schedule(NamedTuple):
    """When periods are due: every `units` units from an anchor on, in an IANA time zone."""

    unit: str
    units: int
    timezone: str
    anchor: Instant

    def due_at(self, number: int) -> Instant:
        """Return when period `number`, counted from 0, is due.

        A time of day that a change of clocks skips is as much later; of one that comes twice it
        is the first (RFC 5545, 3.3.5).
        """
        if number == 0:
            return self.anchor
        return from_datetime(self._local(number).replace(tzinfo=_zone(self.timezone)))

    def period(self, number: int) -> str:
        """Return the period's name: its due day in the time zone."""
        return self._local(number).date().isoformat()

    def _local(self, number: int) -> datetime:
        first = to_datetime(self.anchor).astimezone(_zone(self.timezone)).replace(tzinfo=None)
        first = first.replace(fold=0)
        return _later(first, self.unit, self.units * number)


_zone = lru_cache(maxsize=1024)(ZoneInfo)


def _later(moment: datetime, unit: str, number: int) -> datetime:
    """Return the moment some units later; a day the month does not have is its last."""
    if unit in {Unit.DAY, Unit.WEEK}:
        return moment + timedelta(days=number if unit == Unit.DAY else 7 * number)
    months = moment.year * 12 + moment.month - 1 + (number if unit == Unit.MONTH else 12 * number)
    year, month = months // 12, months % 12 + 1
    day = min(moment.day, calendar.monthrange(year, month)[1])
    return moment.replace(year=year, month=month, day=day)


def months_later(instant: Instant, number: int) -> Instant:
    """Return the instant some calendar months later, in UTC."""
    return Schedule(Unit.MONTH, 1, "UTC", instant).due_at(number)


class Renewal(NamedTuple):
    """A renewal; the fields stand in the order of the table's columns. Amounts are minor units.

    `auto_renew` is 1 or 0. `retries` is JSON: hours after the first failure, rising. `notice` and
    `grace` are spans: how long before a period is due its event comes, and how long it may be
    overdue where `grace_until` does not say. `asked_due_at` is what was last asked for as
    next_due_at. Period `number` from `anchor` on is the present one, due at `due_at`; `noticed`
    is 1 once its event upcoming was made; `failures` counts its declined debits since `failed_at`,
    the last for `reason`, and retries that nobody made in time. `entry_id` is the debit that paid
    the last period. It is looked at again at `look_at`; never where that is None.
    """

    tenant_id: str
    reference: str
    amount: int
    currency: str
    unit: str
    units: int
    timezone: str
    auto_renew: int
    max_amount: int | None
    keep_at_least: int
    priority: int
    retries: str
    grace_until: Instant | None
    notice: Instant
    grace: Instant
    description: str
    metadata: str
    asked_due_at: Instant
    anchor: Instant
    created_at: Instant
    number: int = 0
    due_at: Instant = 0
    status: str = Status.ACTIVE
    noticed: int = 0
    failures: int = 0
    failed_at: Instant | None = None
    reason: str = ""
    entry_id: str = ""
    look_at: Instant | None = None
    changed_at: Instant = 0

    @property
    def wallet_id(self) -> WalletId:
        """The wallet that pays."""
        return WalletId(self.tenant_id, self.currency)

    @property
    def schedule(self) -> Schedule:
        """When its periods are due."""
        return Schedule(self.unit, self.units, self.timezone, self.anchor)

    @property
    def period(self) -> str:
        """The name of the present period."""
        return self.schedule.period(self.number)

    @property
    def turn(self) -> tuple[Any, ...]:
        """Sorts renewals as they are paid: the oldest due first, then the lowest priority."""
        return (self.due_at, self.priority, self.tenant_id, self.reference)

    @property
    def refusal(self) -> Refusal | None:
        """Why bridge may not debit it by itself."""
        if not self.auto_renew:
            return Refusal.NOT_AUTOMATIC
        if self.max_amount is not None and self.amount > self.max_amount:
            return Refusal.EXCEEDS_MAX_AMOUNT
        return None

    @property
    def lapses_at(self) -> Instant | None:
        """When the overdue period lapses; a `grace_until` of an earlier period does not count."""
        if self.status != Status.OVERDUE or self.failed_at is None:
            return None
        if self.grace_until is not None and self.grace_until > self.due_at:
            return self.grace_until
        return self.failed_at + max(self.grace, max(_hours(self.retries), default=0) * HOUR)

    @property
    def retry_at(self) -> Instant | None:
        """When the overdue period is tried again; None where no retry is left."""
        hours = _hours(self.retries)
        if self.status != Status.OVERDUE or self.failed_at is None:
            return None
        if not 0 < self.failures <= len(hours):
            return None
        return self.failed_at + hours[self.failures - 1] * HOUR


_INTERVAL = slice(Renewal._fields.index("unit"), Renewal._fields.index("timezone") + 1)
_STANDING = Renewal._fields[Renewal._fields.index("anchor") : Renewal._fields.index("look_at")]


@lru_cache(maxsize=1024)
def _hours(retries: str) -> tuple[int, ...]:
    return tuple(json.loads(retries))


def key(reference: str, period: str) -> str:
    """Return the idempotency key under which a period is paid."""
    return f"{reference}/{period}"


def digest(reference: str, period: str) -> bytes:
    """Return the digest of that key: a paid period is paid, whatever the amount was."""
    return request_digest(CALLER, reference, period)


def draft(renewal: Renewal, *, by_hand: bool = False) -> Draft:
    """Return the debit that pays the present period.

    One made by hand may take what is to be kept.
    """
    period = renewal.period
    return Draft(
        Kind.DEBIT,
        renewal.tenant_id,
        renewal.currency,
        renewal.amount,
        caller=CALLER,
        key=key(renewal.reference, period),
        digest=digest(renewal.reference, period),
        contra=PLANS,
        source=f"renewal/{renewal.reference}/{period}/{PURPOSE}",
        reference=renewal.reference,
        description=renewal.description,
        metadata=renewal.metadata,
        keep_at_least=0 if by_hand else renewal.keep_at_least,
    )


def agreed(before: Renewal | None, asked: Renewal, now: Instant) -> Renewal:
    """Return the renewal as it is asked for, at the point where it stood.

    Its periods go on from where they were unless another `asked_due_at` is given: neither the
    last one asked for nor when it is due now. One that is lapsed stays so until then. Raises
    InvalidRequestError where the periods would begin too long ago or too far ahead.
    """
    if before is None or before.status == Status.ENDED:
        return _begun(asked, now)
    kept = asked._replace(**{name: getattr(before, name) for name in _STANDING}, changed_at=now)
    if asked.asked_due_at not in {before.asked_due_at, before.due_at}:
        return _begun(kept, now)
    kept = kept._replace(asked_due_at=before.asked_due_at)
    if kept[_INTERVAL] != before[_INTERVAL]:
        kept = kept._replace(anchor=before.due_at, number=0)
    if kept._replace(changed_at=before.changed_at, look_at=before.look_at) == before:
        return before
    return looked_at(kept)


def _begun(renewal: Renewal, now: Instant) -> Renewal:
    """Count the periods anew, from what was asked for."""
    if not now - PAST_MAX <= renewal.asked_due_at <= now + AHEAD_MAX:
        raise InvalidRequestError(
            f"next_due_at is {isoformat(renewal.asked_due_at)}; it may be at most"
            f" {PAST_MAX // DAY} days ago or {AHEAD_MAX // DAY} days ahead"
        )
    return _present(renewal._replace(anchor=renewal.asked_due_at, number=0), now)


def paid(renewal: Renewal, entry_id: str, now: Instant) -> Renewal:
    """Return the renewal after its present period was paid: the next one is present.

    Of a lapsed one the periods are counted anew, from now on: nobody had what was between.
    """
    lapsed = renewal.status == Status.LAPSED
    last = renewal._replace(anchor=now, number=0) if lapsed else renewal
    return _present(last._replace(number=last.number + 1, entry_id=entry_id), now)


def _present(renewal: Renewal, now: Instant) -> Renewal:
    fresh = renewal._replace(
        due_at=renewal.schedule.due_at(renewal.number),
        status=Status.ACTIVE,
        noticed=0,
        failures=0,
        failed_at=None,
        reason="",
        changed_at=now,
    )
    return looked_at(fresh)


def noticed(renewal: Renewal) -> Renewal:
    """Return the renewal after its event upcoming."""
    return looked_at(renewal._replace(noticed=1))


def failed(renewal: Renewal, reason: str, now: Instant) -> Renewal:
    """Return the renewal after its present period was due and not paid; perhaps it lapses."""
    if renewal.lapses_at is not None and now >= renewal.lapses_at:
        lapsed = renewal._replace(status=Status.LAPSED, reason=reason, changed_at=now)
        return looked_at(lapsed)
    overdue = renewal._replace(
        status=Status.OVERDUE,
        failures=renewal.failures + (reason != Refusal.NOT_AUTOMATIC),
        failed_at=now if renewal.failed_at is None else renewal.failed_at,
        reason=reason,
        changed_at=now,
    )
    while overdue.retry_at is not None and overdue.retry_at <= now:
        # Missed, as after a downtime: all at once they would only be told all at once.
        overdue = overdue._replace(failures=overdue.failures + 1)
    return looked_at(overdue)


def ended(renewal: Renewal, now: Instant) -> Renewal:
    """Return the renewal as it is kept after it was deleted."""
    return looked_at(renewal._replace(status=Status.ENDED, changed_at=now))


def looked_at(renewal: Renewal) -> Renewal:
    """Return the renewal with the time at which it is to be looked at next."""
    return renewal._replace(look_at=_next_look(renewal))


def _next_look(renewal: Renewal) -> Instant | None:
    if renewal.status == Status.ACTIVE:
        return renewal.due_at - (0 if renewal.noticed else renewal.notice)
    if renewal.status == Status.OVERDUE:
        return min(filter(None, (renewal.retry_at, renewal.lapses_at)), default=None)
    return None


def coming(renewal: Renewal, until: Instant) -> Iterator[tuple[Instant, str]]:
    """Yield the periods that are due up to a time, the present one first: when, and its name."""
    if renewal.status not in COMING:
        return
    for number in count(renewal.number):
        due_at = renewal.schedule.due_at(number)
        if due_at > until:
            return
        yield due_at, renewal.schedule.period(number)


def facts(renewal: Renewal, **more: Any) -> dict[str, Any]:
    """Return what events say about the present period."""
    return {
        "reference": renewal.reference,
        "period": renewal.period,
        "amount": renewal.amount,
        "currency": renewal.currency,
        "due_at": isoformat(renewal.due_at),
        "auto_renew": bool(renewal.auto_renew),
        "metadata": json.loads(renewal.metadata),
        **more,
    }
