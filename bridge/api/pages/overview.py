"""The first page: what there is, what waits to be paid, what is under way, what happened last."""

from typing import Any, NamedTuple

from starlette.responses import Response

from bridge.api.forecasts import Ahead
from bridge.api.forecasts import ahead as look_ahead
from bridge.api.pages.ahead import Outlook, outlook
from bridge.api.pages.chart import Chart, chart
from bridge.api.pages.visit import Visit
from bridge.domain.clock import DAY, Instant
from bridge.domain.deposit import UNDER_WAY
from bridge.domain.entry import Entry
from bridge.domain.renewal import months_later
from bridge.domain.wallet import Wallet
from bridge.store import deposits, payment_requests, reports, statements
from bridge.store.deposits import Deposit
from bridge.store.payment_requests import PaymentRequest

CHART_SPAN: Instant = 365 * DAY
"""How far back the picture of the balance goes."""

OUTLOOK_MONTHS = 12
"""How far ahead the first page looks."""

POINTS_MAX = 120
"""Steps in the picture."""

ENTRIES_SHOWN = 5
"""Entries of each wallet on the first page."""

LISTED_MAX = 20
"""Deposits under way, and payment requests, on the first page."""


class Purse(NamedTuple):
    """A wallet with its picture, its last entries and what comes."""

    wallet: Wallet
    chart: Chart | None
    entries: list[Entry]
    outlook: Outlook | None


class Overview(NamedTuple):
    """What the first page shows."""

    purses: list[Purse]
    deposits: list[Deposit]
    requests: list[PaymentRequest]


async def overview(visit: Visit) -> Response:
    """Show the first page."""
    seen = await visit.desk.read(_overview, visit)
    return visit.render("overview.html", seen=seen)


def _overview(tx: Any, visit: Visit) -> Overview:
    tenant_id = visit.tenant_id
    coming = look_ahead(tx, tenant_id, months_later(visit.now, OUTLOOK_MONTHS))
    open_ones = payment_requests.of_tenant(tx, tenant_id, status="open", limit=LISTED_MAX)
    return Overview(
        [_purse(tx, visit, wallet, coming) for wallet in _wallets(tx, visit, coming)],
        deposits.of_tenant(tx, tenant_id, statuses=UNDER_WAY, limit=LISTED_MAX),
        open_ones if visit.session.can_pay else [],
    )


def _wallets(tx: Any, visit: Visit, coming: Ahead) -> list[Wallet]:
    """Return the tenant's wallets, empty ones where nothing was ever posted."""
    found = {wallet.currency: wallet for wallet in reports.wallets(tx, visit.tenant_id)}
    currencies = list(coming.forecasts) or visit.portal.currencies[:1]
    return [found.get(one, Wallet(visit.tenant_id, one)) for one in currencies]


def _purse(tx: Any, visit: Visit, wallet: Wallet, coming: Ahead) -> Purse:
    now = visit.now
    points = statements.balance_line(tx, wallet, now - CHART_SPAN, now, POINTS_MAX)
    last = statements.between(tx, wallet, 0, wallet.version, limit=ENTRIES_SHOWN)
    return Purse(wallet, chart(points), last, outlook(visit, coming, wallet))
