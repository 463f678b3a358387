"""What happened, as others are told of it: facts, and the numbered events they become.

A fact goes into the outbox in the database transaction that made it true, so it is told if and only
if it is so. What entries tell is read off the entries themselves.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from bridge.domain.clock import Instant
from bridge.domain.entry import Kind
from bridge.domain.errors import NotFoundError
from bridge.domain.wallet import WalletId


class EventType(StrEnum):
    """What can be told; the part before the dot says of what."""

    WALLET_CREDITED = "wallet.credited"
    WALLET_DEBITED = "wallet.debited"
    WALLET_REVERSED = "wallet.reversed"
    HOLD_PLACED = "hold.placed"
    HOLD_CAPTURED = "hold.captured"
    HOLD_VOIDED = "hold.voided"
    HOLD_EXPIRED = "hold.expired"
    DEPOSIT_OPENED = "deposit.opened"
    DEPOSIT_PAID = "deposit.paid"
    DEPOSIT_CREDITED = "deposit.credited"
    DEPOSIT_EXPIRED = "deposit.expired"
    DEPOSIT_REVERSED = "deposit.reversed"
    PAYMENT_REQUEST_PAID = "payment_request.paid"
    RENEWAL_UPCOMING = "renewal.upcoming"
    RENEWAL_PAID = "renewal.paid"
    RENEWAL_PAYMENT_FAILED = "renewal.payment_failed"
    RENEWAL_LAPSED = "renewal.lapsed"
    BALANCE_LOW = "balance.low"
    BALANCE_RECOVERED = "balance.recovered"
    BALANCE_NEGATIVE = "balance.negative"
    ORDER_HELD = "order.held"
    ORDER_RELEASED = "order.released"
    STOREFRONT_STALE = "storefront.stale"
    STOREFRONT_RECOVERED = "storefront.recovered"
    RECONCILIATION_DRIFT_FOUND = "reconciliation.drift_found"


class Happened(NamedTuple):
    """A fact to be told. `tenant_id` is "" where it concerns the operators alone.

    `data` is JSON: amounts in minor units beside their `currency`, times as RFC 3339.
    """

    type: EventType
    tenant_id: str
    occurred_at: Instant
    data: Mapping[str, Any]

    @property
    def wallet_id(self) -> WalletId | None:
        """The wallet it is about, if any."""
        if not self.tenant_id or "currency" not in self.data:
            return None
        return WalletId(self.tenant_id, self.data["currency"])


class Event(NamedTuple):
    """A fact with its place in the order of all.

    `currency` and `version` name the entry that tells the rest, and `data` is "" then; else they
    are "" and 0, and `data` is JSON. `occurred_at` is a fact's: an entry says itself when that was.
    """

    seq: int
    published_at: Instant
    type: str
    tenant_id: str
    currency: str
    version: int
    occurred_at: Instant
    data: str

    @property
    def id(self) -> str:
        """The event's public id, e.g. evt_17_1795000000000000; never used again.

        Its time tells it from an event that got the same number after a backup was restored. No
        dots, as Standard Webhooks wants it.
        """
        return f"evt_{self.seq}_{self.published_at}"


class EventId(NamedTuple):
    """The event that an id names."""

    seq: int
    published_at: Instant

    @classmethod
    def parse(cls, text: str) -> "EventId":
        """Read an id; NotFoundError if it cannot be one."""
        match = _EVENT_ID.fullmatch(text)
        if match is None:
            raise NotFoundError(f"{text!a:.60} is not an event id; they look like evt_17_1795…")
        return cls(int(match[1]), int(match[2]))


_EVENT_ID = re.compile(r"evt_([1-9][0-9]{0,17})_([1-9][0-9]{0,17})")


def told_as(kind: str, amount: int) -> EventType:
    """Return the one event that an entry is, by its kind and what it moves."""
    if kind == Kind.ADJUSTMENT:
        return EventType.WALLET_CREDITED if amount > 0 else EventType.WALLET_DEBITED
    return _TOLD_AS[kind]


_TOLD_AS: Mapping[str, EventType] = {
    Kind.DEPOSIT: EventType.WALLET_CREDITED,
    Kind.BONUS: EventType.WALLET_CREDITED,
    Kind.REVERSAL: EventType.WALLET_REVERSED,
    Kind.DEBIT: EventType.WALLET_DEBITED,
    Kind.DEBIT_REFUND: EventType.WALLET_CREDITED,
    Kind.HOLD: EventType.HOLD_PLACED,
    Kind.CAPTURE: EventType.HOLD_CAPTURED,
    Kind.VOID: EventType.HOLD_VOIDED,
    Kind.EXPIRE: EventType.HOLD_EXPIRED,
}
