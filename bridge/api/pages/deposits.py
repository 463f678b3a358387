"""Deposits: choose, review, open, follow, cancel."""

import re
import secrets
from typing import Any, NamedTuple

from starlette.responses import RedirectResponse, Response

from bridge.api import problems
from bridge.api.pages.requests import request_of, wallet_of
from bridge.api.pages.visit import SEE_OTHER, Visit
from bridge.api.problems import ProblemError
from bridge.api.services import DepositDesk
from bridge.domain.deposit import PERIODS_MAX, UNDER_WAY, Asked, Limits, Plan, Purpose
from bridge.domain.errors import InvalidRequestError, LeaseHeldError
from bridge.domain.wallet import Wallet
from bridge.store import deposits, payment_requests
from bridge.store.database import Connection
from bridge.store.deposits import Deposit, DepositNotFoundError
from bridge.store.payment_requests import PaymentRequest

CALLER = "portal"
"""Whose the idempotency keys of deposits opened here are."""
KEY_SIZE = 18
"""Bytes of chance in an idempotency key."""

_KEY = re.compile("[A-Za-z0-9_-]{24}")


class Choice(NamedTuple):
    """What a tenant chose to deposit: an amount in minor units, or a plan for some periods.

    With a request, the deposit is to pay it.
    """

    amount: int
    currency: str
    plan: Plan | None = None
    periods: int = 1
    request: PaymentRequest | None = None


async def choose(visit: Visit) -> Response:
    """Show the form in which an amount or a plan is chosen."""
    return await _form(visit)


async def review(visit: Visit) -> Response:
    """Show what a choice would bring, before anything is opened. Changes nothing."""
    desk = _desk(visit)
    try:
        choice = await _choice(visit)
        wallet, under_way = await visit.desk.read(_state, visit, choice.currency)
        limits = desk.limits(choice.currency)
        _check(visit, limits, choice, wallet.balance + under_way)
    except InvalidRequestError as error:
        return await _form(visit, str(error))
    bonus = limits.bonus(choice.amount)
    key = secrets.token_urlsafe(KEY_SIZE)
    return visit.render("review.html", choice=choice, bonus=bonus, wallet=wallet, key=key)


async def start(visit: Visit) -> Response:
    """Open the deposit that was reviewed, once however often the form is sent."""
    desk = _desk(visit)
    choice = await _choice(visit)
    plan, request, key = choice.plan, choice.request, visit.asked("key")
    if not _KEY.fullmatch(key):
        raise problems.invalid([("key", "is the one that the review page made")])
    asked = Asked(
        visit.tenant_id,
        CALLER,
        key,
        None if plan else choice.amount,
        "" if plan else choice.currency,
        plan=plan.id if plan else "",
        periods=choice.periods,
        purpose=Purpose(request_id=request.request_id) if request else None,
    )
    deposit = await _opened(visit, desk, asked)
    return RedirectResponse(f"/billing/deposits/{deposit.deposit_id}?pay=1", SEE_OTHER)


async def _opened(visit: Visit, desk: DepositDesk, asked: Asked) -> Deposit:
    create = visit.desk.services.create_tenants
    try:
        deposit, _ = await visit.desk.ask(lambda: desk.open(asked, create_tenant=create))
    except LeaseHeldError:  # a second click, while the first one is still at it
        begun = await visit.desk.read(deposits.asked, asked.tenant_id, asked.caller, asked.key)
        if begun is None:
            raise
        return begun
    return deposit


async def follow(visit: Visit) -> Response:
    """Show how a deposit fares; with `pay` in the query, lead on to where it is paid."""
    deposit = await visit.desk.read(_deposit, visit)
    values = await visit.desk.read(_fares, visit, deposit)
    pays = bool(visit.asked("pay")) and deposit.status == "open" and bool(deposit.pay_url)
    return visit.render("deposited.html", pays=pays, **values)


async def live(visit: Visit) -> Response:
    """Show the part of that page which changes."""
    deposit = await visit.desk.read(_deposit, visit)
    return visit.render("_deposit.html", **await visit.desk.read(_fares, visit, deposit))


async def cancel(visit: Visit) -> Response:
    """Call a deposit off, unless it is paid."""
    deposit = await visit.desk.read(_deposit, visit)
    await visit.desk.ask(_desk(visit).cancel, deposit.deposit_id)
    return RedirectResponse(f"/billing/deposits/{deposit.deposit_id}", SEE_OTHER)


def _desk(visit: Visit) -> DepositDesk:
    desk = visit.desk.services.deposits
    if desk is None:
        raise ProblemError(409, "deposits_closed", "no storefront takes deposits")
    return desk


async def _form(visit: Visit, mistake: str = "") -> Response:
    desk = _desk(visit)
    request = await _request(visit)
    currency = request.currency if request else _currency(visit)
    limits = desk.limits(currency)
    wallet, _ = await visit.desk.read(_state, visit, currency)
    short = max(0, request.amount - wallet.available) if request else 0
    return visit.render(
        "deposit.html",
        422 if mistake else 200,
        limits=limits,
        plans=[plan for plan in desk.plans.values() if plan.currency == currency],
        periods_max=PERIODS_MAX,
        request=request,
        exactly=limits.smallest(short) if short else None,
        wallet=wallet,
        mistake=mistake,
        typed=visit.asked("amount"),
    )


async def _choice(visit: Visit) -> Choice:
    """Read what was chosen; InvalidRequestError says in the visitor's language what is wrong."""
    say = visit.tongue.say
    request = await _request(visit)
    if plan := _desk(visit).plans.get(visit.asked("plan")):
        periods = _number(visit.asked("periods"))
        if not 1 <= periods <= PERIODS_MAX:
            raise InvalidRequestError(say("Please choose from 1 to %(most)s.", most=PERIODS_MAX))
        return Choice(plan.price * periods, plan.currency, plan, periods, request)
    currency = request.currency if request else _currency(visit)
    if minor := _number(visit.asked("minor")):
        return Choice(minor, currency, request=request)
    amount = visit.tongue.read_amount(visit.asked("amount"), currency)
    return Choice(amount, currency, request=request)


def _currency(visit: Visit) -> str:
    known = visit.portal.currencies
    asked = visit.asked("currency") or next(iter(known), "")
    if asked not in known:
        raise ProblemError(404, "not_found", "deposits are not taken in that currency")
    return asked


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


async def _request(visit: Visit) -> PaymentRequest | None:
    request_id = visit.asked("request")
    return await visit.desk.read(request_of, visit, request_id) if request_id else None


def _state(tx: Connection, visit: Visit, currency: str) -> tuple[Wallet, int]:
    """Return the wallet, and what deposits under way will bring."""
    _, brings = deposits.outstanding(tx, visit.tenant_id, currency)
    return wallet_of(tx, visit, currency), brings


def _check(visit: Visit, limits: Limits, choice: Choice, balance: int) -> None:
    """Raise InvalidRequestError, in the visitor's language, for what `open` would refuse."""
    say, amount = visit.tongue.say, choice.amount

    def told(minor: int) -> str:
        return visit.tongue.money(minor, limits.currency)

    if not limits.minimum <= amount <= limits.maximum:
        least, most = told(limits.minimum), told(limits.maximum)
        text = say("Deposits are from %(least)s to %(most)s.", least=least, most=most)
        raise InvalidRequestError(text)
    if not choice.plan and amount % limits.step:
        raise InvalidRequestError(
            say("Deposits are multiples of %(step)s.", step=told(limits.step))
        )
    top = limits.balance_max
    if top is not None and balance + amount + limits.bonus(amount) > top:
        raise InvalidRequestError(
            say("With it, your balance would exceed %(most)s.", most=told(top))
        )


def _deposit(tx: Connection, visit: Visit) -> Deposit:
    deposit = deposits.get(tx, visit.request.path_params["deposit_id"])
    if deposit.tenant_id != visit.tenant_id:
        raise DepositNotFoundError(f"no deposit {deposit.deposit_id} here; check its id")
    return deposit


def _fares(tx: Connection, visit: Visit, deposit: Deposit) -> dict[str, Any]:
    """Return what is shown of a deposit."""
    purpose = Purpose.from_json(deposit.purpose) if deposit.purpose else Purpose()
    request_id = purpose.request_id
    return {
        "deposit": deposit,
        "under_way": deposit.status in UNDER_WAY,
        "wallet": wallet_of(tx, visit, deposit.currency),
        "purpose": purpose,
        "request": payment_requests.get(tx, request_id) if request_id else None,
    }
