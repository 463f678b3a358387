"""Verify the books: every chain, every wallet, every effect, every hold. Reads only."""

from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from sqlalchemy import Connection, func, select, union

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


class _Line(NamedTuple):
    """What a wallet's entries add up to."""

    wallet: Wallet
    effects: dict[str, Effect]
    open_holds: dict[int, int]
    problems: list[str]


def verify(tx: Connection) -> Audit:
    """Recompute every wallet from its entries and compare; takes one pass over the ledger."""
    wallets = {w.id: w for w in map(Wallet._make, tx.execute(select(WALLETS)))}
    unseen = dict.fromkeys(_named(tx)) | wallets
    entries, problems = 0, []
    for line in _lines(tx):
        entries += line.wallet.version
        problems += line.problems
        problems += _compare(tx, line, unseen.pop(line.wallet.id, None))
    for wallet_id, wallet in unseen.items():
        problems += _compare(tx, _Line(Wallet(*wallet_id), {}, {}, []), wallet)
    return Audit(len(wallets), entries, problems)


def _named(tx: Connection) -> Iterator[WalletId]:
    """Yield the wallets that effects and open holds name, whether or not they exist."""
    owners = (select(t.c.tenant_id, t.c.currency) for t in (EFFECTS, OPEN_HOLDS))
    return map(WalletId._make, tx.execute(union(*owners)))


def _lines(tx: Connection) -> Iterator[_Line]:
    query = select(ENTRIES).order_by(ENTRIES.c.tenant_id, ENTRIES.c.currency, ENTRIES.c.version)
    rows = map(Entry._make, tx.execute(query.execution_options(yield_per=1000)))
    for (tenant_id, currency), entries in groupby(rows, key=lambda e: (e.tenant_id, e.currency)):
        line = _Line(Wallet(tenant_id, currency), {}, {}, [])
        for entry in entries:
            line = _step(line, entry)
        yield line


def _step(line: _Line, entry: Entry) -> _Line:
    before = line.wallet
    balance, held = before.balance + entry.amount, before.held + entry.held
    if entry.version != before.version + 1:
        line.problems.append(
            f"entry {entry.id} follows version {before.version}: entries are missing"
        )
    if (entry.balance_after, entry.held_after) != (balance, held):
        line.problems.append(
            f"entry {entry.id} carries a balance that its wallet does not add up to"
        )
    if entry.sealed(before.hash).hash != entry.hash:
        line.problems.append(f"entry {entry.id} was changed: its hash does not match its content")
    _follow(line, entry)
    after = Wallet(entry.tenant_id, entry.currency, balance, held, entry.version, entry.hash)
    return line._replace(wallet=after)


def _follow(line: _Line, entry: Entry) -> None:
    """Keep the sums that other tables must agree with."""
    if entry.caller.startswith("storefront:"):
        storefront = entry.caller.removeprefix("storefront:")
        name = f"{storefront}/{entry.idempotency_key.rpartition('#')[0]}"
        amount, posts = line.effects.get(name, Effect())
        line.effects[name] = Effect(amount + entry.amount + entry.held, posts + 1)
    elif entry.kind == "hold":
        line.open_holds[entry.version] = entry.held
    elif entry.related_version is not None:
        line.open_holds.pop(entry.related_version, None)


def _compare(tx: Connection, line: _Line, wallet: Wallet | None) -> list[str]:
    name = f"wallet {line.wallet.tenant_id}.{line.wallet.currency}"
    problems = []
    if wallet != line.wallet:
        problems.append(f"{name} differs from its last entry")
    if _effects(tx, line.wallet.id) != line.effects:
        problems.append(f"{name}: the effects of its orders differ from their entries")
    if _open_holds(tx, line.wallet.id) != set(line.open_holds):
        problems.append(f"{name}: its open holds differ from its entries")
    reserved = sum(line.open_holds.values())
    reserved += sum(e.amount for effect, e in line.effects.items() if "/hold/" in effect)
    if reserved != line.wallet.held:
        problems.append(f"{name} holds {line.wallet.held}, its open holds add up to {reserved}")
    return problems


def _effects(tx: Connection, wallet_id: WalletId) -> dict[str, Effect]:
    query = select(EFFECTS).where(
        EFFECTS.c.tenant_id == wallet_id.tenant_id, EFFECTS.c.currency == wallet_id.currency
    )
    rows = tx.execute(query)
    return {f"{r.storefront}/{r.order_id}/{r.effect}": Effect(r.amount, r.posts) for r in rows}


def _open_holds(tx: Connection, wallet_id: WalletId) -> set[int]:
    query = select(OPEN_HOLDS.c.version).where(
        OPEN_HOLDS.c.tenant_id == wallet_id.tenant_id, OPEN_HOLDS.c.currency == wallet_id.currency
    )
    return set(tx.execute(query).scalars())


def totals(tx: Connection) -> dict[str, dict[str, int]]:
    """Sum the ledger by currency and contra: the other side of every wallet, minor units."""
    query = select(ENTRIES.c.currency, ENTRIES.c.contra, func.sum(ENTRIES.c.amount))
    books: dict[str, dict[str, int]] = {}
    for currency, contra, amount in tx.execute(
        query.group_by(ENTRIES.c.currency, ENTRIES.c.contra)
    ):
        books.setdefault(currency, {})[contra] = -int(amount)
    return books
