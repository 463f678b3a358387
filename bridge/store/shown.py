"""Entries and balances as callers, and whoever is told of them, get them."""

import json
from typing import Any

from bridge.domain.clock import Instant, isoformat
from bridge.domain.entry import Entry, Kind
from bridge.domain.wallet import Wallet


def entry(entry: Entry) -> dict[str, Any]:
    """Return the members of an `Entry`; a debit's purpose is the last part of its source."""
    related, recorded_at = entry.related_version, isoformat(entry.recorded_at)
    happened_then = entry.occurred_at == entry.recorded_at
    return {
        "id": entry.id,
        "tenant_id": entry.tenant_id,
        "currency": entry.currency,
        "amount": entry.amount,
        "held": entry.held,
        "balance_after": entry.balance_after,
        "held_after": entry.held_after,
        "version": entry.version,
        "kind": entry.kind,
        "contra": entry.contra,
        "purpose": entry.source.rpartition("/")[2] if entry.kind == Kind.DEBIT else None,
        "reference": entry.reference,
        "description": entry.description,
        "source": entry.source,
        "metadata": {} if entry.metadata == "{}" else json.loads(entry.metadata),
        "related_entry_id": f"{entry.tenant_id}.{entry.currency}.{related}" if related else None,
        "occurred_at": recorded_at if happened_then else isoformat(entry.occurred_at),
        "recorded_at": recorded_at,
        "hash": entry.hash.hex(),
    }


def balance(wallet: Wallet, now: Instant) -> dict[str, Any]:
    """Return the members of a `Balance`: a wallet as it stood at a time."""
    return {
        "balance": wallet.balance,
        "held": wallet.held,
        "available": wallet.available,
        "currency": wallet.currency,
        "version": wallet.version,
        "as_of": isoformat(now),
    }
