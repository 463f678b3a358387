"""Payments of renewals by hand: each idempotency key pays one period, for ever."""

from typing import NamedTuple

from sqlalchemy import Connection, text

from bridge.domain import renewal as rules
from bridge.domain.clock import Instant
from bridge.domain.entry import DECLINED, REPLAYED, KeyId, Outcome, Reason
from bridge.domain.errors import BridgeError
from bridge.domain.renewal import Renewal, Status
from bridge.store import ledger, renewals, tables
from bridge.store.among import among
from bridge.store.renewals import RenewalNotFoundError

PAYMENTS = tables.table(tables.RenewalPayment)


class RenewalClosedError(BridgeError):
    """The renewal has ended, or the period asked for is not the one to be paid."""

    code = "renewal_closed"
    http_status = 409


class ByHand(NamedTuple):
    """A payment that somebody asks for; `period` is "" for the present one."""

    tenant_id: str
    caller: str
    key: str
    reference: str
    period: str = ""


def pay(tx: Connection, asked: ByHand, now: Instant) -> tuple[Renewal, Outcome]:
    """Pay the present period by hand, once for each key; what is to be kept may be taken.

    A period that was paid before is replayed, and nothing is locked: settlements pass over what is.
    Where the debit is declined nothing is changed. Raises RenewalNotFoundError, and
    RenewalClosedError for any other period.
    """
    renewal, before = _paid_already(tx, asked, lock=False)
    if before is None:
        renewal, before = _paid_already(tx, asked, lock=True)
    if before is not None:
        return renewal, before
    payment = asked._replace(period=renewal.period)
    if not tx.execute(_TAKE_KEY, payment._asdict()).rowcount:
        # Another renewal is paid under it at this moment: had it been before, we would have seen.
        return renewal, Outcome(DECLINED, reason=Reason.KEY_REUSED)
    [outcome] = ledger.post(tx, [rules.draft(renewal, by_hand=True)], now)
    if outcome.entry is None:
        tx.execute(_FREE_KEY, payment._asdict())
        return renewal, outcome
    return renewals.follow(tx, renewal, outcome, now), outcome


_TAKE_KEY = text(
    "INSERT INTO renewal_payments (tenant_id, caller, idempotency_key, reference, period)"
    " VALUES (:tenant_id, :caller, :key, :reference, :period) ON CONFLICT DO NOTHING"
)
_FREE_KEY = text(
    "DELETE FROM renewal_payments"
    " WHERE tenant_id = :tenant_id AND caller = :caller AND idempotency_key = :key"
)


def _paid_already(tx: Connection, asked: ByHand, *, lock: bool) -> tuple[Renewal, Outcome | None]:
    """Return the renewal, and the outcome if this payment has one already; raises as `pay`."""
    renewal = renewals.get(tx, asked.tenant_id, asked.reference, lock=lock)
    if renewal is None:
        raise RenewalNotFoundError(f"no renewal {asked.reference!a:.140}; check its reference")
    if before := _asked_before(tx, asked):
        return renewal, before
    if asked.period not in {"", renewal.period}:
        return renewal, _paid_before(tx, asked.tenant_id, asked.reference, asked.period)
    if renewal.status == Status.ENDED:
        raise RenewalClosedError(f"renewal {asked.reference} has ended; PUT it to begin it again")
    return renewal, None


def _asked_before(tx: Connection, asked: ByHand) -> Outcome | None:
    """Return the outcome of an idempotency key that was used before."""
    key = (asked.tenant_id, asked.caller, asked.key)
    for row in among(tx, PAYMENTS, ("tenant_id", "caller", "idempotency_key"), [key]):
        if row.reference != asked.reference or asked.period not in {"", row.period}:
            return Outcome(DECLINED, reason=Reason.KEY_REUSED)
        return _paid_before(tx, asked.tenant_id, row.reference, row.period)
    return None


def _paid_before(tx: Connection, tenant_id: str, reference: str, period: str) -> Outcome:
    key = KeyId(tenant_id, rules.CALLER, rules.key(reference, period))
    for entry in ledger.known(tx, {key}).values():
        return Outcome(REPLAYED, entry)
    raise RenewalClosedError(
        f"period {period!a:.20} of renewal {reference} is not the one to be paid; GET it to see"
    )
