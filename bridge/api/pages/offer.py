"""Offers: a link from a letter or an event, by which one deposit is opened, without a session.

Whoever holds it can pay for the tenant, and sees nothing of the balance (docs/decisions/0032).
"""

import hashlib
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bridge.api.pages.visit import (
    SEE_OTHER,
    form_of,
    language_of,
    portal_of,
    rendered,
)
from bridge.api.problems import ProblemError
from bridge.api.services import DepositDesk, Desk
from bridge.domain.deposit import UNDER_WAY, Asked, DepositRefusedError, Status
from bridge.domain.errors import LeaseHeldError
from bridge.domain.offer import Offer, read_offer
from bridge.store import deposits
from bridge.store.database import Connection
from bridge.store.deposits import Deposit
from bridge.tongue import tongue

CALLER = "offer"
"""Whose the idempotency keys of deposits opened here are."""

OPENED_MAX = 50
"""Deposits of one offer, each opened when the one before had ended unpaid."""

_UNPAID = {Status.EXPIRED, Status.CANCELLED}


class OfferOverError(ProblemError):
    """The link is no offer of ours, or one that has ended."""

    def __init__(self) -> None:
        super().__init__(401, "offer_over", "the offer has ended; ask for a new link")


class _Opened(NamedTuple):
    """How far an offer has come: its last deposit that still counts, and the key of the next."""

    deposit: Deposit | None
    key: str


async def show(request: Request) -> Response:
    """Show an offer, or how its deposit fares. Changes nothing, so previews do no harm."""
    text = request.query_params.get("link", "")
    offer, desk, takes = _read(request, text)
    opened = await desk.read(_opened, offer, text)
    return _page(request, text, offer, takes, opened.deposit)


async def accept(request: Request) -> Response:
    """Open the deposit, once however often the form is sent, and lead on to where it is paid."""
    text = (await form_of(request)).get("link", "")
    offer, desk, takes = _read(request, text)
    opened = await desk.read(_opened, offer, text)
    if opened.deposit and not _payable(opened.deposit):
        return _page(request, text, offer, takes, opened.deposit)
    here = _address(request, text)
    asked = Asked(
        offer.tenant_id,
        CALLER,
        opened.deposit.idempotency_key if opened.deposit else opened.key,
        _amount(takes, offer),
        offer.currency,
        return_url=here,
    )
    create = desk.services.create_tenants
    try:
        deposit, _ = await desk.ask(lambda: takes.open(asked, create_tenant=create))
    except LeaseHeldError:  # a second click, while the first one is still at it
        return RedirectResponse(here, SEE_OTHER)
    # No redirect: browsers hold the redirects of a form to form-action, which is ours alone.
    return _rendered(request, "bounce.html", url=deposit.pay_url or here)


def _read(request: Request, text: str) -> tuple[Offer, Desk, DepositDesk]:
    """Return the offer of a link, and who opens its deposit; OfferOverError for any other text."""
    desk: Desk = request.app.state.desk
    offer = read_offer(desk.services.offer_keys, text, desk.services.clock())
    if offer is None:
        raise OfferOverError
    if desk.services.deposits is None:
        raise ProblemError(409, "deposits_closed", "no storefront takes deposits")
    return offer, desk, desk.services.deposits


def _opened(tx: Connection, offer: Offer, text: str) -> _Opened:
    digest = hashlib.sha256(text.encode()).hexdigest()[:32]
    for number in range(OPENED_MAX):
        key = f"{digest}/{number}"
        deposit = deposits.asked(tx, offer.tenant_id, CALLER, key)
        if deposit is None or deposit.status not in _UNPAID:
            return _Opened(deposit, key)
    raise OfferOverError


def _payable(deposit: Deposit) -> bool:
    return deposit.status is Status.OPEN and deposit.order_status not in {"on-hold", "processing"}


def _amount(takes: DepositDesk, offer: Offer) -> int:
    """Return the smallest deposit that suffices; DepositRefusedError where none does any more."""
    amount = takes.limits(offer.currency).smallest(offer.amount)
    if amount is None:
        raise DepositRefusedError("the offer is larger than the largest deposit")
    return amount


def _page(
    request: Request, text: str, offer: Offer, takes: DepositDesk, deposit: Deposit | None
) -> Response:
    amount = deposit.amount if deposit else _amount(takes, offer)
    bonus = deposit.bonus if deposit else takes.limits(offer.currency).bonus(amount)
    came_back = "deposit" in request.query_params
    return _rendered(
        request,
        "offer.html",
        link=text,
        offer=offer,
        amount=amount,
        bonus=bonus,
        deposit=deposit,
        payable=deposit is None or _payable(deposit),
        awaited=came_back and deposit is not None and deposit.status in UNDER_WAY,
    )


def _address(request: Request, text: str) -> str:
    return f"{portal_of(request).public_url}/billing/offer?link={text}"


def _rendered(request: Request, template: str, **values: Any) -> Response:
    return rendered(portal_of(request), tongue(language_of(request)), template, **values)
