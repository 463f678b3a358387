"""What comes: renewals against the balance, as a picture and a table, and what carries it on."""

from collections.abc import Iterator
from datetime import tzinfo
from typing import NamedTuple

from babel.dates import format_skeleton
from starlette.responses import RedirectResponse, Response

from bridge.api import problems
from bridge.api.asks import PERIOD, REFERENCE
from bridge.api.forecasts import Ahead
from bridge.api.forecasts import ahead as look_ahead
from bridge.api.pages.chart import HEIGHT, Chart, chart
from bridge.api.pages.requests import Short, limits_of, short_of
from bridge.api.pages.statement import month_after
from bridge.api.pages.visit import SEE_OTHER, Visit
from bridge.api.renewals import renewal_desk
from bridge.domain.clock import DAY, Instant, from_datetime, to_datetime
from bridge.domain.deposit import Limits
from bridge.domain.errors import NotFoundError
from bridge.domain.forecast import Coming, Forecast
from bridge.domain.renewal import Renewal, Status, months_later
from bridge.domain.wallet import Wallet
from bridge.store.renewal_payments import ByHand

CALLER = "portal"
"""Whose the idempotency keys of periods paid here are."""

MONTHS = (6, 12, 24)
"""How far one can look, and 12 unless chosen."""

CARRIED_MONTHS = (3, 6, 12, 24)
"""Months that can be deposited for in one click."""

SOON_MAX = 3
"""Coming payments of each wallet on the first page."""

PRESSING: Instant = 60 * DAY
"""How near the day on which money runs out is shown as a warning."""

ROWS_MAX = 200
"""Coming payments in the table."""

TICKS_MAX = 6
"""Months that are named below the picture."""

_TOP, _TALL = 13, 70  # where the drawing is within its frame, in percent of the frame's height


class Outlook(NamedTuple):
    """What comes in one currency: what `waits` for the tenant, and what follows `soon`.

    `short` is what all that waits lacks. `names` say what each reference is, for the tenant.
    It is `pressing` where money runs out soon.
    """

    waits: list[Renewal]
    soon: list[Coming]
    short: Short | None
    forecast: Forecast
    names: dict[str, str]
    pressing: bool


class Tick(NamedTuple):
    """A month below the picture; `x` in percent from the left."""

    x: float
    label: str


class Picture(NamedTuple):
    """The picture of a forecast, everything in percent of its frame.

    The drawing begins at `top` and is so `tall`; `peak` and `zero` are where the highest amount and
    nothing are, and `mark` is when money runs out, which is drawn at `dot`.
    """

    chart: Chart
    top: int
    tall: int
    peak: float
    zero: float
    mark: float | None
    dot: float
    ticks: list[Tick]


class Carry(NamedTuple):
    """How far a deposit carries, and what it brings on top; minor units."""

    until: Instant
    amount: int
    bonus: int


class Row(NamedTuple):
    """A coming payment, and the smallest deposit that covers it; None where none is possible."""

    coming: Coming
    name: str
    deposit: int | None


async def ahead(visit: Visit) -> Response:
    """Show what comes in one currency."""
    months = next((n for n in MONTHS if visit.asked("months") == str(n)), MONTHS[1])
    until = months_later(visit.now, months)
    seen = await visit.desk.read(look_ahead, visit.tenant_id, until)
    currency = _currency(visit, seen)
    forecast = seen.forecasts[currency]
    limits = limits_of(visit, currency)
    return visit.render(
        "ahead.html",
        currency=currency,
        currencies=list(seen.forecasts),
        months=months,
        choices=MONTHS,
        forecast=forecast,
        missing=forecast.deposit_until(visit.now),
        picture=_picture(visit, forecast),
        carries=_carries(visit.now, forecast, limits),
        rows=_rows(forecast, limits, _names(seen)),
    )


async def pay(visit: Visit) -> Response:
    """Pay a period that waits, once however often it is sent; nothing happens where it is short."""
    reference, period = visit.asked("reference"), visit.asked("period")
    if not REFERENCE.fullmatch(reference) or not PERIOD.fullmatch(period):
        raise problems.invalid([("period", "is the one that the page shows")])
    key = f"{visit.session.session_id}/{reference}/{period}"
    asked = ByHand(visit.tenant_id, CALLER, key, reference, period)
    await visit.desk.call(renewal_desk(visit.desk).pay, asked)
    return RedirectResponse("/billing/", SEE_OTHER)


def outlook(visit: Visit, seen: Ahead, wallet: Wallet) -> Outlook | None:
    """Return what comes in a wallet's currency; None where nothing does."""
    forecast = seen.forecasts.get(wallet.currency)
    mine = [renewal for renewal in seen.renewals if renewal.currency == wallet.currency]
    waits = sorted(filter(_waits, mine), key=lambda renewal: renewal.turn)
    if forecast is None or not (waits or forecast.coming):
        return None
    waiting = {(renewal.reference, renewal.period) for renewal in waits}
    soon = [one for one in forecast.coming if (one.reference, one.period) not in waiting]
    by_hand = sum(renewal.amount for renewal in waits) - wallet.available
    missing = max(by_hand, forecast.deposit_until(visit.now)) if waits else 0
    short = short_of(visit, missing, wallet.currency)
    out = forecast.runs_out_at
    pressing = out is not None and out < visit.now + PRESSING
    return Outlook(waits, soon[:SOON_MAX], short, forecast, _names(seen), pressing)


def _waits(renewal: Renewal) -> bool:
    """Tell whether a renewal waits for the tenant: it was not paid, or bridge may not debit it."""
    if renewal.status == Status.ACTIVE:
        return bool(renewal.refusal and renewal.noticed)
    return True


def _names(seen: Ahead) -> dict[str, str]:
    return {one.reference: one.description or one.reference for one in seen.renewals}


def _currency(visit: Visit, seen: Ahead) -> str:
    """Return the currency asked for, else the first with something to come, else the first."""
    fuller = sorted(seen.forecasts, key=lambda currency: not seen.forecasts[currency].coming)
    for currency in (visit.asked("currency"), *fuller):
        if currency in seen.forecasts:
            return currency
    raise NotFoundError("the tenant has no wallet and no renewals")


def _picture(visit: Visit, forecast: Forecast) -> Picture | None:
    now = visit.now
    steps = [(max(now, one.due_at), one.left) for one in forecast.coming]
    last = steps[-1][1] if steps else forecast.available
    drawn = chart([(now, forecast.available), *steps, (max(now, forecast.until), last)])
    if drawn is None:
        return None
    first = next((one for one in forecast.coming if one.deposit), None)
    return Picture(
        chart=drawn,
        top=_TOP,
        tall=_TALL,
        peak=_framed(drawn, drawn.highest),
        zero=_framed(drawn, 0),
        mark=drawn.percent(max(now, first.due_at)) if first else None,
        # On the line, which falls there; where it passes nothing, if it does.
        dot=_framed(drawn, min(max(0, first.left), first.left + first.amount) if first else 0),
        ticks=_ticks(visit, drawn),
    )


def _framed(drawn: Chart, value: int) -> float:
    return round(_TOP + drawn.depth(value) * _TALL / HEIGHT, 2)


def _ticks(visit: Visit, drawn: Chart) -> list[Tick]:
    """Return some months evenly spread; January is told by its year."""
    months = list(_months(drawn, visit.portal.zone))
    chosen = months[:: -(-len(months) // TICKS_MAX)] if months else []
    return [Tick(drawn.percent(instant), _month(visit, instant)) for instant in chosen]


def _month(visit: Visit, instant: Instant) -> str:
    local = to_datetime(instant).astimezone(visit.portal.zone)
    skeleton = "y" if local.month == 1 else "MMM"
    return format_skeleton(skeleton, local, locale=visit.tongue.locale)


def _months(drawn: Chart, zone: tzinfo) -> Iterator[Instant]:
    """Yield when months begin, but for those too near the edges to be named there."""
    local = to_datetime(drawn.since).astimezone(zone)
    begin = month_after(local.replace(day=1, hour=0, minute=0, second=0, microsecond=0))
    while (instant := from_datetime(begin)) < drawn.until:
        if 4 < drawn.percent(instant) < 96:
            yield instant
        begin = month_after(begin)


def _carries(now: Instant, forecast: Forecast, limits: Limits | None) -> list[Carry]:
    """Return the deposits that carry further and further, each with the furthest it carries."""
    carries: dict[int, Carry] = {}
    for until in (months_later(now, months) for months in CARRIED_MONTHS):
        needed = forecast.deposit_until(until) if until <= forecast.until else 0
        amount = limits.smallest(needed) if limits and needed else None
        if limits and amount:
            carries[amount] = Carry(until, amount, limits.bonus(amount))
    return list(carries.values())


def _rows(forecast: Forecast, limits: Limits | None, names: dict[str, str]) -> list[Row]:
    return [
        Row(
            coming,
            names[coming.reference],
            limits.smallest(coming.deposit) if limits and coming.deposit else None,
        )
        for coming in forecast.coming[:ROWS_MAX]
    ]
