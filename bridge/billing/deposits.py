"""Deposits that bridge starts: opened, called off, and let expire."""

import hashlib
from collections.abc import Collection, Mapping
from contextlib import nullcontext

import structlog

from bridge.billing.tills import Till, till_for
from bridge.domain.clock import Clock, Instant
from bridge.domain.crediting import NEGATIVE_STATUSES, VANISHED
from bridge.domain.deposit import (
    Asked,
    DepositClosedError,
    DepositRefusedError,
    Limits,
    Mode,
    Plan,
    Status,
    check_amount,
    check_balance,
    next_look,
)
from bridge.domain.entry import request_digest
from bridge.domain.errors import BridgeError, InvalidRequestError
from bridge.store import deposits, payment_requests, reports
from bridge.store.database import Connection, Database
from bridge.store.deposits import Deposit
from bridge.store.leases import Leases
from bridge.storefront.checkout import Checkout, OrderForm, Placed
from bridge.storefront.errors import StorefrontUnavailableError

OPEN_MAX = 20
"""Deposits of a tenant in a currency that may be under way at a time."""

EXPIRE_MAX = 50
"""Deposits that one call of `expire` deals with."""

LEASE_S = 180
"""Seconds that a deposit may take to open, before a twin is let in.

A twin too early would place another order, which nobody is sent to and no second deposit credits.
"""

# Who waits for a bank may change his mind; what arrives all the same is credited all the same.
_UNPAID = NEGATIVE_STATUSES | {"on-hold"}
_ENDED = {Status.CANCELLED, Status.EXPIRED}
_log = structlog.get_logger()


class KeyReusedError(InvalidRequestError):
    """The idempotency key was used before, for something else."""

    code = "idempotency_key_reused"


class Deposits:
    """The deposits of all storefronts. Its methods may be called from several threads.

    `tills` by name, the preferred one first; `plans` by id. `return_url` is where storefronts send
    tenants when they have paid; where it is "", they go where the deposit says.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what it leans on, made by the wiring alone
        self,
        database: Database,
        leases: Leases,
        clock: Clock,
        tills: Mapping[str, Till],
        plans: Mapping[str, Plan],
        return_url: str,
    ) -> None:
        self.plans = plans
        self._database = database
        self._leases = leases
        self._clock = clock
        self._tills = tills
        self._return_url = return_url

    def limits(self, currency: str, storefront: str = "") -> Limits:
        """Return what may be deposited; DepositRefusedError names the currencies there are."""
        return self._till(currency, storefront).terms.limits[currency]

    def open(self, asked: Asked, *, create_tenant: bool) -> tuple[Deposit, bool]:
        """Open a deposit, ready to be paid; True where it was opened before, under the same key.

        Raises DepositRefusedError for one that may not be opened, PaymentRequestNotFoundError,
        TenantNotFoundError unless `create_tenant`, KeyReusedError, LeaseHeldError while a twin is
        at it, and the errors of the storefront; after those, ask again under the same key.
        """
        lease = _lease(asked.tenant_id, asked.caller, asked.key)
        with self._leases.held(lease, LEASE_S):
            known = self._known(asked)
            if known is None:
                begun = self._begun(asked, create_tenant=create_tenant)
                return self._payable(begun, search=False), False
            if known.pay_url or known.status is not Status.OPEN:
                return known, True
            return self._payable(known, search=True), False

    def cancel(self, deposit_id: str) -> Deposit:
        """Call a deposit off, and its order; one that ended before is returned as it is.

        Raises DepositClosedError where it is paid, even if only the storefront knows that yet,
        DepositNotFoundError, and the errors of the storefront.
        """
        deposit = self._get(deposit_id)
        if deposit.status is Status.OPEN:
            self._end(deposit, Status.CANCELLED, _UNPAID)
            deposit = self._get(deposit_id)
        if deposit.status in _ENDED:
            return deposit
        raise DepositClosedError(
            f"deposit {deposit_id} is paid, or its payment is on the way; to give it back, refund "
            f"its order at storefront {deposit.storefront}"
        )

    def expire(self) -> int:
        """Let up to EXPIRE_MAX deposits that nobody paid in time expire; return how many did.

        Where a storefront cannot cancel an order now, its deposits wait for the next call.
        """
        with self._database.read() as tx:
            late = deposits.expired(tx, self._clock(), EXPIRE_MAX)
        away: set[str] = set()
        ended = 0
        for deposit in late:
            if deposit.storefront in away:
                continue
            try:
                ended += self._end(deposit, Status.EXPIRED, NEGATIVE_STATUSES)
            except BridgeError as error:
                away.add(deposit.storefront)
                _log.warning("deposit.not_expired", deposit=deposit.deposit_id, why=str(error))
        return ended

    def _known(self, asked: Asked) -> Deposit | None:
        with self._database.read() as tx:
            known = deposits.asked(tx, asked.tenant_id, asked.caller, asked.key)
        if known and known.request_digest != _digest(asked):
            raise KeyReusedError(
                f"the idempotency key was used for deposit {known.deposit_id}, which asked for "
                "something else; use a new key"
            )
        return known

    def _begun(self, asked: Asked, *, create_tenant: bool) -> Deposit:
        """Keep a new deposit, which nobody can pay yet, if it may be opened."""
        plan = self._plan(asked.plan) if asked.plan else None
        amount = plan.price * asked.periods if plan else asked.amount or 0
        currency = plan.currency if plan else asked.currency
        till = self._till(currency, asked.storefront)
        limits = till.terms.limits[currency]
        check_amount(limits, amount, stepped=plan is None)
        now = self._clock()
        deposit = _new(asked, till, limits, amount, now)
        with self._database.write() as tx:
            reports.require_tenant(tx, asked.tenant_id, now, create=create_tenant)
            _check_room(tx, deposit, limits)
            if asked.purpose and asked.purpose.request_id:
                _check_request(tx, deposit, asked.purpose.request_id)
            deposits.add(tx, deposit)
        return deposit

    def _payable(self, deposit: Deposit, *, search: bool) -> Deposit:
        """Record where a deposit is paid: by its order, or by a link that makes one."""
        till = self._till(deposit.currency, deposit.storefront)
        form = self._form(till, deposit)
        order_id = None
        if deposit.mode == Mode.PAY:
            order_id, pay_url = _ordered(till.checkout(), form, search=search)
        else:
            pay_url = till.link(deposit, form)
        with self._database.write() as tx:
            deposits.placed(tx, deposit, order_id, pay_url)
            opened = deposits.get(tx, deposit.deposit_id)
            deposits.tell(tx, [opened], self._clock())
        return opened

    def _end(self, deposit: Deposit, ending: Status, over: Collection[str]) -> bool:
        """End a deposit if its order, cancelled if it can be, then has one of the statuses `over`.

        Otherwise money is on its way, and the deposit is looked at soon.
        """
        opening = _lease(deposit.tenant_id, deposit.caller, deposit.idempotency_key)
        alone = nullcontext() if deposit.pay_url else self._leases.held(opening, LEASE_S)
        with alone:
            seen = self._order_cancelled(deposit, awaited=ending is Status.CANCELLED)
        now = self._clock()
        with self._database.write() as tx:
            if seen not in over:
                deposits.hasten(tx, deposit, now)
                return False
            ended = deposits.close(tx, deposit, ending, now)
            if ended:
                deposits.tell(tx, [deposit._replace(status=ending)], now)
        return ended

    def _order_cancelled(self, deposit: Deposit, *, awaited: bool) -> str:
        """Cancel a deposit's order, if bridge made it, and return the status it has then."""
        till = self._tills.get(deposit.storefront)
        if till is None or deposit.mode != Mode.PAY:
            return VANISHED
        checkout, order_id = till.checkout(), deposit.order_id
        if order_id is None:
            found = checkout.find(self._form(till, deposit))
            order_id = found and found.order_id
        return VANISHED if order_id is None else checkout.cancel(order_id, awaited=awaited)

    def _plan(self, plan_id: str) -> Plan:
        try:
            return self.plans[plan_id]
        except KeyError:
            known = ", ".join(self.plans) or "none"
            raise DepositRefusedError(f"no plan {plan_id!a:.60}; there are: {known}") from None

    def _till(self, currency: str, storefront: str) -> Till:
        return till_for(self._tills.values(), currency, storefront)

    def _form(self, till: Till, deposit: Deposit) -> OrderForm:
        own = self._return_url and f"{self._return_url}?deposit={deposit.deposit_id}"
        return till.form(deposit, own or deposit.return_url)

    def _get(self, deposit_id: str) -> Deposit:
        with self._database.read() as tx:
            return deposits.get(tx, deposit_id)


def _new(asked: Asked, till: Till, limits: Limits, amount: int, now: Instant) -> Deposit:
    return Deposit(
        tenant_id=asked.tenant_id,
        deposit_id=deposits.new_id(),
        caller=asked.caller,
        idempotency_key=asked.key,
        request_digest=_digest(asked),
        storefront=till.name,
        mode=asked.mode or till.terms.mode,
        amount=amount,
        bonus=limits.bonus(amount),
        currency=limits.currency,
        plan=asked.plan,
        periods=asked.periods,
        return_url=asked.return_url,
        metadata=asked.metadata,
        expires_at=now + till.terms.expires_in,
        created_at=now,
        purpose=asked.purpose.as_json() if asked.purpose else "",
        purpose_status="pending" if asked.purpose else "",
        watch_since=now,
        watch_at=next_look(now, now),
        changed_at=now,
    )


def _check_room(tx: Connection, deposit: Deposit, limits: Limits) -> None:
    """Raise DepositRefusedError where too much is under way, or the balance would grow too large.

    The tenant must exist.
    """
    number, coming = deposits.outstanding(tx, deposit.tenant_id, deposit.currency)
    if number >= OPEN_MAX:
        raise DepositRefusedError(
            f"{number} deposits in {deposit.currency} are under way; pay or cancel one of them"
        )
    balance = reports.wallet(tx, deposit.tenant_id, deposit.currency).balance
    check_balance(limits, balance + coming + deposit.amount + deposit.bonus)


def _check_request(tx: Connection, deposit: Deposit, request_id: str) -> None:
    """Raise DepositRefusedError unless the deposit may pay that payment request."""
    request = payment_requests.get(tx, request_id)
    wanted = (deposit.tenant_id, deposit.currency, "open")
    if (request.tenant_id, request.currency, request.status) != wanted:
        raise DepositRefusedError(
            f"payment request {request_id} is not an open one of {deposit.tenant_id} in "
            f"{deposit.currency}; deposit for one that is, or for none"
        )


def _ordered(checkout: Checkout, form: OrderForm, *, search: bool) -> Placed:
    """Return the order for a deposit, placed now unless a `search` finds it placed before."""
    if search and (found := checkout.find(form)):
        return found
    try:
        return checkout.place(form)
    except StorefrontUnavailableError:
        if found := checkout.find(form):  # only its answer was lost
            return found
        raise


def _digest(asked: Asked) -> bytes:
    return request_digest("deposit", *asked)


def _lease(tenant_id: str, caller: str, key: str) -> str:
    return f"deposit:{tenant_id}:{caller}:{hashlib.sha256(key.encode()).hexdigest()[:16]}"
