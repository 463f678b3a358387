"""Verify the books: every chain, every wallet, every effect, every hold. Reads only."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from heapq import merge
from itertools import groupby
from operator import itemgetter
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Table, func, select

from bridge.domain.entry import Effect, Entry
from bridge.domain.wallet import Wallet, WalletId
from bridge.store import tables

ENTRIES = tables.table(tables.Entry)
WALLETS = tables.table(tables.Wallet)
EFFECTS = tables.table(tables.Effect)
OPEN_HOLDS = tables.table(tables.OpenHold)


class Audit(NamedTuple):
    """What was verified, and what was wrong with it: one sentence each."""

    wallets: int
    entries: int
    problems: list[str]


class _Sums(NamedTuple):
    """What a wallet's entries add up to."""

    wallet: Wallet
    effects: dict[str, Effect]
    open_holds: dict[int, int]
    problems: list[str]


class _Found(NamedTuple):
    """What each table has of one wallet; the fields have the tables' names."""

    wallets: Wallet | None = None
    entries: _Sums | None = None
    effects: Mapping[str, Effect] = MappingProxyType({})
    open_holds: AbstractSet[int] = frozenset()


def verify(tx: Connection) -> Audit:
    """Recompute every wallet from its entries and compare; takes one pass over each table."""
    wallets, entries = 0, 0
    problems: list[str] = []
    for wallet_id, found in _by_wallet(tx):
        sums = found.entries or _sums(wallet_id, ())
        wallets += found.wallets is not None
        entries += sums.wallet.version
        problems += sums.problems
        problems += _compare(sums, found)
    return Audit(wallets, entries, problems)


def _by_wallet(tx: Connection) -> Iterator[tuple[WalletId, _Found]]:
    """Read the tables side by side in the order of wallets: to ask for each one took longer."""
    parts = merge(
        _read(tx, WALLETS, lambda _, rows: Wallet._make(next(rows))),
        _read(tx, ENTRIES, _sums),
        _read(tx, EFFECTS, _effects),
        _read(tx, OPEN_HOLDS, lambda _, rows: {row.version for row in rows}),
        key=_WALLET_ID,
    )
    for wallet_id, of_wallet in groupby(parts, key=_WALLET_ID):
        yield wallet_id, _Found(**{table: made for _, table, made in of_wallet})


_WALLET_ID = itemgetter(0)
_TENANT_AND_CURRENCY = itemgetter(0, 1)


def _read(
    tx: Connection, table: Table, make: Callable[[WalletId, Iterator[Row[Any]]], object]
) -> Iterator[tuple[WalletId, str, Any]]:
    """Yield for each wallet of a table: its id, the table's name, what is made of its rows."""
    query = select(table).order_by(*table.primary_key)
    rows = tx.execute(query.execution_options(yield_per=1000))
    for key, of_wallet in groupby(rows, key=_TENANT_AND_CURRENCY):
        wallet_id = WalletId._make(key)
        yield wallet_id, table.name, make(wallet_id, of_wallet)


def _sums(wallet_id: WalletId, rows: Iterable[Row[Any]]) -> _Sums:
    wallet, sums = Wallet(*wallet_id), _Sums(Wallet(*wallet_id), {}, {}, [])
    for entry in map(Entry._make, rows):
        balance, held = wallet.balance + entry.amount, wallet.held + entry.held
        after = Wallet(*wallet_id, balance, held, entry.version, entry.hash)
        sums.problems.extend(_problems(wallet, entry, after))
        _follow(sums, entry)
        wallet = after
    return sums._replace(wallet=wallet)


def _problems(before: Wallet, entry: Entry, after: Wallet) -> Iterator[str]:
    if entry.version != before.version + 1:
        yield f"entry {entry.id} follows version {before.version}: entries are missing"
    if (entry.balance_after, entry.held_after) != (after.balance, after.held):
        yield f"entry {entry.id} carries a balance that its wallet does not add up to"
    if entry.sealed(before.hash).hash != entry.hash:
        yield f"entry {entry.id} was changed: its hash does not match its content"


def _follow(sums: _Sums, entry: Entry) -> None:
    """Keep the sums that other tables must agree with."""
    if entry.caller.startswith("storefront:"):
        storefront = entry.caller.removeprefix("storefront:")
        name = f"{storefront}/{entry.idempotency_key.rpartition('#')[0]}"
        amount, posts = sums.effects.get(name, Effect())
        sums.effects[name] = Effect(amount + entry.amount + entry.held, posts + 1)
    elif entry.kind == "hold":
        sums.open_holds[entry.version] = entry.held
    elif entry.related_version is not None:
        sums.open_holds.pop(entry.related_version, None)


def _effects(_: WalletId, rows: Iterable[Row[Any]]) -> dict[str, Effect]:
    return {f"{r.storefront}/{r.order_id}/{r.effect}": Effect(r.amount, r.posts) for r in rows}


def _compare(sums: _Sums, found: _Found) -> Iterator[str]:
    name = f"wallet {sums.wallet.tenant_id}.{sums.wallet.currency}"
    if found.wallets != sums.wallet:
        yield f"{name} differs from its last entry"
    if found.effects != sums.effects:
        yield f"{name}: the effects of its orders differ from their entries"
    if found.open_holds != set(sums.open_holds):
        yield f"{name}: its open holds differ from its entries"
    reserved = sum(sums.open_holds.values())
    reserved += sum(e.amount for effect, e in sums.effects.items() if "/hold/" in effect)
    if reserved != sums.wallet.held:
        yield f"{name} holds {sums.wallet.held}, its open holds add up to {reserved}"


def totals(tx: Connection) -> dict[str, dict[str, int]]:
    """Sum the ledger by currency and contra: the other side of every wallet, minor units."""
    query = select(ENTRIES.c.currency, ENTRIES.c.contra, func.sum(ENTRIES.c.amount))
    books: dict[str, dict[str, int]] = {}
    for currency, contra, amount in tx.execute(
        query.group_by(ENTRIES.c.currency, ENTRIES.c.contra)
    ):
        books.setdefault(currency, {})[contra] = -int(amount)
    return books
