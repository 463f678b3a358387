"""An example of every event, as the OpenAPI document shows it."""

from collections.abc import Mapping
from typing import Any

from bridge.domain.event import EventType

_NOON = "2026-11-22T12:00:00.000000Z"
_LATER = "2026-11-23T12:00:00.000000Z"
_MONTH_END = "2026-11-30T09:00:00.000000Z"
_OFFER = "https://billing.example.com/billing/offer?link=WyJhY21lIi…"

_ENTRY: dict[str, Any] = {
    "id": "acme.EUR.17",
    "tenant_id": "acme",
    "currency": "EUR",
    "amount": -1900,
    "held": 0,
    "balance_after": 8100,
    "held_after": 0,
    "version": 17,
    "kind": "debit",
    "contra": "plans",
    "purpose": "plan_renewal",
    "reference": "sub-17",
    "description": "Pro, November",
    "source": "api/core/plan_renewal",
    "metadata": {},
    "related_entry_id": None,
    "occurred_at": _NOON,
    "recorded_at": _NOON,
    "hash": "9f" * 32,
}
_CREDIT = _ENTRY | {
    "amount": 10_000,
    "balance_after": 10_000,
    "version": 16,
    "id": "acme.EUR.16",
    "kind": "deposit",
    "contra": "storefront:main",
    "purpose": None,
    "reference": "1042",
    "description": "",
    "source": "order/main/1042",
}
_HOLD = _ENTRY | {"amount": 0, "held": 1900, "held_after": 1900, "kind": "hold", "purpose": None}
_RELEASED = {"amount": 0, "held": -1900, "related_entry_id": "acme.EUR.16"}
_DEPOSIT: dict[str, Any] = {
    "id": "depaaaaaaaaaaaaaaaaa",
    "storefront": "main",
    "mode": "pay",
    "status": "open",
    "amount": 10_000,
    "bonus": 500,
    "currency": "EUR",
    "plan": None,
    "periods": 1,
    "order_id": 1042,
    "order_status": "pending",
    "waiting_for": "payment",
    "metadata": {},
    "purpose_status": None,
    "purpose_reason": None,
    "purpose_entry_id": None,
    "expires_at": _LATER,
    "credited_at": None,
}
_REQUEST: dict[str, Any] = {
    "id": "payaaaaaaaaaaaaaaaaa",
    "tenant_id": "acme",
    "amount": 1900,
    "currency": "EUR",
    "purpose": "plan_purchase",
    "reference": "invoice-9",
    "description": "Pro",
    "metadata": {},
    "status": "paid",
    "entry_id": "acme.EUR.17",
    "created_at": _NOON,
    "changed_at": _NOON,
}
_RENEWAL: dict[str, Any] = {
    "reference": "sub-17",
    "period": "2026-11-30",
    "amount": 1900,
    "currency": "EUR",
    "due_at": _MONTH_END,
    "auto_renew": True,
    "metadata": {},
}
_SHORT = _RENEWAL | {"available": 400, "shortfall": 1500, "deposit_url": _OFFER}
_FAILED = _SHORT | {
    "reason": "insufficient_balance",
    "failures": 1,
    "retry_at": "2026-12-01T09:00:00.000000Z",
    "lapses_at": "2026-12-14T09:00:00.000000Z",
}
_BALANCE: dict[str, Any] = {
    "currency": "EUR",
    "balance": 400,
    "held": 0,
    "available": 400,
    "threshold": 1900,
}
_ORDER: dict[str, Any] = {
    "storefront": "main",
    "order_id": 1042,
    "status": "completed",
    "reason": "tag_missing",
    "because": "no tenant is named; set the order's _tenant_id",
}
_STOREFRONT: dict[str, Any] = {
    "storefront": "main",
    "stale_since": _NOON,
    "succeeded_at": "2026-11-22T11:40:00.000000Z",
    "because": "the storefront does not answer",
}

EXAMPLES: Mapping[EventType, dict[str, Any]] = {
    EventType.WALLET_CREDITED: _CREDIT,
    EventType.WALLET_DEBITED: _ENTRY,
    EventType.WALLET_REVERSED: _CREDIT
    | {"amount": -2000, "balance_after": 6100, "kind": "reversal", "id": "acme.EUR.18"},
    EventType.HOLD_PLACED: _HOLD,
    EventType.HOLD_CAPTURED: _HOLD | _RELEASED | {"amount": -1900, "kind": "capture"},
    EventType.HOLD_VOIDED: _HOLD | _RELEASED | {"kind": "void"},
    EventType.HOLD_EXPIRED: _HOLD | _RELEASED | {"kind": "expire"},
    EventType.DEPOSIT_OPENED: _DEPOSIT
    | {"pay_url": "https://store.example.com/checkout/order-pay/1042/?pay_for_order=true&key=…"},
    EventType.DEPOSIT_PAID: _DEPOSIT
    | {"status": "paid", "order_status": "processing", "waiting_for": "storefront"},
    EventType.DEPOSIT_CREDITED: _DEPOSIT
    | {
        "status": "credited",
        "order_status": "completed",
        "waiting_for": None,
        "credited_at": _NOON,
    },
    EventType.DEPOSIT_EXPIRED: _DEPOSIT
    | {"status": "expired", "order_status": "cancelled", "waiting_for": None},
    EventType.DEPOSIT_REVERSED: _DEPOSIT
    | {
        "status": "reversed",
        "order_status": "refunded",
        "waiting_for": None,
        "credited_at": _NOON,
    },
    EventType.PAYMENT_REQUEST_PAID: _REQUEST,
    EventType.RENEWAL_UPCOMING: _SHORT,
    EventType.RENEWAL_PAID: _RENEWAL
    | {"entry_id": "acme.EUR.17", "next_due_at": "2026-12-31T09:00:00.000000Z"},
    EventType.RENEWAL_PAYMENT_FAILED: _FAILED,
    EventType.RENEWAL_LAPSED: _FAILED | {"failures": 4, "retry_at": None, "lapses_at": None},
    EventType.BALANCE_LOW: _BALANCE | {"deposit_url": _OFFER},
    EventType.BALANCE_RECOVERED: _BALANCE | {"balance": 10_400, "available": 10_400},
    EventType.BALANCE_NEGATIVE: _BALANCE | {"balance": -1600, "available": -1600},
    EventType.ORDER_HELD: _ORDER,
    EventType.ORDER_RELEASED: _ORDER | {"reason": None, "because": "credited"},
    EventType.STOREFRONT_STALE: _STOREFRONT,
    EventType.STOREFRONT_RECOVERED: _STOREFRONT | {"succeeded_at": _NOON, "because": ""},
    EventType.RECONCILIATION_DRIFT_FOUND: {
        "run_id": "run_aaaaaaaaaaaaaaaa",
        "storefront": "main",
        "kind": "sweep",
        "findings": 1,
        "amounts": {"EUR": 5000},
        "dry_run": False,
    },
}
"""An example of what each type tells."""

_OPERATORS = frozenset({"order", "storefront", "reconciliation"})
"""The families that concern operators; an order may be known to be a tenant's."""


def example(event_type: EventType) -> dict[str, Any]:
    """Return the body of an event of a type."""
    operators = event_type.partition(".")[0] in _OPERATORS
    return {
        "id": "evt_17_1795348800000000",
        "type": event_type.value,
        "timestamp": _NOON,
        "tenant_id": None if operators else "acme",
        "data": EXAMPLES[event_type],
    }
