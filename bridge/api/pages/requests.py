"""Payment requests: what the SaaS core asks for, and three ways to pay it."""

from typing import NamedTuple

from starlette.responses import RedirectResponse, Response

from bridge.api.pages.visit import SEE_OTHER, Visit
from bridge.domain.deposit import DepositRefusedError, Limits
from bridge.domain.wallet import Wallet
from bridge.store import payment_requests, reports
from bridge.store.database import Connection
from bridge.store.payment_requests import PaymentRequest, PaymentRequestNotFoundError
from bridge.store.reports import TenantNotFoundError


class Short(NamedTuple):
    """What the balance lacks, and the deposit that would do; None where none is possible."""

    shortfall: int
    deposit: int | None


async def show(visit: Visit) -> Response:
    """Show a payment request."""
    return await _shown(visit)


async def pay(visit: Visit) -> Response:
    """Pay from the balance, once however often it is sent; nothing happens where it is short."""
    request = await visit.desk.read(request_of, visit, visit.request.path_params["request_id"])
    request, outcome = await visit.desk.write(payment_requests.pay, request.request_id, visit.now)
    if outcome.reason:
        return await _shown(visit, 402)
    return RedirectResponse(f"/billing/requests/{request.request_id}", SEE_OTHER)


def request_of(tx: Connection, visit: Visit, request_id: str) -> PaymentRequest:
    """Return one of the visitor's payment requests; PaymentRequestNotFoundError for any other."""
    request = payment_requests.get(tx, request_id)
    if request.tenant_id != visit.tenant_id:
        raise PaymentRequestNotFoundError(f"no payment request {request_id} here; check its id")
    return request


def wallet_of(tx: Connection, visit: Visit, currency: str) -> Wallet:
    """Return the visitor's wallet; a zero one also for a tenant who is not known yet."""
    try:
        return reports.wallet(tx, visit.tenant_id, currency)
    except TenantNotFoundError:
        return Wallet(visit.tenant_id, currency)


async def _shown(visit: Visit, status_code: int = 200) -> Response:
    request, wallet = await visit.desk.read(_request_and_wallet, visit)
    short = short_of(visit, request.amount - wallet.available, request.currency)
    return visit.render("request.html", status_code, request=request, wallet=wallet, short=short)


def _request_and_wallet(tx: Connection, visit: Visit) -> tuple[PaymentRequest, Wallet]:
    request = request_of(tx, visit, visit.request.path_params["request_id"])
    return request, wallet_of(tx, visit, request.currency)


def short_of(visit: Visit, shortfall: int, currency: str) -> Short | None:
    """Return what to deposit where so much is missing; None where nothing is."""
    if shortfall <= 0:
        return None
    limits = limits_of(visit, currency)
    return Short(shortfall, limits.smallest(shortfall) if limits else None)


def limits_of(visit: Visit, currency: str) -> Limits | None:
    """Return what the visitor may deposit in a currency; None where nothing may be."""
    desk = visit.desk.services.deposits
    if desk is None or not visit.session.can_deposit:
        return None
    try:
        return desk.limits(currency)
    except DepositRefusedError:
        return None
