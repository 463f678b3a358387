"""The first page: what there is, what waits to be paid, what is under way, what happened last."""

from typing import Any, NamedTuple

from starlette.responses import Response

from bridge.api.pages.chart import Chart, chart
from bridge.api.pages.visit import Visit
from bridge.domain.clock import DAY, Instant
from bridge.domain.deposit import UNDER_WAY
from bridge.domain.entry import Entry
from bridge.domain.wallet import Wallet
from bridge.store import deposits, payment_requests, reports, statements
from bridge.store.deposits import Deposit
from bridge.store.payment_requests import PaymentRequest

CHART_SPAN: Instant = 365 * DAY
"""How far back the picture of the balance goes."""

POINTS_MAX = 120
"""Steps in the picture."""

ENTRIES_SHOWN = 5
"""Entries of each wallet on the first page."""

LISTED_MAX = 20
"""Deposits under way, and payment requests, on the first page."""


class Purse(NamedTuple):
    """A wallet with its picture and its last entries."""

    wallet: Wallet
    chart: Chart | None
    entries: list[Entry]


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
    open_ones = payment_requests.of_tenant(tx, tenant_id, status="open", limit=LISTED_MAX)
    return Overview(
        [_purse(tx, wallet, visit.now) for wallet in _wallets(tx, visit)],
        deposits.of_tenant(tx, tenant_id, statuses=UNDER_WAY, limit=LISTED_MAX),
        open_ones if visit.session.can_pay else [],
    )


def _wallets(tx: Any, visit: Visit) -> list[Wallet]:
    """Return the tenant's wallets, an empty one where nothing was ever posted."""
    found = reports.wallets(tx, visit.tenant_id)
    return found or [Wallet(visit.tenant_id, one) for one in visit.portal.currencies[:1]]


def _purse(tx: Any, wallet: Wallet, now: Instant) -> Purse:
    points = statements.balance_line(tx, wallet, now - CHART_SPAN, now, POINTS_MAX)
    last = statements.between(tx, wallet, 0, wallet.version, limit=ENTRIES_SHOWN)
    return Purse(wallet, chart(points), last)
