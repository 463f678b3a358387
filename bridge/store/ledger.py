"""The one door through which money moves.

`post` locks the wallets, reads what the drafts lean on, lets `domain.posting.decide` decide and
writes what it decided: a handful of set-based statements whatever the number of drafts, the same
on both databases. It does not commit: entries stand or fall with the caller's database transaction.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, text

from bridge.domain.clock import Instant
from bridge.domain.entry import (
    Draft,
    Effect,
    EffectDraft,
    EffectId,
    Entry,
    EntryId,
    KeyId,
    Kind,
    Outcome,
)
from bridge.domain.posting import Books, Related, decide
from bridge.domain.wallet import Wallet, WalletId
from bridge.store import bulk, outbox, tables
from bridge.store.among import among, missing
from bridge.store.orders import tenants_known

WALLETS = tables.table(tables.Wallet)
ENTRIES = tables.table(tables.Entry)
EFFECTS = tables.table(tables.Effect)
OPEN_HOLDS = tables.table(tables.OpenHold)
TENANTS = tables.table(tables.Tenant)

_CLOSING = frozenset({Kind.CAPTURE, Kind.VOID, Kind.EXPIRE})


def post(
    tx: Connection, drafts: Sequence[Draft | EffectDraft], recorded_at: Instant
) -> list[Outcome]:
    """Post the drafts in order, inside the caller's database transaction; one outcome each."""
    before = _books(tx, drafts, recorded_at)
    outcomes, after = decide(before, drafts, recorded_at)
    entries = [
        outcome.entry for outcome in outcomes if outcome.entry and outcome.status == "posted"
    ]
    if entries:
        bulk.insert(tx, ENTRIES, entries)
        outbox.wrote(tx, entries)
        _write_wallets(tx, before, after)
        _write_effects(tx, before, after)
        _write_open_holds(tx, entries)
    return outcomes


def _books(tx: Connection, drafts: Sequence[Draft | EffectDraft], recorded_at: Instant) -> Books:
    openers = [d for d in drafts if isinstance(d, EffectDraft) or d.kind is Kind.ADJUSTMENT]
    shut_out = _open(tx, openers, recorded_at)
    ids = {draft.wallet_id for draft in drafts}
    wallets = _wallets(tx, ids)
    walletless = {wallet_id.tenant_id for wallet_id in ids - wallets.keys()}
    asked = [draft for draft in drafts if isinstance(draft, Draft)]
    return Books(
        wallets,
        known(tx, {KeyId(draft.tenant_id, draft.caller, draft.key) for draft in asked}),
        _related(tx, asked),
        _effects(tx, {d.effect_id for d in drafts if isinstance(d, EffectDraft)}),
        strangers=frozenset(shut_out | (walletless - tenants_known(tx, walletless))),
    )


def _wallets(tx: Connection, ids: Iterable[WalletId]) -> dict[WalletId, Wallet]:
    """Return the wallets, locked for this database transaction."""
    wallets = map(Wallet._make, among(tx, WALLETS, WalletId._fields, ids, lock=True))
    return {wallet.id: wallet for wallet in wallets}


def _open(tx: Connection, openers: Sequence[Draft | EffectDraft], recorded_at: Instant) -> set[str]:
    """Insert the zero wallets that drafts may open, since FOR UPDATE locks no missing row.

    Inserting comes before locking: who waits to insert must not hold what others wait for. Returns
    the tenants that do not exist and may not be made: only orders and adjustments that were told
    so make tenants. A debit on a missing wallet needs no wallet to be declined.
    """
    wanted = {draft.wallet_id for draft in openers}
    absent = sorted(map(WalletId._make, missing(tx, WALLETS, WalletId._fields, wanted)))
    names = {wallet_id.tenant_id for wallet_id in absent}
    strangers = names - tenants_known(tx, names)
    makers = {d.tenant_id for d in openers if isinstance(d, EffectDraft) or d.opens_wallet}
    if made := sorted(strangers & makers):
        bulk.insert(tx, TENANTS, [(name, "", "{}", recorded_at) for name in made], _UNLESS_THERE)
    strangers -= makers
    opened = [Wallet(*wallet_id) for wallet_id in absent if wallet_id.tenant_id not in strangers]
    bulk.insert(tx, WALLETS, opened, _UNLESS_THERE)
    return strangers


_UNLESS_THERE = "ON CONFLICT DO NOTHING"


def known(tx: Connection, keys: set[KeyId]) -> dict[KeyId, Entry]:
    """Return the entries of the idempotency keys that were used."""
    columns = ("tenant_id", "caller", "idempotency_key")
    found = map(Entry._make, among(tx, ENTRIES, columns, keys))
    return {KeyId(entry.tenant_id, entry.caller, entry.idempotency_key): entry for entry in found}


def _related(tx: Connection, drafts: Iterable[Draft]) -> dict[EntryId, Related]:
    places = {
        EntryId(*draft.wallet_id, draft.related_version)
        for draft in drafts
        if draft.related_version is not None
    }
    if not places:
        return {}
    entries = map(Entry._make, among(tx, ENTRIES, EntryId._fields, places))
    since = _since(tx, places)
    return {
        place: Related(
            entry,
            closed=any(kind in _CLOSING for kind in since.get(place, {})),
            refunded=since.get(place, {}).get(Kind.DEBIT_REFUND, 0),
        )
        for entry in entries
        for place in (EntryId(entry.tenant_id, entry.currency, entry.version),)
    }


def _since(tx: Connection, places: set[EntryId]) -> dict[EntryId, dict[str, int]]:
    """Sum what later entries did to these, by kind."""
    columns = ("tenant_id", "currency", "related_version")
    since: dict[EntryId, dict[str, int]] = {}
    for row in among(tx, ENTRIES, columns, places):
        entry = Entry._make(row)
        place = EntryId(entry.tenant_id, entry.currency, entry.related_version or 0)
        kinds = since.setdefault(place, {})
        kinds[entry.kind] = kinds.get(entry.kind, 0) + entry.amount
    return since


def _effects(tx: Connection, ids: set[EffectId]) -> dict[EffectId, Effect]:
    found = among(tx, EFFECTS, EffectId._fields, ids)
    return {EffectId._make(row[:5]): Effect._make(row[5:]) for row in found}


def _write_wallets(tx: Connection, before: Books, after: Books) -> None:
    changed = [w for key, w in after.wallets.items() if w is not before.wallets.get(key)]
    bulk.update(tx, WALLETS, changed)


def _write_effects(tx: Connection, before: Books, after: Books) -> None:
    changed = [
        (*key, *effect)
        for key, effect in after.effects.items()
        if effect is not before.effects.get(key)
    ]
    bulk.insert(tx, EFFECTS, changed, _EFFECT_AFTER)


_EFFECT_AFTER = (
    "ON CONFLICT (tenant_id, currency, storefront, order_id, effect)"
    " DO UPDATE SET amount = excluded.amount, posts = excluded.posts"
)


def _write_open_holds(tx: Connection, entries: Sequence[Entry]) -> None:
    """Keep the list of holds to expire."""
    placed = [
        (e.tenant_id, e.currency, e.version, e.expires_at)
        for e in entries
        if e.kind == Kind.HOLD and e.expires_at is not None
    ]
    bulk.insert(tx, OPEN_HOLDS, placed)
    ended = [
        EntryId(e.tenant_id, e.currency, e.related_version)._asdict()
        for e in entries
        if e.kind in _CLOSING and e.related_version is not None
    ]
    if ended:
        tx.execute(_HOLD_ENDED, ended)


_HOLD_ENDED = text(
    "DELETE FROM open_holds"
    " WHERE tenant_id = :tenant_id AND currency = :currency AND version = :version"
)
