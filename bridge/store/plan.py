"""What memory decided, and how it is written: by one statement, which commits by itself.

So the database is asked once, and Python has nothing to do until it has answered. PostgreSQL has
such statements. On SQLite it is the INSERT of a row into a view: the parameters, from which the
view's trigger writes to all tables. Row by row, the driver would let other threads run after each,
and then wait for them (docs/decisions/0034).
"""

from collections.abc import Container, Iterable, Sequence
from hashlib import sha256
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import LargeBinary, Table

from bridge.domain.clock import Instant
from bridge.domain.entry import Entry, Outcome
from bridge.domain.event import EventType
from bridge.domain.wallet import Wallet, WalletId
from bridge.store import bulk, tables
from bridge.store.listing import Listing, as_json

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


# PostgreSQL: whatever wallets are as remembered are written, and their numbers returned.


def asked(plan: Plan) -> tuple[str, Sequence[str | None]]:
    """Return which of STATEMENTS writes a plan, and its parameters: wallets, entries, the time."""
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


STATEMENTS = {
    "move": _move(_NEW.read("postgresql"), _ENTERED.read("postgresql")),
    "move_one": _move(_NEW.read_one(), _ENTERED.read_one()),
}
"""What writes a plan: many entries, or one."""


# SQLite: all wallets are written or, where one is not as remembered, none. Hardly anybody else
# writes there.


class _Packed:
    """Rows as a trigger reads them: JSON and, since that has none, their octets end to end.

    All octets are hashes. (As text they could not be read: unhex() is younger than Debian 12.)
    """

    def __init__(self, names: Sequence[str], octets: Container[str]) -> None:
        self.names = names
        self._octets = [name for name in names if name in octets]
        self._others = [name for name in names if name not in octets]
        self._pick_octets = itemgetter(*map(names.index, self._octets))
        self._pick_others = itemgetter(*map(names.index, self._others))

    def said(self, rows: Iterable[Sequence[Any]]) -> tuple[str, bytes]:
        """Return the two parameters; ValueError where octets are no hash."""
        rows = list(rows)
        octets = [part for row in rows for part in self._pick_octets(row)]
        if set(map(len, octets)) != {_HASH_SIZE}:
            raise ValueError("there are octets that are no hash")
        return as_json(list(map(self._pick_others, rows))), b"".join(octets)

    def read(self, name: str, octets: str) -> str:
        """Return the expression that reads a value of the `item` of json_each."""
        if name in self._others:
            return f"json_extract(item.value, '$[{self._others.index(name)}]')"
        start = f"(item.key * {len(self._octets)} + {self._octets.index(name)}) * {_HASH_SIZE} + 1"
        return f"substr({octets}, {start}, {_HASH_SIZE})"


def inserted(plan: Plan) -> Sequence[Any]:
    """Return the row that writes a plan when it is inserted into the view."""
    wallets = _WALLETS.said((*move.after, move.before.hash) for move in plan.moves)
    entries = _ENTRIES.said(entry for move in plan.moves for entry in move.entries)
    spans = [
        (*move.wallet_id, EventType.WALLET_DEBITED, move.entries[0].version, move.after.version)
        for move in plan.moves
    ]
    return (*wallets, *entries, plan.recorded_at, as_json(spans))


def _octets(table: Table) -> set[str]:
    """Return the names of the columns that hold octets."""
    return {column.name for column in table.columns if isinstance(column.type, LargeBinary)}


def _trigger() -> str:
    """Return the trigger that writes what is inserted into the view."""
    new = {name: _WALLETS.read(name, "NEW.wallet_hashes") for name in _WALLETS.names}
    columns, keys = WALLETS.columns.keys(), WALLETS.primary_key.columns.keys()
    others = [name for name in columns if name not in keys]
    entry = ", ".join(_ENTRIES.read(name, "NEW.entry_hashes") for name in _ENTRIES.names)
    return (
        "CREATE TEMP TRIGGER move INSTEAD OF INSERT ON temp.moves BEGIN"
        f" UPDATE wallets SET {', '.join(f'{name} = {new[name]}' for name in others)}"
        " FROM json_each(NEW.wallets) AS item"
        f" WHERE {' AND '.join(f'wallets.{name} = {new[name]}' for name in keys)}"
        f" AND wallets.hash = {new['before']};"
        " SELECT RAISE(ABORT, 'a wallet is not as remembered')"
        " WHERE changes() < json_array_length(NEW.wallets);"
        f" INSERT INTO {bulk.names(ENTRIES)} SELECT {entry} FROM json_each(NEW.entries) AS item;"
        " INSERT INTO outbox (recorded_at, content) VALUES (NEW.recorded_at, NEW.content); END"
    )


_HASH_SIZE = sha256().digest_size
_WALLETS = _Packed([*WALLETS.columns.keys(), "before"], {*_octets(WALLETS), "before"})
_ENTRIES = _Packed(ENTRIES.columns.keys(), _octets(ENTRIES))
_ROW = ("wallets", "wallet_hashes", "entries", "entry_hashes", "recorded_at", "content")
_VIEW = f"CREATE TEMP VIEW moves AS SELECT {', '.join(f'NULL AS {name}' for name in _ROW)}"

SETUP = (_VIEW, _trigger())
"""What makes the view, which only the connection has that makes it."""

INSERT = f"INSERT INTO temp.moves VALUES ({', '.join('?' * len(_ROW))})"
"""What takes the row that `inserted` returns."""
