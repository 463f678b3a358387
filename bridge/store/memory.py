"""Debits decided from memory: the wallets as this process left them.

The ledger's usual way asks the database six times: begin, lock, look for keys, insert, update,
commit. But whoever wrote a wallet last knows how it stands. So `plan` decides on what is
remembered, and `write` writes it where the wallet still has the hash remembered, in one statement.
The hash seals the wallet's whole past, so it is the same if and only if nobody wrote in between;
and a key used before is refused by its unique index. Whatever does not fit goes the usual way,
which locks and looks (docs/decisions/0015).
"""

from collections.abc import Callable, Container, Iterable, Sequence
from functools import partial
from itertools import compress

import structlog

from bridge.domain import renewal
from bridge.domain.clock import Instant
from bridge.domain.entry import POSTED, Draft, Entry, Kind, Outcome
from bridge.domain.posting import Books, decide
from bridge.domain.wallet import Wallet, WalletId
from bridge.store import lookup
from bridge.store import plan as planning
from bridge.store.database import Database
from bridge.store.lookup import Lookup
from bridge.store.pipe import Rows
from bridge.store.plan import Move, Plan
from bridge.store.scribe import Scribe

log = structlog.get_logger()

WALLETS_MAX = 100_000
"""Wallets that are remembered at a time."""


class Memory:
    """The wallets as this process leaves them.

    `write` may run in another thread than the rest.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._wallets: dict[WalletId, Wallet] = {}
        self._pipe = database.pipe(lookup.STATEMENTS | planning.STATEMENTS)
        self._writer = database.pen(*planning.SETUP)
        # A pen of its own, since the other one may just be committing.
        self._lookup = Lookup(self._pipe, database.pen())
        self._scribe = Scribe(self._writer, planning.INSERT) if self._writer else None

    def can_ask(self) -> bool:
        """Tell whether the database can be asked in the running event loop now."""
        if self._scribe is not None:
            self._scribe.open()
            return True
        return self._pipe is not None and self._pipe.opened()

    def ask_recall(self, drafts: Iterable[Draft], then: Callable[[], None]) -> None:
        """Look up the wallets of debits that are not remembered, then call, in the event loop."""

        def learn(wallets: Iterable[Wallet]) -> None:
            self._learn(wallet for wallet in wallets if wallet.id not in self._wallets)
            then()

        if missing := self._missing(drafts):
            self._lookup.ask(missing, learn)
        else:
            then()

    def plan(self, drafts: Sequence[Draft], recorded_at: Instant) -> Plan:
        """Decide debits on remembered wallets, and remember those as they will be left.

        Whoever does not write the plan, or not all of it, is to `forget` the rest. Of a tenant's
        drafts all are decided, or none, since an idempotency key belongs to the first of them, in
        any currency.
        """
        ids = [draft.wallet_id for draft in drafts]
        with _failing_quietly:
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
            with _failing_quietly:
                return self._moved(plan)
        return set()

    def ask_write(self, plan: Plan, then: Callable[[set[WalletId]], None]) -> None:
        """Write as `write` does, then call, in the event loop.

        Behind all that was asked before; so the plan may lean on what that will write.
        """

        def tell(answer: Rows | Exception) -> None:
            moved: set[WalletId] = set()
            with _failing_quietly:
                moved = {plan.moves[number].wallet_id for (number,) in _rows(answer)}
            then(moved)

        def tell_of_all(error: Exception | None) -> None:
            if error is None:
                self._database.written.set()
            tell(error or [(number,) for number in range(len(plan.moves))])

        ask: Callable[[], None] = partial(then, set())
        if plan.moves:
            with _failing_quietly:
                if self._pipe is not None:
                    ask = partial(self._pipe.ask, *planning.asked(plan), tell)
                elif self._scribe is not None:
                    ask = partial(self._scribe.ask, planning.inserted(plan), tell_of_all)
        ask()

    def hang_up(self) -> None:
        """Ask nothing more in the event loop; to be called in it."""
        self._lookup.close()  # and the pipe
        if self._scribe is not None:
            self._scribe.close()

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

    def _learn(self, wallets: Iterable[Wallet]) -> None:
        if len(self._wallets) >= WALLETS_MAX:
            self._wallets.clear()
        self._wallets.update((wallet.id, wallet) for wallet in wallets)

    def _moved(self, plan: Plan) -> set[WalletId]:
        if self._writer is not None:
            self._writer.write(planning.INSERT, planning.inserted(plan))
            self._database.written.set()
            return {move.wallet_id for move in plan.moves}
        name, said = planning.asked(plan)
        with self._database.write() as tx:
            numbers = tx.exec_driver_sql(planning.STATEMENTS[name], said).scalars().all()
        return {plan.moves[number].wallet_id for number in numbers}


class _FailingQuietly:
    """Passes over what goes wrong: whatever it is, the usual way will meet it again.

    A class: contextlib's generators took a twentieth of a lone debit's instructions.
    """

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        """Tell that an error is dealt with."""
        if isinstance(error, Exception):
            log.debug("memory failed", error=str(error))
        return isinstance(error, Exception)


_failing_quietly = _FailingQuietly()


def _rows(answer: Rows | Exception) -> Rows:
    if isinstance(answer, Exception):
        raise answer
    return answer


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
