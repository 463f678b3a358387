"""What events tell, type by type."""

from collections.abc import Mapping

from pydantic import BaseModel

from bridge.api.answers import Entry, Time
from bridge.domain.event import EventType


class DepositFacts(BaseModel):
    """A deposit that bridge started. `pay_url` is said once, when it is opened."""

    id: str
    storefront: str
    mode: str
    status: str
    amount: int
    bonus: int
    currency: str
    plan: str | None
    periods: int
    order_id: int | None
    order_status: str | None
    waiting_for: str | None
    pay_url: str | None = None
    metadata: dict[str, str]
    purpose_status: str | None
    purpose_reason: str | None
    purpose_entry_id: str | None
    expires_at: Time
    credited_at: Time | None


class PaymentRequestFacts(BaseModel):
    """A payment request that was paid from the balance by the debit `entry_id`."""

    id: str
    tenant_id: str
    amount: int
    currency: str
    purpose: str
    reference: str
    description: str
    metadata: dict[str, str]
    status: str
    entry_id: str | None
    created_at: Time
    changed_at: Time


class _RenewalFacts(BaseModel):
    reference: str
    period: str
    amount: int
    currency: str
    due_at: Time
    auto_renew: bool
    metadata: dict[str, str]


class RenewalUpcomingFacts(_RenewalFacts):
    """A renewal that will be due. With a shortfall, `deposit_url` offers the deposit needed."""

    available: int
    shortfall: int
    deposit_url: str | None = None


class RenewalPaidFacts(_RenewalFacts):
    """A renewal whose period was paid, by bridge or by the core."""

    entry_id: str
    next_due_at: Time


class RenewalFailedFacts(RenewalUpcomingFacts):
    """A renewal that could not be paid; lapsed, it is tried no more by itself."""

    reason: str
    failures: int
    retry_at: Time | None
    lapses_at: Time | None


class BalanceFacts(BaseModel):
    """A wallet, and the threshold that its available balance fell below or rose to."""

    currency: str
    balance: int
    held: int
    available: int
    threshold: int
    deposit_url: str | None = None


class OrderFacts(BaseModel):
    """An order that is held, or held no more. `because` names the rule and the remedy."""

    storefront: str
    order_id: int
    status: str
    reason: str | None
    because: str


class StorefrontFacts(BaseModel):
    """A storefront that was not read for long, or is read again."""

    storefront: str
    stale_since: Time | None
    succeeded_at: Time | None
    because: str


class DriftFacts(BaseModel):
    """What a comparison with the storefront found; corrected unless it was a dry run."""

    run_id: str
    storefront: str
    kind: str
    findings: int
    amounts: dict[str, int]
    dry_run: bool


FAMILIES: Mapping[str, type[BaseModel]] = {
    "wallet": Entry,
    "hold": Entry,
    "deposit": DepositFacts,
    "payment_request": PaymentRequestFacts,
    "balance": BalanceFacts,
    "order": OrderFacts,
    "storefront": StorefrontFacts,
    "reconciliation": DriftFacts,
}
RENEWALS: Mapping[EventType, type[BaseModel]] = {
    EventType.RENEWAL_UPCOMING: RenewalUpcomingFacts,
    EventType.RENEWAL_PAID: RenewalPaidFacts,
    EventType.RENEWAL_PAYMENT_FAILED: RenewalFailedFacts,
    EventType.RENEWAL_LAPSED: RenewalFailedFacts,
}


def data_of(event_type: EventType) -> type[BaseModel]:
    """Return the shape of what events of a type tell."""
    return RENEWALS.get(event_type) or FAMILIES[event_type.partition(".")[0]]
