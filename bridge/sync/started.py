"""Deposits that bridge started, as their orders are settled: whose an order is, how each one fares.

Locks are taken in this order everywhere: orders, deposits, payment requests, renewals, wallets.
Orders that are new are added when all are taken.
"""

import contextlib
from collections.abc import Iterable, Mapping, Sequence

from bridge.domain.clock import Instant
from bridge.domain.crediting import NEGATIVE_STATUSES
from bridge.domain.deposit import TAG_KEY, UNDER_WAY, Mode, Purpose, Sight, Status, Tag, after
from bridge.domain.drift import balances
from bridge.domain.entry import DECLINED, PLANS, POSTED, Draft, Kind, Outcome, request_digest
from bridge.domain.held import Held, HeldError, HeldReason
from bridge.domain.order import Order, Unreadable
from bridge.domain.signing import Keys
from bridge.domain.started import tag_of
from bridge.domain.wallet import WalletId
from bridge.store import deposits, ledger, orders, payment_requests
from bridge.store.database import Connection
from bridge.store.deposits import Deposit
from bridge.store.orders import Seen
from bridge.store.payment_requests import PaymentRequestClosedError
from bridge.sync.context import Policy

_UNPAID = NEGATIVE_STATUSES | {"pending", "on-hold"}
_GONE = NEGATIVE_STATUSES - {"failed"}  # WooCommerce: a failed order can still be paid
_DRAFTS = frozenset({"checkout-draft", "auto-draft"})


class Begun:
    """The deposits that a batch of orders may belong to; it lasts as long as the batch.

    `tags` are the verified tags by order id.
    """

    def __init__(self, tags: Mapping[int, Tag], found: Iterable[Deposit]) -> None:
        self.tags = tags
        self.by_id = {deposit.deposit_id: deposit for deposit in found}
        self._taken: dict[str, int] = {}
        self._bound = {
            deposit.order_id: deposit.deposit_id
            for deposit in self.by_id.values()
            if deposit.order_id is not None and self.holder(deposit) == deposit.order_id
        }

    def holder(self, deposit: Deposit) -> int | None:
        """Return the only order that a deposit belongs to; None while it may be any.

        By a link a tenant can begin several orders; the first one credited keeps the deposit.
        """
        linked = deposit.mode != Mode.PAY and deposit.credited_at is None
        return self._taken.get(deposit.deposit_id, None if linked else deposit.order_id)

    def bound(self, order_id: int) -> Deposit | None:
        """Return the deposit that belongs to no other order than this one, whatever its tag."""
        return self.by_id.get(self._bound.get(order_id, ""))

    def of(self, order_id: int) -> Deposit | None:
        """Return the deposit that an order belongs to."""
        tag = self.tags.get(order_id)
        deposit = self.bound(order_id) or (self.by_id.get(tag.deposit_id) if tag else None)
        fits = deposit is not None and self.holder(deposit) in {None, order_id}
        return deposit if fits else None

    def credited(self, order_id: int) -> None:
        """Let the later orders of the batch see that this one's deposit is taken."""
        if deposit := self.of(order_id):
            self._taken[deposit.deposit_id] = order_id


def begun(
    tx: Connection,
    policy: Policy,
    arrived: Sequence[Order | Unreadable],
    seen: Mapping[int, Seen],
    *,
    lock: bool,
) -> Begun:
    """Return the deposits of a batch; locked, with the payment requests that they are to pay.

    An order that got the id of another one is known by its tag alone.
    """
    keys = policy.rules.deposit_keys
    if not keys:
        return Begun({}, ())
    tags = {
        order.id: tag
        for order in arrived
        if isinstance(order, Order) and (tag := _tag(order, keys)) is not None
    }
    first = [order.id for order in arrived if seen[order.id].generation == 1]
    named = {tag.deposit_id for tag in tags.values()}
    found = deposits.concerned(tx, policy.storefront, first, named, lock=lock)
    if lock:
        payment_requests.locked(tx, filter(None, map(_request_id, found)))
    return Begun(tags, found)


def _tag(order: Order, keys: Keys) -> Tag | None:
    with contextlib.suppress(HeldError):  # crediting holds such an order, and says why
        return tag_of(order, keys)
    return None


def _request_id(deposit: Deposit) -> str:
    if deposit.purpose_status != "pending":
        return ""
    return Purpose.from_json(deposit.purpose).request_id


def objection(order: Order, begun: Begun) -> Held | None:
    """Say why an order that would be credited does not get the deposit that it names."""
    tag, bound = begun.tags.get(order.id), begun.bound(order.id)
    if bound and (tag is None or tag.deposit_id != bound.deposit_id):
        return _retagged(bound, tag)
    if tag is None:
        return None
    deposit = begun.by_id.get(tag.deposit_id)
    if deposit is None:
        return Held(
            HeldReason.DEPOSIT_UNKNOWN,
            f"{tag.deposit_id} is signed, but this database does not have it; take {TAG_KEY} off "
            "to credit the order as any tagged order",
        )
    holder = begun.holder(deposit)
    if holder in {None, order.id}:
        return None
    return Held(
        HeldReason.DEPOSIT_ELSEWHERE,
        f"{tag.deposit_id} belongs to order {holder}; refund this one, or take {TAG_KEY} off to "
        "credit it as any tagged order",
    )


def _retagged(bound: Deposit, tag: Tag | None) -> Held:
    if tag is None:
        return Held(
            HeldReason.DEPOSIT_TAG_MISSING,
            f"the order was started for {bound.deposit_id}, but {TAG_KEY} is gone; put it back, or "
            "cancel the order and adjust the balance by hand",
        )
    return Held(
        HeldReason.DEPOSIT_ELSEWHERE,
        f"the order was started for {bound.deposit_id}, but says {tag.deposit_id}; put "
        f"{TAG_KEY} back as it was",
    )


def follow(
    tx: Connection, storefront: str, rows: Iterable[Seen], begun: Begun, now: Instant
) -> None:
    """Write down what settling these orders, under locks, made of their deposits.

    What a deposit is meant for is done as soon as it is credited, in the same database transaction.
    """
    mine = [row for row in rows if _tells(row) and begun.of(row.order_id)]
    if not mine:
        return
    posted = orders.posted(tx, storefront, [row.order_id for row in mine])
    before = dict(begun.by_id)
    for row in mine:
        if deposit := begun.of(row.order_id):
            net = balances(row.own(posted)).get(_wallet(deposit), 0)
            begun.by_id[deposit.deposit_id] = _followed(deposit, row, net, now)
    changed = [
        _served(tx, deposit, now)._replace(changed_at=now)
        for deposit_id, deposit in sorted(begun.by_id.items())
        if deposit != before[deposit_id]
    ]
    deposits.save(tx, changed)
    moved = (one for one in changed if one.status != before[one.deposit_id].status)
    deposits.tell(tx, moved, now)


def _tells(row: Seen) -> bool:
    """Tell whether the row is about the order that the deposit was started with."""
    return bool(row.snapshot) and row.reason != HeldReason.IDENTITY_CHANGED


def _wallet(deposit: Deposit) -> WalletId:
    return WalletId(deposit.tenant_id, deposit.currency)


def _followed(deposit: Deposit, row: Seen, net: int, now: Instant) -> Deposit:
    paid = row.order().paid_at is not None and row.status not in _UNPAID
    other = deposit.order_id not in {None, row.order_id}
    if other and (row.status in _DRAFTS or (deposit.status is Status.PAID and not (paid or net))):
        return deposit
    gone = deposit.mode == Mode.PAY and row.status in _GONE
    status = after(deposit.status, Sight(net, paid, gone))
    credited_at = now if status is Status.CREDITED else None
    return deposit._replace(
        status=status,
        order_id=row.order_id,
        order_status=row.status,
        because=row.because,
        watch_at=deposit.watch_at if status in UNDER_WAY else None,
        credited_at=deposit.credited_at or credited_at,
    )


def _served(tx: Connection, deposit: Deposit, now: Instant) -> Deposit:
    """Make the debit that a credited deposit is meant for; one that is declined, only once."""
    if deposit.status is not Status.CREDITED or deposit.purpose_status != "pending":
        return deposit
    purpose = Purpose.from_json(deposit.purpose)
    try:
        if purpose.request_id:
            _, outcome = payment_requests.pay(tx, purpose.request_id, now)
        else:
            [outcome] = ledger.post(tx, [_draft(deposit, purpose)], now)
    except PaymentRequestClosedError as closed:
        return deposit._replace(purpose_status=DECLINED, purpose_reason=closed.code)
    return _answered(deposit, outcome)


def _answered(deposit: Deposit, outcome: Outcome) -> Deposit:
    if outcome.entry:
        return deposit._replace(purpose_status=POSTED, purpose_entry=outcome.entry.id)
    return deposit._replace(purpose_status=DECLINED, purpose_reason=str(outcome.reason))


def _draft(deposit: Deposit, purpose: Purpose) -> Draft:
    return Draft(
        Kind.DEBIT,
        *_wallet(deposit),
        purpose.amount,
        caller="deposit",
        key=f"{deposit.deposit_id}/purpose",
        digest=request_digest("purpose", *_wallet(deposit), *purpose),
        contra=PLANS,
        source=f"deposit/{deposit.deposit_id}/{purpose.purpose}",
        reference=purpose.reference,
        description=purpose.description,
        metadata=purpose.metadata,
    )
