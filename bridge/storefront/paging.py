"""Reading a list that changes while it is read: no order is lost, no broken one stops the rest.

A bound keeps newer rows out of the list, so an order that is touched or trashed leaves it, and
later ones move one place towards the start. Going forward, a reader would step over them. This one
reads the head, which also tells the length, and then goes backwards from the end until it meets the
head: what moves, moves into what is still to be read. Rows seldom enter (a late commit, an order
restored from the trash) and push later ones towards the end, into what was read already. Hence each
page begins by re-reading a row of the one before; if it finds none that it knows, it goes back up.

Offsets, not page numbers, let every page have its own size: one that cannot be had is halved, down
to the one order that breaks it, which is reported; then sizes grow again. (Beside a broken order no
row can be re-read: only there, and only if an order enters at that moment, one may be missed.)
"""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple, Protocol

from bridge.domain.clock import Instant
from bridge.domain.errors import BridgeError
from bridge.storefront.errors import (
    SMALLER_MAY_DO,
    StorefrontAnswerError,
    StorefrontUnavailableError,
)
from bridge.storefront.parse import field, row_id

BROKEN_MAX = 25
"""How many orders of one list may be broken before it is the storefront that is."""
RETREATS_MAX = 100
"""How often one reading goes back up before it gives up."""


class Slice(NamedTuple):
    """Rows that follow each other, the length of the whole list, and when we asked (our clock)."""

    rows: list[Any]
    total: int
    sent_at: Instant


class Broken(NamedTuple):
    """An order that cannot be read: its place in the list, its id if known, and why."""

    offset: int
    id: int | None
    why: str


class Piece(NamedTuple):
    """What one step of the reading brought: rows not yet seen in this state, or a broken one."""

    rows: list[Any]
    sent_at: Instant
    broken: tuple[Broken, ...]


class Listing(Protocol):
    """A list of orders that can be asked for by place."""

    @property
    def sorted_by(self) -> str:
        """The field by which it is sorted; a row that gets another value there is another row."""

    def ask(self, offset: int, count: int, *, insist: bool) -> Slice:
        """Return up to `count` rows from `offset`; with `insist` try again on passing faults."""

    def id_at(self, offset: int) -> int | None:
        """Return the id of the row at `offset`, if it can be had although the row cannot."""

    def prove_alive(self) -> None:
        """Raise if the storefront does not even answer a question that touches no order."""


def pieces(listing: Listing, size_max: int) -> Iterator[Piece]:
    """Read the whole list; every row that stays in it meanwhile is seen, in its order or again.

    Raises what the listing raises, StorefrontAnswerError for more than BROKEN_MAX broken orders,
    and StorefrontUnavailableError when rows enter faster than they can be read.
    """
    return _Reading(listing, size_max).pieces()


class _Reading:
    """The state of one reading: the present page size, what was seen, what was broken."""

    def __init__(self, listing: Listing, size_max: int) -> None:
        self._listing = listing
        self._size_max = size_max
        self._size = size_max
        self._seen: dict[int, Any] = {}
        self._broken = 0

    def pieces(self) -> Iterator[Piece]:
        asked, first = self._head()
        yield self._fresh(first)
        if asked.start > 0:  # WooCommerce: beyond the end of a list its length is told as 0
            yield from self._backwards(max(asked.start, first.total), head=set())
        elif first.total > asked.stop:
            yield from self._backwards(first.total, head=self._marks(first.rows))

    def _head(self) -> tuple[range, Slice]:
        """Read the first rows that can be read; broken ones are met again on the way back."""
        start = 0
        while True:
            asked, found = self._take(partial(_from, start))
            if isinstance(found, Slice):
                return asked, found
            if start == BROKEN_MAX:
                raise _too_broken(found)
            start += 1

    def _backwards(self, end: int, head: set[Any]) -> Iterator[Piece]:
        """Read the places [0, end) from the end, until a page meets the head."""
        known: set[Any] = set()
        joined = True
        retreats = 0
        while end > 0:
            asked, found = self._take(partial(_up_to, end, joined))
            if not isinstance(found, Slice):
                yield Piece([], 0, (self._isolated(asked.start, found),))
                end, joined = asked.start, False
                continue
            yield self._fresh(found)
            marks = self._marks(found.rows)
            # A joined page holds a row we know or the end of the list, unless rows have entered.
            if asked.stop > end and found.total >= asked.stop and known.isdisjoint(marks):
                retreats += 1
                if retreats > RETREATS_MAX:
                    raise _too_restless()
                end = asked.stop + len(asked)
                continue
            if not head.isdisjoint(marks):
                return
            known |= marks
            end, joined = asked.start, True

    def _take(self, places: "partial[range]") -> tuple[range, Slice | BridgeError]:
        """Ask for as many places as the present size allows, halving it down to one."""
        while True:
            asked = places(self._size)
            try:
                found = self._listing.ask(asked.start, len(asked), insist=len(asked) == 1)
            except SMALLER_MAY_DO as error:
                self._listing.prove_alive()
                if len(asked) == 1:
                    return asked, error
                self._size = len(asked) // 2
            else:
                self._size = min(self._size * 2, self._size_max)
                return asked, found

    def _isolated(self, offset: int, error: BridgeError) -> Broken:
        self._broken += 1
        if self._broken > BROKEN_MAX:
            raise _too_broken(error)
        return Broken(offset, self._listing.id_at(offset), str(error))

    def _marks(self, rows: list[Any]) -> set[Any]:
        sorted_by = self._listing.sorted_by
        return {(number, str(field(row, sorted_by))) for row in rows if (number := row_id(row))}

    def _fresh(self, found: Slice) -> Piece:
        rows = [row for row in found.rows if self._is_fresh(row)]
        self._seen.update((number, _stamp(row)) for row in rows if (number := row_id(row)))
        return Piece(rows, found.sent_at, ())

    def _is_fresh(self, row: Any) -> bool:
        number = row_id(row)
        return number is None or number not in self._seen or self._seen[number] != _stamp(row)


def _from(start: int, size: int) -> range:
    return range(start, start + size)


def _up_to(end: int, joined: bool, size: int) -> range:
    """Return the places before `end`, and `end` itself to join the page to what was read there."""
    stop = end + 1 if joined and size > 1 else end
    return range(max(0, stop - size), stop)


def _stamp(row: Any) -> Any:
    return field(row, "date_modified_gmt")


def _too_restless() -> StorefrontUnavailableError:
    return StorefrontUnavailableError(
        "orders enter the list faster than it can be read; try again when the storefront is less "
        "busy"
    )


def _too_broken(error: BridgeError) -> StorefrontAnswerError:
    return StorefrontAnswerError(
        f"more than {BROKEN_MAX} orders of one list cannot be read; the last time: {error}"
    )
