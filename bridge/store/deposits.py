"""Deposits that bridge started: asked for once, bound to one order, watched until they are done."""

import json
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, insert, select, text, tuple_, update

from bridge.domain.clock import Instant, isoformat
from bridge.domain.deposit import UNDER_WAY, Status, next_look, waiting_for
from bridge.domain.errors import NotFoundError
from bridge.domain.event import EventType, Happened
from bridge.store import outbox, tables
from bridge.store.among import among, of_orders

DEPOSITS = tables.table(tables.Deposit)

_ID_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_ID_LENGTH = 17  # 85 bits: nobody meets another's by chance


class DepositNotFoundError(NotFoundError):
    """No such deposit."""

    code = "deposit_not_found"


class Deposit(NamedTuple):
    """A deposit; the fields stand in the order of the table's columns. Amounts are minor units.

    `caller` and `idempotency_key` say who asked; `pay_url` is "" until the storefront has it.
    `order_id` is the order it belongs to, `order_status` and `because` what was last seen of that.
    `purpose` is JSON of a `domain.deposit.Purpose`, or ""; `purpose_status` is "", pending, posted
    or declined, with the ledger's reason, or the id of the entry. It is watched from `watch_since`
    on, next at `watch_at`; never again where that is None.
    """

    tenant_id: str
    deposit_id: str
    caller: str
    idempotency_key: str
    request_digest: bytes
    storefront: str
    mode: str
    amount: int
    bonus: int
    currency: str
    plan: str
    periods: int
    return_url: str
    metadata: str
    expires_at: Instant
    created_at: Instant
    pay_url: str = ""
    status: Status = Status.OPEN
    order_id: int | None = None
    order_status: str = ""
    because: str = ""
    purpose: str = ""
    purpose_status: str = ""
    purpose_reason: str = ""
    purpose_entry: str = ""
    watch_since: Instant = 0
    watch_at: Instant | None = None
    changed_at: Instant = 0
    credited_at: Instant | None = None


def new_id() -> str:
    """Return an id that no deposit has."""
    return random_id("dep")


def random_id(kind: str) -> str:
    """Return an id that begins with three letters for its kind.

    Letters and digits only, so that any search finds it.
    """
    return kind + "".join(secrets.choice(_ID_LETTERS) for _ in range(_ID_LENGTH))


def add(tx: Connection, deposit: Deposit) -> None:
    """Keep a new deposit; its idempotency key must be new, too."""
    tx.execute(insert(DEPOSITS).values(**deposit._asdict()))


def asked(tx: Connection, tenant_id: str, caller: str, key: str) -> Deposit | None:
    """Return the deposit that was asked for under an idempotency key."""
    owner = {"tenant_id": tenant_id, "caller": caller, "idempotency_key": key}
    return next(iter(_where(tx, **owner)), None)


def get(tx: Connection, deposit_id: str) -> Deposit:
    """Return a deposit; DepositNotFoundError where there is none by that id."""
    for deposit in _where(tx, deposit_id=deposit_id):
        return deposit
    raise DepositNotFoundError(f"no deposit {deposit_id!a:.60}; check its id")


def of_tenant(
    tx: Connection,
    tenant_id: str,
    *,
    statuses: Collection[str] = (),
    before: tuple[Instant, str] | None = None,
    limit: int,
) -> list[Deposit]:
    """Return a tenant's deposits, newest first; `before` is the last one of the page before."""
    query = select(DEPOSITS).where(DEPOSITS.c.tenant_id == tenant_id)
    if statuses:
        query = query.where(DEPOSITS.c.status.in_(statuses))
    if before is not None:
        query = query.where(tuple_(DEPOSITS.c.created_at, DEPOSITS.c.deposit_id) < before)
    order = (DEPOSITS.c.created_at.desc(), DEPOSITS.c.deposit_id.desc())
    return [_deposit(row) for row in tx.execute(query.order_by(*order).limit(limit))]


def outstanding(tx: Connection, tenant_id: str, currency: str) -> tuple[int, int]:
    """Return how many deposits are under way, and what they would bring, bonus included."""
    brings = func.coalesce(func.sum(DEPOSITS.c.amount + DEPOSITS.c.bonus), 0)
    query = select(func.count(), brings).where(
        DEPOSITS.c.tenant_id == tenant_id,
        DEPOSITS.c.currency == currency,
        DEPOSITS.c.status.in_(UNDER_WAY),
    )
    number, amount = tx.execute(query).one()
    return int(number), int(amount)


def concerned(
    tx: Connection,
    storefront: str,
    order_ids: Collection[int],
    deposit_ids: Collection[str],
    *,
    lock: bool = False,
) -> list[Deposit]:
    """Return the deposits bound to one of the orders, or that have one of these ids."""
    bound = of_orders(tx, DEPOSITS, storefront, order_ids)
    named = among(tx, DEPOSITS, ("deposit_id",), {(deposit_id,) for deposit_id in deposit_ids})
    keys = {(row.tenant_id, row.deposit_id) for row in (*bound, *named)}
    rows = among(tx, DEPOSITS, ("tenant_id", "deposit_id"), keys, lock=lock)
    return [_deposit(row) for row in rows]


def save(tx: Connection, deposits: Iterable[Deposit]) -> None:
    """Write what became of deposits that were locked before."""
    if rows := [deposit._asdict() for deposit in deposits]:
        tx.execute(_SAVE, rows)


_CHANGING = (
    *("status", "order_id", "order_status", "because"),
    *("purpose_status", "purpose_reason", "purpose_entry"),
    *("watch_since", "watch_at", "changed_at", "credited_at"),
)
_MINE = "tenant_id = :tenant_id AND deposit_id = :deposit_id"
_SAVE = text(
    f"UPDATE deposits SET {', '.join(f'{name} = :{name}' for name in _CHANGING)} WHERE {_MINE}"
)
_WATCH = text(f"UPDATE deposits SET watch_at = :watch_at WHERE {_MINE}")


def placed(tx: Connection, deposit: Deposit, order_id: int | None, pay_url: str) -> None:
    """Record where a new deposit is paid, and its order if there is one already."""
    values = {"pay_url": pay_url} | ({} if order_id is None else {"order_id": order_id})
    tx.execute(update(DEPOSITS).where(*_is(deposit)).values(values))


def close(tx: Connection, deposit: Deposit, status: Status, now: Instant) -> bool:
    """End an open deposit as expired or cancelled; False where it is not open any more."""
    values = {"status": status, "watch_at": None, "changed_at": now}
    still_open = DEPOSITS.c.status == Status.OPEN
    return bool(
        tx.execute(update(DEPOSITS).where(*_is(deposit), still_open).values(values)).rowcount
    )


def hasten(tx: Connection, deposit: Deposit, now: Instant) -> None:
    """Watch a deposit as closely as a new one: the tenant has just come back from paying."""
    under_way = DEPOSITS.c.status.in_(UNDER_WAY)
    values = {"watch_since": now, "watch_at": now}
    tx.execute(update(DEPOSITS).where(*_is(deposit), under_way).values(values))


def due(tx: Connection, storefront: str, now: Instant) -> bool:
    """Tell whether a deposit is to be looked at, without a lock."""
    query = select(DEPOSITS.c.deposit_id).where(*_watched(storefront, now))
    return tx.execute(query.limit(1)).first() is not None


def claim(tx: Connection, storefront: str, now: Instant, limit: int) -> list[Deposit]:
    """Take up to `limit` deposits to look at, and say when to look at them again."""
    query = (
        select(DEPOSITS)
        .where(*_watched(storefront, now))
        .order_by(DEPOSITS.c.watch_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    taken = [_deposit(row) for row in tx.execute(query)]
    later = [one._replace(watch_at=next_look(one.watch_since, now)) for one in taken]
    if later:
        tx.execute(_WATCH, [deposit._asdict() for deposit in later])
    return taken


def tell(tx: Connection, deposits: Iterable[Deposit], now: Instant) -> None:
    """Leave word of the states that deposits have come to; nothing is said of a cancelled one."""
    outbox.add(tx, [_told(deposit, now) for deposit in deposits if deposit.status in _SAID])


_SAID: Mapping[Status, EventType] = {
    Status.OPEN: EventType.DEPOSIT_OPENED,
    Status.PAID: EventType.DEPOSIT_PAID,
    Status.CREDITED: EventType.DEPOSIT_CREDITED,
    Status.EXPIRED: EventType.DEPOSIT_EXPIRED,
    Status.REVERSED: EventType.DEPOSIT_REVERSED,
}
_SAID_AS_KEPT = ("storefront", "mode", "status", "amount", "bonus", "currency", "periods")


def _told(deposit: Deposit, now: Instant) -> Happened:
    credited_at = deposit.credited_at
    data = {name: getattr(deposit, name) for name in _SAID_AS_KEPT} | {
        "id": deposit.deposit_id,
        "plan": deposit.plan or None,
        "order_id": deposit.order_id,
        "order_status": deposit.order_status or None,
        "waiting_for": waiting_for(deposit.status, deposit.order_status),
        "metadata": json.loads(deposit.metadata),
        "purpose_status": deposit.purpose_status or None,
        "purpose_reason": deposit.purpose_reason or None,
        "purpose_entry_id": deposit.purpose_entry or None,
        "expires_at": isoformat(deposit.expires_at),
        "credited_at": None if credited_at is None else isoformat(credited_at),
    }
    if deposit.status is Status.OPEN:
        data["pay_url"] = deposit.pay_url
    return Happened(_SAID[deposit.status], deposit.tenant_id, now, data)


def expired(tx: Connection, now: Instant, limit: int) -> list[Deposit]:
    """Return open deposits whose time has run out, but none that waits for a bank."""
    query = select(DEPOSITS).where(
        DEPOSITS.c.status == Status.OPEN,
        DEPOSITS.c.expires_at <= now,
        DEPOSITS.c.order_status.not_in(["on-hold", "processing"]),
    )
    rows = tx.execute(query.order_by(DEPOSITS.c.expires_at).limit(limit))
    return [_deposit(row) for row in rows]


def _watched(storefront: str, now: Instant) -> Sequence[Any]:
    return (DEPOSITS.c.storefront == storefront, DEPOSITS.c.watch_at <= now)


def _is(deposit: Deposit) -> Sequence[Any]:
    return (
        DEPOSITS.c.tenant_id == deposit.tenant_id,
        DEPOSITS.c.deposit_id == deposit.deposit_id,
    )


def _where(tx: Connection, **where: str) -> list[Deposit]:
    query = select(DEPOSITS).where(*(DEPOSITS.c[name] == value for name, value in where.items()))
    return [_deposit(row) for row in tx.execute(query)]


def _deposit(row: Any) -> Deposit:
    deposit = Deposit._make(row)
    return deposit._replace(status=Status(deposit.status))
