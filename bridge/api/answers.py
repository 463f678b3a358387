"""What callers get. Amounts are minor units beside their `currency`; times are RFC 3339 in UTC."""

import json
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, WithJsonSchema

from bridge.api.problems import Problem
from bridge.domain import entry as ledger
from bridge.domain.clock import Instant, isoformat
from bridge.domain.wallet import Wallet
from bridge.store import reports, shown

Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]


def time_or_none(instant: Instant | None) -> Time | None:
    """Write an instant that may not be known."""
    return None if instant is None else isoformat(instant)


class Entry(BaseModel):
    """A row of the ledger; it never changes. `amount` moves the balance, `held` what is held."""

    id: str
    tenant_id: str
    currency: str
    amount: int
    held: int
    balance_after: int
    held_after: int
    version: int
    kind: ledger.Kind
    contra: str
    purpose: str | None
    reference: str
    description: str
    source: str
    metadata: dict[str, str]
    related_entry_id: str | None
    occurred_at: Time
    recorded_at: Time
    hash: str

    @classmethod
    def of(cls, entry: ledger.Entry) -> Self:
        """Show an entry."""
        return cls(**shown.entry(entry))


class Entries(BaseModel):
    """A page of entries."""

    data: list[Entry]
    next_cursor: str | None


class BatchOutcome(BaseModel):
    """What became of one debit of a batch: an entry, or the problem it is declined with."""

    status: Literal["posted", "replayed", "declined"]
    entry: Entry | None = None
    problem: Problem | None = None


class BatchOutcomes(BaseModel):
    """One outcome per debit, in order."""

    data: list[BatchOutcome]


class Hold(BaseModel):
    """A hold and what became of it. `entry` is the latest that concerns it."""

    id: str
    tenant_id: str
    currency: str
    amount: int
    status: reports.HoldStatus
    captured: int
    expires_at: Time
    reference: str
    description: str
    metadata: dict[str, str]
    created_at: Time
    entry: Entry

    @classmethod
    def of(cls, hold: reports.Hold) -> Self:
        """Show a hold."""
        placed = hold.entry
        return cls(
            id=placed.id,
            tenant_id=placed.tenant_id,
            currency=placed.currency,
            amount=placed.held,
            status=hold.status,
            captured=hold.captured,
            expires_at=isoformat(placed.expires_at or 0),
            reference=placed.reference,
            description=placed.description,
            metadata=json.loads(placed.metadata),
            created_at=isoformat(placed.recorded_at),
            entry=Entry.of(hold.closed_by or placed),
        )


class Balance(BaseModel):
    """A wallet. `available` is balance less held; below 0 it is a debt that blocks debits."""

    balance: int
    held: int
    available: int
    currency: str
    version: int
    as_of: Time

    @classmethod
    def of(cls, wallet: Wallet, now: Instant) -> Self:
        """Show a wallet as it stood at a time."""
        return cls(**shown.balance(wallet, now))


class Tenant(BaseModel):
    """A tenant."""

    tenant_id: str
    name: str
    metadata: dict[str, str]
    created_at: Time

    @classmethod
    def of(cls, tenant: reports.Tenant, **more: Any) -> Self:
        """Show a tenant."""
        return cls(
            tenant_id=tenant.tenant_id,
            name=tenant.name,
            metadata=json.loads(tenant.metadata),
            created_at=isoformat(tenant.created_at),
            **more,
        )


class TenantWithBalances(Tenant):
    """A tenant and its balance in each currency."""

    balances: list[Balance]


class Tenants(BaseModel):
    """A page of tenants."""

    data: list[Tenant]
    next_cursor: str | None


class Health(BaseModel):
    """Whether the process serves requests; `reasons` say why not."""

    status: Literal["ok", "unavailable"]
    reasons: list[str] = []
