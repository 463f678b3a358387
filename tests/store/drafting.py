"""Drafts as the API and the storefronts make them, and short ways to post and to verify them."""

from collections.abc import Sequence
from itertools import count
from typing import Any

from bridge.domain.clock import MINUTE, Instant, parse
from bridge.domain.entry import Draft, EffectDraft, Entry, Kind, Outcome, request_digest
from bridge.store import audit, ledger, reports
from bridge.store.database import Database

NOON = parse("2026-11-22T12:00:00Z")

_numbers = count(1)


def draft(
    kind: Kind,
    amount: int | None,
    *,
    tenant_id: str = "acme",
    currency: str = "EUR",
    caller: str = "core",
    key: str | None = None,
    **fields: Any,
) -> Draft:
    """A draft under a key of its own, unless one is given."""
    content = (kind, tenant_id, currency, amount, fields.get("related_version"))
    return Draft(
        kind,
        tenant_id,
        currency,
        amount,
        caller,
        key or f"key-{next(_numbers)}",
        request_digest(*content),
        contra="plans",
        source="api/core",
        **fields,
    )


def debit(amount: int, **fields: Any) -> Draft:
    return draft(Kind.DEBIT, amount, **fields)


def hold(amount: int, *, expires_at: Instant = NOON + MINUTE, **fields: Any) -> Draft:
    return draft(Kind.HOLD, amount, expires_at=expires_at, **fields)


def adjustment(amount: int, *, opens_wallet: bool = True, **fields: Any) -> Draft:
    return draft(Kind.ADJUSTMENT, amount, opens_wallet=opens_wallet, **fields)


def follow(kind: Kind, entry: Entry, amount: int | None = None, **fields: Any) -> Draft:
    """A draft about an earlier entry: a capture, void or expiry of a hold, a refund of a debit."""
    place = {"tenant_id": entry.tenant_id, "currency": entry.currency}
    return draft(kind, amount, related_version=entry.version, **place | fields)


def effect(
    target: int,
    *,
    tenant_id: str = "acme",
    currency: str = "EUR",
    storefront: str = "main",
    order_id: int = 1,
    effect: str = "deposit",
) -> EffectDraft:
    return EffectDraft(
        tenant_id, currency, storefront, order_id, effect, target, NOON, f"Order {order_id}"
    )


def post(database: Database, *drafts: Draft | EffectDraft, now: Instant = NOON) -> list[Outcome]:
    with database.write() as tx:
        return ledger.post(tx, drafts, now)


def posted(database: Database, *drafts: Draft | EffectDraft, now: Instant = NOON) -> list[Entry]:
    """Post drafts that must all become entries."""
    outcomes = post(database, *drafts, now=now)
    entries = [outcome.entry for outcome in outcomes if outcome.status == "posted"]
    assert len(entries) == len(drafts), outcomes
    return [entry for entry in entries if entry is not None]


def summary(outcomes: Sequence[Outcome]) -> list[str]:
    """What became of drafts, in a word each: a decline is told by its reason."""
    return [str(outcome.reason or outcome.status) for outcome in outcomes]


def balance(database: Database, tenant_id: str = "acme", currency: str = "EUR") -> int:
    with database.read() as tx:
        return reports.wallet(tx, tenant_id, currency).balance


def entries(database: Database, tenant_id: str = "acme", currency: str = "EUR") -> list[Entry]:
    """A wallet's entries, oldest first."""
    with database.read() as tx:
        return list(reports.statement(tx, tenant_id, currency))


def problems(database: Database) -> list[str]:
    """What an audit finds."""
    with database.read() as tx:
        return audit.verify(tx).problems
