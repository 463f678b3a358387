"""Renewals: kept, claimed when they are to be looked at, and settled when money arrives.

Locks are taken in this order everywhere: orders, deposits, payment requests, renewals, the keys of
their payments, wallets. `settle` alone comes with wallets locked; so it leaves out renewals that
somebody else has locked, who will look at the wallet after us.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import structlog
from sqlalchemy import Connection, func, or_, select
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from bridge.domain import renewal as rules
from bridge.domain.clock import Instant, isoformat
from bridge.domain.entry import DECLINED, POSTED, REPLAYED, Entry, KeyId, Outcome
from bridge.domain.errors import BridgeError, NotFoundError
from bridge.domain.event import EventType, Happened
from bridge.domain.renewal import Renewal, Status
from bridge.domain.wallet import Wallet, WalletId
from bridge.store import bulk, ledger, outbox, tables
from bridge.store.among import among, free

log = structlog.get_logger()

RENEWALS = tables.table(tables.Renewal)

PUT_OFF = "put_off"
"""What became of a renewal that could not be looked at; others are counted by their event."""


class RenewalNotFoundError(NotFoundError):
    """No such renewal."""

    code = "renewal_not_found"


class RenewalAmbiguousError(BridgeError):
    """Several tenants have a renewal by this reference."""

    code = "renewal_ambiguous"
    http_status = 409


def find(tx: Connection, reference: str, tenant_id: str = "") -> Renewal:
    """Return a renewal by its reference, which may need the tenant's id to be told from another.

    Raises RenewalNotFoundError and RenewalAmbiguousError.
    """
    query = select(RENEWALS).where(RENEWALS.c.reference == reference)
    if tenant_id:
        query = query.where(RENEWALS.c.tenant_id == tenant_id)
    found = [Renewal._make(row) for row in tx.execute(query.limit(2))]
    if not found:
        raise RenewalNotFoundError(f"no renewal {reference!a:.140}; check its reference")
    if len(found) > 1:
        raise RenewalAmbiguousError(
            f"several tenants have a renewal {reference!a:.140}; add ?tenant_id= to say whose"
        )
    return found[0]


def get(tx: Connection, tenant_id: str, reference: str, *, lock: bool = False) -> Renewal | None:
    """Return a renewal, None where there is none; with `lock` it is ours till the commit."""
    rows = among(tx, RENEWALS, ("tenant_id", "reference"), [(tenant_id, reference)], lock=lock)
    return next(map(Renewal._make, rows), None)


def put(tx: Connection, renewal: Renewal) -> None:
    """Keep a renewal, new or changed; one that exists must be locked before.

    The wallet that pays is opened, for whoever looks at the renewal has to lock it.
    """
    bulk.insert(tx, RENEWALS, [renewal], _OVER)
    bulk.insert(tx, ledger.WALLETS, [Wallet(*renewal.wallet_id)], "ON CONFLICT DO NOTHING")


_OVER = "ON CONFLICT (tenant_id, reference) DO UPDATE SET " + ", ".join(
    f"{column.name} = excluded.{column.name}"
    for column in RENEWALS.columns
    if not column.primary_key
)


def of_tenant(
    tx: Connection, tenant_id: str, *, after: str = "", limit: int | None = None
) -> list[Renewal]:
    """Return a tenant's renewals in the order of their references, beginning behind `after`."""
    query = select(RENEWALS).where(RENEWALS.c.tenant_id == tenant_id, RENEWALS.c.reference > after)
    return [Renewal._make(row) for row in tx.execute(query.order_by("reference").limit(limit))]


def paid_ahead(
    tx: Connection, renewals: Iterable[Renewal], until: Instant, limit: int
) -> set[tuple[str, str]]:
    """Return which coming periods were paid already, as reference and period.

    Of each renewal `limit` periods are looked at.
    """
    keys = {
        KeyId(renewal.tenant_id, rules.CALLER, rules.key(renewal.reference, period)): (
            renewal.reference,
            period,
        )
        for renewal in renewals
        for (_, period), _ in zip(rules.coming(renewal, until), range(limit), strict=False)
    }
    return {keys[found] for found in ledger.known(tx, set(keys))}


def coming(tx: Connection, ids: Collection[WalletId]) -> dict[WalletId, int]:
    """Return what must be available for the next renewal of each wallet, where one comes.

    Minor units: its amount, and what is to be kept. Only those count that bridge debits by itself.
    """
    renewals = map(Renewal._make, among(tx, RENEWALS, WalletId._fields, ids))
    automatic = [one for one in renewals if one.status in rules.COMING and one.refusal is None]
    last_first = sorted(automatic, key=lambda one: one.turn, reverse=True)
    return {renewal.wallet_id: renewal.amount + renewal.keep_at_least for renewal in last_first}


def due(tx: Connection, now: Instant) -> bool:
    """Tell whether a renewal is to be looked at, without a lock."""
    query = select(RENEWALS.c.reference).where(RENEWALS.c.look_at <= now)
    return tx.execute(query.limit(1)).first() is not None


def oldest(tx: Connection) -> Instant | None:
    """Return when the renewal that is to be looked at first is; None where none is."""
    return tx.execute(select(func.min(RENEWALS.c.look_at))).scalar()


def put_off(tx: Connection, now: Instant, until: Instant) -> list[Renewal]:
    """Return the renewals that `renew_first` put off till `until` at most, the next one first.

    They are to be looked at, but later than their own terms say.
    """
    columns = RENEWALS.c
    coming = select(RENEWALS).where(columns.look_at > now, columns.look_at <= until)
    # Most of what is coming waits for its day, and need not be read.
    odd = coming.where(
        or_(
            columns.status != Status.ACTIVE,
            columns.look_at.not_in([columns.due_at, columns.due_at - columns.notice]),
        )
    )
    found = map(Renewal._make, tx.execute(odd.order_by(columns.look_at)))
    return [renewal for renewal in found if rules.looked_at(renewal) != renewal]


def renew(tx: Connection, now: Instant, limit: int) -> Counter[str]:
    """Look at up to `limit` renewals whose time it is: announce, debit or lapse them.

    Each is taken one period further at most; one that is due again comes again. Others may do the
    same at the same time. Returns how many of them there were, by event; none: nothing is to do.
    """
    return _renewed(tx, _claimed(tx, now, limit), now)


def renew_first(tx: Connection, now: Instant, until: Instant) -> Counter[str]:
    """Look at the first renewal whose time it is; where that fails, it is PUT_OFF `until` then.

    Raises OperationalError and InterfaceError: a database that is away puts nothing off.
    """
    taken = _claimed(tx, now, 1)
    try:
        with tx.begin_nested():
            return _renewed(tx, taken, now)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        [renewal] = taken
        log.exception("renewal put off", tenant=renewal.tenant_id, reference=renewal.reference)
        bulk.update(tx, RENEWALS, [renewal._replace(look_at=until)])
        return Counter({PUT_OFF: 1})


def settle(tx: Connection, outcomes: Iterable[Outcome], now: Instant) -> list[Outcome]:
    """Pay what is overdue from the wallets to which these outcomes brought money.

    What one of them paid, a debit by the SaaS core itself, is overdue no more. Returns the outcomes
    of the debits that were posted. Those that do not fit are left as they are, without an event. An
    error of ours does not stop the money: it leaves them all so.
    """
    posted = [entry for status, entry, *_ in outcomes if status == POSTED and entry]
    owing, named = _owing(tx, posted), _named(tx, posted)
    if not owing and not named:
        return []
    try:
        with tx.begin_nested():
            return _settled(tx, {*owing, *_paid_by(posted, named)}, now)
    except DBAPIError:
        raise
    except Exception:
        tenants = sorted({one.tenant_id for one in [*owing, *named]})
        log.exception("renewals not settled", tenants=tenants)
        return []


def _owing(tx: Connection, posted: Iterable[Entry]) -> list[Renewal]:
    """Lock what is overdue, and may be debited, from the wallets to which entries brought money."""
    status = Status.OVERDUE.value
    wallets = {(one.tenant_id, one.currency, status) for one in posted if one.amount > one.held}
    rows = free(tx, RENEWALS, ("tenant_id", "currency", "status"), wallets)
    return [one for one in map(Renewal._make, rows) if one.refusal is None]


def _named(tx: Connection, posted: Iterable[Entry]) -> list[Renewal]:
    """Lock what is overdue of the renewals that debits name."""
    ids = {(entry.tenant_id, entry.reference) for entry in posted if entry.caller == rules.CALLER}
    rows = free(tx, RENEWALS, ("tenant_id", "reference"), ids)
    return [one for one in map(Renewal._make, rows) if one.status == Status.OVERDUE]


def _paid_by(posted: Iterable[Entry], renewals: Iterable[Renewal]) -> list[Renewal]:
    """Return the renewals whose present period an entry paid, from the wallet that should."""
    paid = {(*entry.wallet.id, entry.caller, entry.idempotency_key) for entry in posted}
    return [
        one
        for one in renewals
        if (*one.wallet_id, rules.CALLER, rules.key(one.reference, one.period)) in paid
    ]


def _settled(tx: Connection, overdue: Iterable[Renewal], now: Instant) -> list[Outcome]:
    ready = sorted(overdue, key=lambda one: one.turn)
    debits = _post(tx, ready, now)
    paid = [
        _after(renewal, outcome, now)
        for renewal, outcome in zip(ready, debits, strict=True)
        if outcome.entry
    ]
    _kept(tx, paid)
    return [outcome for outcome in debits if outcome.status == POSTED]


def follow(tx: Connection, renewal: Renewal, outcome: Outcome, now: Instant) -> Renewal:
    """Take a renewal further by what became of its debit, tell of it, and return it."""
    became = _after(renewal, outcome, now)
    _kept(tx, [became])
    return became.renewal


class _Became(NamedTuple):
    """A renewal after it was looked at, and what happened; `known` where that was told before."""

    renewal: Renewal
    happened: Happened
    known: bool = False


def _claimed(tx: Connection, now: Instant, limit: int) -> list[Renewal]:
    order = (RENEWALS.c.look_at, RENEWALS.c.priority, RENEWALS.c.tenant_id, RENEWALS.c.reference)
    query = select(RENEWALS).where(RENEWALS.c.look_at <= now).order_by(*order).limit(limit)
    return [Renewal._make(row) for row in tx.execute(query.with_for_update(skip_locked=True))]


def _renewed(tx: Connection, taken: Sequence[Renewal], now: Instant) -> Counter[str]:
    early = _early(tx, taken, now)
    late = sorted(set(taken) - set(early), key=lambda one: one.turn)
    became = [*_announced(tx, early, now), *_debited(tx, late, now)]
    return _kept(tx, became)


def _early(tx: Connection, renewals: Iterable[Renewal], now: Instant) -> list[Renewal]:
    """Return those that are not due yet, unless somebody paid the period ahead."""
    early = [one for one in renewals if one.status == Status.ACTIVE and now < one.due_at]
    paid = ledger.known(tx, {_key(renewal) for renewal in early})
    return [renewal for renewal in early if _key(renewal) not in paid]


def _announced(tx: Connection, renewals: Sequence[Renewal], now: Instant) -> list[_Became]:
    """Announce what will be due, and what is missing for it as things stand."""
    available = _available(tx, renewals)
    return [
        _Became(rules.noticed(one), _upcoming(one, available[one.wallet_id], now))
        for one in renewals
    ]


def _debited(tx: Connection, renewals: Sequence[Renewal], now: Instant) -> list[_Became]:
    """Debit what is due, in this order; what may not be debited is overdue all the same."""
    ready = [renewal for renewal in renewals if renewal.refusal is None]
    others = [renewal for renewal in renewals if renewal.refusal is not None]
    outcomes = [*_post(tx, ready, now), *_refused(tx, others)]
    return [
        _after(renewal, outcome, now)
        for renewal, outcome in zip([*ready, *others], outcomes, strict=True)
    ]


def _post(tx: Connection, renewals: Sequence[Renewal], now: Instant) -> list[Outcome]:
    return ledger.post(tx, list(map(rules.draft, renewals)), now) if renewals else []


def _refused(tx: Connection, renewals: Sequence[Renewal]) -> list[Outcome]:
    """Return what becomes of periods that may not be debited; the SaaS core may have paid them."""
    keys = {renewal.turn: _key(renewal) for renewal in renewals}
    paid = ledger.known(tx, set(keys.values()))
    available = _available(tx, renewals)
    return [
        Outcome(REPLAYED, paid[keys[one.turn]])
        if keys[one.turn] in paid
        else Outcome(DECLINED, available=available[one.wallet_id])
        for one in renewals
    ]


def _key(renewal: Renewal) -> KeyId:
    return KeyId(renewal.tenant_id, rules.CALLER, rules.key(renewal.reference, renewal.period))


def _available(tx: Connection, renewals: Iterable[Renewal]) -> Counter[WalletId]:
    """Return what is available by wallet, which is 0 where there is none."""
    ids = {renewal.wallet_id for renewal in renewals}
    rows = among(tx, ledger.WALLETS, WalletId._fields, ids)
    return Counter({wallet.id: wallet.available for wallet in map(Wallet._make, rows)})


def _after(renewal: Renewal, outcome: Outcome, now: Instant) -> _Became:
    """Take a renewal further by what became of its debit."""
    if outcome.entry is None:
        reason = outcome.reason or renewal.refusal
        return _unpaid(renewal, str(reason), outcome.available, now)
    after = rules.paid(renewal, outcome.entry.id, now)
    facts = rules.facts(renewal, entry_id=after.entry_id, next_due_at=isoformat(after.due_at))
    happened = Happened(EventType.RENEWAL_PAID, renewal.tenant_id, now, facts)
    # Bridge's own debit told so itself. It is found again where periods were begun anew.
    replayed = outcome.status == REPLAYED
    known = replayed and outcome.entry.source == rules.draft(renewal).source
    return _Became(after, happened, known)


def _unpaid(renewal: Renewal, reason: str, available: int, now: Instant) -> _Became:
    after = rules.failed(renewal, reason, now)
    if reason == rules.Refusal.NOT_AUTOMATIC and after.status == Status.OVERDUE:
        return _Became(after, _upcoming(renewal, available, now))
    facts = _short(renewal, available) | {
        "reason": reason,
        "failures": after.failures,
        "retry_at": _time(after.retry_at),
        "lapses_at": _time(after.lapses_at),
    }
    lapsed = after.status == Status.LAPSED
    kind = EventType.RENEWAL_LAPSED if lapsed else EventType.RENEWAL_PAYMENT_FAILED
    return _Became(after, Happened(kind, renewal.tenant_id, now, facts))


def _upcoming(renewal: Renewal, available: int, now: Instant) -> Happened:
    facts = _short(renewal, available)
    return Happened(EventType.RENEWAL_UPCOMING, renewal.tenant_id, now, facts)


def _short(renewal: Renewal, available: int) -> dict[str, Any]:
    """Return the facts of a period that is not paid: what there is, and what is missing."""
    shortfall = max(0, renewal.amount + renewal.keep_at_least - available)
    return rules.facts(renewal, available=available, shortfall=shortfall)


def _time(instant: Instant | None) -> str | None:
    return None if instant is None else isoformat(instant)


def _kept(tx: Connection, became: Sequence[_Became]) -> Counter[str]:
    for renewal, happened, _ in became:
        if happened.type is EventType.RENEWAL_LAPSED:
            log.warning("renewal lapsed", tenant=renewal.tenant_id, reference=renewal.reference)
    bulk.update(tx, RENEWALS, [one.renewal for one in became])
    outbox.add(tx, [one.happened for one in became if not one.known])
    return Counter(one.happened.type.value for one in became)
