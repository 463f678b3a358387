"""The tables, declared. The hot path moves rows with SQLAlchemy Core on `Entry.__table__`.

Money and ids are BIGINT, instants are BIGINT microseconds UTC. Every key of a tenant's table begins
with the tenant, so that PostgreSQL can partition or distribute by it.
"""

from sqlalchemy import Table
from sqlmodel import SQLModel

from bridge.store.tables.deposits import Deposit, PaymentRequest, PortalSession
from bridge.store.tables.events import (
    Alert,
    Attempt,
    DeadLetter,
    Event,
    EventHead,
    Lane,
    Notice,
    Waiting,
)
from bridge.store.tables.ledger import Effect, Entry, OpenHold, Tenant, Wallet
from bridge.store.tables.orders import Hint, Order, Sighting, Storefront
from bridge.store.tables.renewals import Renewal, RenewalPayment
from bridge.store.tables.service import ApiKey, Finding, Lease, Run

metadata = SQLModel.metadata


def table(model: type[SQLModel]) -> Table:
    """Return the Core table that a declaration above made."""
    made: Table = model.__table__  # type: ignore[attr-defined] # SQLModel adds it to tables
    return made


__all__ = [
    "Alert",
    "ApiKey",
    "Attempt",
    "DeadLetter",
    "Deposit",
    "Effect",
    "Entry",
    "Event",
    "EventHead",
    "Finding",
    "Hint",
    "Lane",
    "Lease",
    "Notice",
    "OpenHold",
    "Order",
    "PaymentRequest",
    "PortalSession",
    "Renewal",
    "RenewalPayment",
    "Run",
    "Sighting",
    "Storefront",
    "Tenant",
    "Waiting",
    "Wallet",
    "metadata",
    "table",
]
