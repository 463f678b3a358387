"""Debits decided from memory: the wallets as this process left them.

The ledger's usual way asks the database six times: begin, lock, look for keys, insert, update,
commit. But whoever wrote a wallet last knows how it stands. So `plan` decides on what is
remembered, and `write` writes it where the wallet still has the hash remembered: on PostgreSQL in
one statement, which commits by itself. The hash seals the wallet's whole past, so it is the same if
and only if nobody wrote in between; and a key used before is refused by its unique index. Whatever
does not fit goes the usual way, which locks and looks (docs/decisions/0015).
"""

import contextlib
import re
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from itertools import compress, count
from typing import Any, NamedTuple

import structlog

from bridge.domain import renewal
from bridge.domain.clock import Instant
from bridge.domain.entry import POSTED, Draft, Entry, Kind, Outcome
from bridge.domain.event import EventType
from bridge.domain.posting import Books, decide
from bridge.domain.wallet import Wallet, WalletId
from bridge.store import bulk, outbox, tables
from bridge.store.among import listed, statement
from bridge.store.database import Connection, Database
from bridge.store.listing import Listing, as_json
from bridge.store.pipe import Rows
from bridge.store.scribe import Scribe

log = structlog.get_logger()

WALLETS_MAX = 100_000
"""Wallets that are remembered at a time."""

WALLETS = tables.table(tables.Wallet)
ENTRIES = tables.table(tables.Entry)


class Move(NamedTuple):
    """A wallet to write: as remembered, as decided, and the entries between."""

    wallet_id: WalletId
    before: Wallet
    after: Wallet
    entries: Sequence[Entry]


class Plan(NamedTuple):
    """What memory makes of drafts on these wallets: an outcome each, None where it cannot tell.

    The moves stand in locking order.
    """

    wallet_ids: Sequence[WalletId] = ()
    outcomes: Sequence[Outcome | None] = ()
    moves: Sequence[Move] = ()

    @property
    def recorded_at(self) -> Instant:
        """When its entries are recorded."""
        return self.moves[0].entries[0].recorded_at

    def outcomes_if(self, moved: Container[WalletId]) -> list[Outcome | None]:
        """Return the outcomes of the wallets that were written, None for all other drafts."""
        return [
            outcome if outcome and wallet_id in moved else None
            for wallet_id, outcome in zip(self.wallet_ids, self.outcomes, strict=True)
        ]


class Memory:
    """The wallets as this process leaves them.

    `write` may run in another thread than the rest.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._wallets: dict[WalletId, Wallet] = {}
        self._pipe = database.pipe({name: _numbered(said) for name, said in _STATEMENTS.items()})
        # One to read, since the other one may just be committing.
        self._pen, pen = database.pen(), database.pen()
        self._scribe = Scribe(pen) if pen is not None else None

    def can_ask(self) -> bool:
        """Tell whether the database can be asked in the running event loop now."""
        if self._scribe is not None:
            self._scribe.open()
            return True
        return self._pipe is not None and self._pipe.opened()

    def ask_recall(self, drafts: Iterable[Draft], then: Callable[[], None]) -> None:
        """Look up the wallets of debits that are not remembered, then call, in the event loop."""

        def learn(answer: Rows | Exception) -> None:
            with _failing_quietly():
                self._recall(_rows(answer))
            then()

        missing = self._missing(drafts)
        if missing and self._pipe is not None:
            self._pipe.ask("recall", _WANTED.said("postgresql", sorted(missing)), learn)
            return
        if missing and self._pen is not None:
            with _failing_quietly():
                self._recall(self._pen.read(_RECALL_EACH, *_WANTED.said("sqlite", sorted(missing))))
        then()

    def plan(self, drafts: Sequence[Draft], recorded_at: Instant) -> Plan:
        """Decide debits on remembered wallets, and remember those as they will be left.

        Whoever does not write the plan, or not all of it, is to `forget` the rest. Of a tenant's
        drafts all are decided, or none, since an idempotency key belongs to the first of them, in
        any currency.
        """
        ids = [draft.wallet_id for draft in drafts]
        with _failing_quietly():
            plan = self._decided(ids, drafts, recorded_at)
            self._wallets.update((move.wallet_id, move.after) for move in plan.moves)
            return plan
        return Plan(ids, [None] * len(ids))

    def write(self, plan: Plan) -> set[WalletId]:
        """Write what was planned, and return the wallets that were as remembered.

        None are where it fails, also where the server went away in the very commit: the usual way
        says why, and tells by the keys what was written.
        """
        if plan.moves:
            with _failing_quietly(), self._database.write() as tx:
                return self._moved(tx, plan)
        return set()

    def ask_write(self, plan: Plan, then: Callable[[set[WalletId]], None]) -> None:
        """Write as `write` does, then call, in the event loop.

        Behind all that was asked before; so the plan may lean on what that will write.
        """

        def tell(answer: Rows | Exception) -> None:
            moved: set[WalletId] = set()
            with _failing_quietly():
                moved = {plan.moves[number].wallet_id for (number,) in _rows(answer)}
            then(moved)

        def tell_of_all(error: Exception | None) -> None:
            if error is None:
                self._database.written.set()
            tell(error or [(number,) for number in range(len(plan.moves))])

        if plan.moves and self._pipe is not None:
            self._pipe.ask(*_question(plan), tell)
        elif plan.moves and self._scribe is not None:
            self._scribe.ask(lambda pen: _move_each(pen.write, plan), tell_of_all)
        else:
            then(set())

    def hang_up(self) -> None:
        """Ask nothing more in the event loop; to be called in it."""
        if self._pipe is not None:
            self._pipe.close()
        if self._scribe is not None:
            self._scribe.close()
        if self._pen is not None:
            self._pen.close()

    def forget(self, plan: Plan, moved: Container[WalletId]) -> None:
        """Forget the wallets of a plan that were not written."""
        for move in plan.moves:
            if move.wallet_id not in moved:
                self._wallets.pop(move.wallet_id, None)

    def learn(self, outcomes: Iterable[Outcome]) -> None:
        """Remember the wallets as what was committed the usual way left them."""
        posted = (o.entry.wallet for o in outcomes if o.status == POSTED and o.entry)
        self._learn(posted)

    def _decided(
        self, ids: Sequence[WalletId], drafts: Sequence[Draft], recorded_at: Instant
    ) -> Plan:
        before = self._known(ids, drafts)
        recalled = [wallet_id in before for wallet_id in ids]
        debits = list(compress(drafts, recalled))
        decided, after = decide(Books(before, {}, {}, {}), debits, recorded_at)
        entries = _entries(compress(ids, recalled), decided)
        answers = iter(decided)
        outcomes = [next(answers) if known else None for known in recalled]
        return Plan(
            ids,
            [o if i in entries else None for i, o in zip(ids, outcomes, strict=True)],
            [Move(i, before[i], after.wallets[i], entries[i]) for i in sorted(entries)],
        )

    def _missing(self, drafts: Iterable[Draft]) -> set[WalletId]:
        asked = {draft.wallet_id for draft in drafts if draft.kind is Kind.DEBIT}
        return {wallet_id for wallet_id in asked if wallet_id not in self._wallets}

    def _known(self, ids: Sequence[WalletId], drafts: Sequence[Draft]) -> dict[WalletId, Wallet]:
        unsure = {
            draft.tenant_id
            for wallet_id, draft in zip(ids, drafts, strict=True)
            if draft.kind is not Kind.DEBIT
            or draft.caller == renewal.CALLER  # which settles, should it be overdue
            or wallet_id not in self._wallets
        }
        return {i: self._wallets[i] for i in ids if i.tenant_id not in unsure}

    def _recall(self, wallets: Iterable[Iterable[Any]]) -> None:
        found = (wallet for wallet in map(Wallet._make, wallets) if wallet.id not in self._wallets)
        self._learn(found)

    def _learn(self, wallets: Iterable[Iterable[Any]]) -> None:
        if len(self._wallets) >= WALLETS_MAX:
            self._wallets.clear()
        for wallet in map(Wallet._make, wallets):
            self._wallets[wallet.id] = wallet

    def _moved(self, tx: Connection, plan: Plan) -> set[WalletId]:
        if self._database.is_sqlite:
            _move_each(lambda *said: tx.exec_driver_sql(*said).rowcount, plan)
            return {move.wallet_id for move in plan.moves}
        name, said = _question(plan)
        numbers = tx.exec_driver_sql(_STATEMENTS[name], said).scalars()
        return {plan.moves[number].wallet_id for number in numbers}


def _move_each(write: Callable[[str, list[Any]], int], plan: Plan) -> None:
    """Write row by row, all moves or none: on SQLite hardly anybody else writes."""
    wallets = [(*move.after, move.before.hash) for move in plan.moves]
    if write(_MOVE_EACH, wallets) < len(wallets):
        raise _ForgottenError
    write(_ENTER_EACH, [entry for move in plan.moves for entry in move.entries])
    spans = [
        (*move.wallet_id, EventType.WALLET_DEBITED, move.entries[0].version, move.after.version)
        for move in plan.moves
    ]
    write(outbox.INSERT["sqlite"], [(plan.recorded_at, as_json(spans))])


@contextlib.contextmanager
def _failing_quietly() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever it is, the usual way will meet it again
        log.debug("memory failed", error=str(error))


def _rows(answer: Rows | Exception) -> Rows:
    if isinstance(answer, Exception):
        raise answer
    return answer


def _numbered(statement: str) -> str:
    """Return a driver's statement as PostgreSQL prepares it."""
    numbers = count(1)
    return re.sub("%s", lambda _: f"${next(numbers)}", statement)


class _ForgottenError(Exception):
    """A wallet is not as remembered."""


def _entries(ids: Iterable[WalletId], decided: Iterable[Outcome]) -> dict[WalletId, list[Entry]]:
    """Return the new entries of the tenants that have no other outcome."""
    found: dict[WalletId, list[Entry]] = {}
    others = set()
    for wallet_id, outcome in zip(ids, decided, strict=True):
        if outcome.entry is not None and outcome.status == POSTED:
            found.setdefault(wallet_id, []).append(outcome.entry)
        else:
            others.add(wallet_id.tenant_id)
    return {i: entries for i, entries in found.items() if i.tenant_id not in others}


def _question(plan: Plan) -> tuple[str, Sequence[str | None]]:
    """Return which statement writes a plan, and its parameters: wallets, entries, and the time."""
    wallets: list[tuple[Any, ...]] = []
    entered: list[tuple[Any, ...]] = []
    for number, (_, before, after, entries) in enumerate(plan.moves):
        wallets.append((*after, number, before.hash, entries[0].version))
        entered += [(*entry, number) for entry in entries]
    now = str(plan.recorded_at)
    if len(entered) == 1:
        return "move_one", (*_NEW.said_one(wallets[0]), *_ENTERED.said_one(entered[0]), now)
    listed_all = (*_NEW.said("postgresql", wallets), *_ENTERED.said("postgresql", entered))
    return "move", (*listed_all, now)


_WANTED = listed(WALLETS, WalletId._fields)
_NEW = Listing.of("new", *WALLETS.columns, number="BIGINT", before="TEXT", first="BIGINT")
_ENTERED = Listing.of("entry", *ENTRIES.columns, number="BIGINT")


def _move(new: str, entry: str) -> str:
    """Return the statement that writes what is listed: where wallets are as remembered.

    The wallets come in locking order and are locked in it, since sessions of ours join by nested
    loops. So entries are not joined with those that moved, but looked up among them.
    """
    return (
        f"WITH {new}, {entry},"
        f" moved AS (UPDATE wallets SET {bulk.changes(WALLETS, 'new')} FROM new"
        f" WHERE {bulk.same_key(WALLETS, 'new')} AND wallets.hash = decode(new.before, 'base64')"
        " RETURNING number, wallets.tenant_id, wallets.currency, first, wallets.version),"
        f" entered AS (INSERT INTO {bulk.names(ENTRIES)} SELECT {bulk.values(ENTRIES, 'entry')}"
        " FROM entry WHERE number = ANY(ARRAY(SELECT number FROM moved))),"
        # An aggregate, so that the row's id is taken when all these wallets are locked.
        " told AS (INSERT INTO outbox (recorded_at, content) SELECT CAST(%s AS bigint),"
        f" CAST(json_agg(json_build_array(tenant_id, currency, '{EventType.WALLET_DEBITED}', first,"
        " version)) AS text) FROM moved HAVING count(*) > 0)"
        " SELECT number FROM moved"
    )


_RECALL, _RECALL_EACH = (
    statement(dialect, WALLETS, _WANTED, Wallet._fields) for dialect in ("postgresql", "sqlite")
)
_STATEMENTS = {
    "recall": _RECALL,
    "move": _move(_NEW.read("postgresql"), _ENTERED.read("postgresql")),
    "move_one": _move(_NEW.read_one(), _ENTERED.read_one()),
}
_MOVE_EACH = f"{bulk.update_each(WALLETS)} AND hash = ?{len(Wallet._fields) + 1}"
_ENTER_EACH = bulk.insert_each(ENTRIES)
