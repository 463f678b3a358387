"""Wallets looked up from an event loop, by a connection past SQLAlchemy, without a lock."""

import sqlite3
from collections.abc import Callable, Iterable, Sequence

import structlog

from bridge.domain.wallet import Wallet, WalletId
from bridge.store import tables
from bridge.store.among import listed, statement
from bridge.store.pen import Pen
from bridge.store.pipe import Pipe, Rows

WALLETS = tables.table(tables.Wallet)

log = structlog.get_logger()


class Lookup:
    """Asks PostgreSQL through a pipe that knows STATEMENTS, or SQLite with a pen."""

    def __init__(self, pipe: Pipe | None, pen: Pen | None) -> None:
        self._pipe = pipe
        self._pen = pen

    def can_ask(self) -> bool:
        """Tell whether the database can be asked in the running event loop now."""
        return self._pen is not None or (self._pipe is not None and self._pipe.opened())

    def ask(self, ids: Iterable[WalletId], then: Callable[[list[Wallet]], None]) -> None:
        """Call, in the event loop, with those of the wallets that were found: none if it fails."""

        def tell(answer: Rows | Exception) -> None:
            if isinstance(answer, Exception):
                log.debug("lookup failed", error=str(answer))
                answer = []
            then(list(map(Wallet._make, answer)))

        asked = sorted(ids)
        if self._pipe is not None:
            self._pipe.ask("wallets", _WANTED.said("postgresql", asked), tell)
        elif self._pen is not None:
            tell(_read(self._pen, asked))
        else:
            tell([])

    def close(self) -> None:
        """Ask nothing more; to be called in the event loop."""
        if self._pipe is not None:
            self._pipe.close()
        if self._pen is not None:
            self._pen.close()


def _read(pen: Pen, asked: Sequence[WalletId]) -> Rows | Exception:
    try:
        return pen.read(_READ, *_WANTED.said("sqlite", asked))
    except sqlite3.Error as error:
        return error


_WANTED = listed(WALLETS, WalletId._fields)
_PREPARED, _READ = (
    statement(dialect, WALLETS, _WANTED, Wallet._fields) for dialect in ("postgresql", "sqlite")
)
STATEMENTS = {"wallets": _PREPARED}
"""What a pipe must know by name."""
