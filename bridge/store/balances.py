"""Balances as they stand, for whoever only looks: who asks meanwhile shares the next question.

The database is asked each time, since other processes write, too. But it is asked in the event
loop that serves the requests, by one statement for all that wait: no thread, and no timer
(docs/decisions/0035).
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import structlog

from bridge.domain.wallet import Wallet, WalletId
from bridge.store.database import Database
from bridge.store.lookup import STATEMENTS, Lookup

log = structlog.get_logger()


class _Asked(NamedTuple):
    wallet_id: WalletId
    answer: Callable[[Wallet | None], None]


class Balances:
    """Looks wallets up for one event loop, with a connection of its own."""

    def __init__(self, database: Database) -> None:
        self._lookup = Lookup(database.pipe(STATEMENTS), database.pen())
        self._waiting: list[_Asked] = []
        self._asking = False

    def can_ask(self) -> bool:
        """Tell whether `ask` will do now; where not, it may soon."""
        return self._lookup.can_ask()

    def ask(self, wallet_id: WalletId, answer: Callable[[Wallet | None], None]) -> None:
        """Answer, in the loop, with a wallet as it is committed at some time from now on.

        With None where there is none, or where it could not be found out: ask the usual way.
        """
        self._waiting.append(_Asked(wallet_id, answer))
        if not self._asking:
            self._asking = True
            asyncio.get_running_loop().call_soon(self._ask_for_all)

    def close(self) -> None:
        """Give up the connection; to be called in the event loop."""
        self._lookup.close()

    def _ask_for_all(self) -> None:
        asked, self._waiting = self._waiting, []
        self._asking = bool(asked)
        if asked:
            self._lookup.ask({one.wallet_id for one in asked}, partial(self._tell, asked))

    def _tell(self, asked: list[_Asked], found: list[Wallet]) -> None:
        """Answer, while the database is busy with who asked meanwhile."""
        self._ask_for_all()
        wallets = {wallet.id: wallet for wallet in found}
        for wallet_id, answer in asked:
            try:
                answer(wallets.get(wallet_id))
            except Exception:
                log.exception("nobody took the balance")
