"""Reading a list that changes under the reader: a model where anything happens at any time."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.domain.errors import BridgeError
from bridge.storefront import paging
from bridge.storefront.errors import (
    StorefrontAnswerError,
    StorefrontOverloadedError,
    StorefrontUnavailableError,
)
from bridge.storefront.paging import BROKEN_MAX, Broken, Piece, Slice

Change = tuple[str, int]


@dataclass
class Model:
    """A list of ids, what happens to it before each request, and what the reader asked for.

    `left` are the ids that were taken out or touched, which puts them at the end with a new stamp.
    """

    ids: list[int]
    changes: list[list[Change]] = field(default_factory=list)
    broken: set[int] = field(default_factory=set)
    dead: bool = False
    asked: list[tuple[int, int]] = field(default_factory=list)
    left: set[int] = field(default_factory=set)
    stamps: dict[int, int] = field(default_factory=dict)
    happened: int = 0
    sorted_by: str = "date_modified_gmt"

    def ask(self, offset: int, count: int, *, insist: bool) -> Slice:
        for kind, place in self.changes.pop(0) if self.changes else []:
            self._change(kind, place)
        self.asked.append((offset, count))
        chosen = self.ids[offset : offset + count]
        if self.dead or self.broken & set(chosen):
            raise StorefrontOverloadedError("500")
        total = len(self.ids) if chosen else 0  # WooCommerce: 0 beyond the end
        rows = [{"id": one, self.sorted_by: self.stamps.get(one, 0)} for one in chosen]
        return Slice(rows, total, 0)

    def id_at(self, offset: int) -> int | None:
        return self.ids[offset]

    def prove_alive(self) -> None:
        if self.dead:
            raise StorefrontUnavailableError("down")

    def _change(self, kind: str, place: int) -> None:
        self.happened += 1
        if kind == "enter":
            self.ids.insert(place % (len(self.ids) + 1), 10_000 + self.happened)
        elif self.ids:
            moved = self.ids.pop(place % len(self.ids))
            self.left.add(moved)
            if kind == "touch":
                self.ids.append(moved)
                self.stamps[moved] = self.happened


def read(model: Model, size_max: int) -> tuple[list[int], list[Broken]]:
    pieces: list[Piece] = list(paging.pieces(model, size_max))
    seen = [row["id"] for piece in pieces for row in piece.rows]
    return seen, [broken for piece in pieces for broken in piece.broken]


def changes(*kinds: str) -> st.SearchStrategy[list[list[Change]]]:
    change = st.tuples(st.sampled_from(kinds), st.integers(0, 200))
    return st.lists(st.lists(change, max_size=4), max_size=12)


@settings(max_examples=500)
@given(st.integers(0, 60), st.integers(2, 12), changes("leave", "enter", "touch"))
def test_every_row_that_stays_in_the_list_is_seen_whatever_happens(
    length: int, size_max: int, script: list[list[Change]]
) -> None:
    model = Model(list(range(1, length + 1)), script)

    seen, _ = read(model, size_max)

    assert set(range(1, length + 1)) - model.left <= set(seen)


@settings(max_examples=500)
@given(
    st.integers(1, 60),
    st.integers(1, 12),
    st.sets(st.integers(1, 60), max_size=5),
    changes("leave"),
)
def test_every_row_that_stays_is_seen_or_reported_broken_whatever_leaves(
    length: int, size_max: int, broken: set[int], script: list[list[Change]]
) -> None:
    model = Model(list(range(1, length + 1)), script, broken)

    seen, reported = read(model, size_max)

    stayed = set(range(1, length + 1)) - model.left
    assert stayed - broken <= set(seen)
    assert stayed & broken <= {one.id for one in reported}
    assert not broken & set(seen)


@given(st.integers(0, 300), st.integers(1, 100))
def test_a_list_that_stands_still_is_read_once_and_in_pages(length: int, size_max: int) -> None:
    model = Model(list(range(1, length + 1)))

    seen, _ = read(model, size_max)

    assert sorted(seen) == list(range(1, length + 1))
    new_rows_a_page = max(1, size_max - 1)
    assert len(model.asked) <= 2 + length / new_rows_a_page
    assert all(count <= size_max for _, count in model.asked)


def test_a_list_of_one_page_is_one_request() -> None:
    model = Model(list(range(1, 101)))

    read(model, 100)

    assert model.asked == [(0, 100)]


def test_one_broken_order_among_250_costs_few_requests_and_nothing_else() -> None:
    model = Model(list(range(1, 251)), broken={120})

    seen, reported = read(model, 100)

    assert sorted(seen) == [one for one in range(1, 251) if one != 120]
    assert reported == [Broken(119, 120, "500")]
    assert len(model.asked) < 40


def test_page_sizes_halve_down_to_one_and_grow_back() -> None:
    model = Model(list(range(1, 1001)), broken={990})

    read(model, 100)

    counts = [count for _, count in model.asked]
    lowest = counts.index(1)
    assert counts[:4] == [100, 100, 50, 25]
    assert counts[-1] == 100
    assert counts[lowest:].index(100) < 12


@pytest.mark.parametrize("broken", [{1}, {1, 2}, {50}, {1, 50}, set(range(1, 26))])
def test_broken_orders_at_either_end_do_not_hide_the_rest(broken: set[int]) -> None:
    seen, reported = read(Model(list(range(1, 51)), broken=broken), 8)

    assert sorted(seen) == [one for one in range(1, 51) if one not in broken]
    assert {one.id for one in reported} == broken


def test_too_many_broken_orders_are_a_broken_storefront() -> None:
    model = Model(list(range(1, 201)), broken=set(range(100, 101 + BROKEN_MAX)))

    with pytest.raises(StorefrontAnswerError, match=f"more than {BROKEN_MAX}"):
        read(model, 100)


def test_a_list_of_nothing_but_broken_orders_ends_too() -> None:
    model = Model(list(range(1, 201)), broken=set(range(1, 201)))

    with pytest.raises(StorefrontAnswerError):
        read(model, 100)

    assert len(model.asked) < 50


def test_a_storefront_that_is_down_is_not_taken_apart() -> None:
    model = Model(list(range(1, 201)), dead=True)

    with pytest.raises(StorefrontUnavailableError, match="down"):
        read(model, 100)

    assert len(model.asked) == 1


def test_a_list_that_grows_faster_than_it_is_read_is_given_up() -> None:
    model = Model(list(range(1, 101)), [[("enter", 0)] * 9] * 1000)

    with pytest.raises(BridgeError, match="faster"):
        read(model, 4)


def test_a_row_is_given_again_only_when_it_has_changed() -> None:
    """Rows without a usable id are always given, for the parser to call unreadable."""

    class Restless(Model):
        def ask(self, offset: int, count: int, *, insist: bool) -> Slice:
            found = super().ask(offset, count, insist=insist)
            stamp = len(self.asked)
            rows: list[Any] = [row | {"date_modified_gmt": stamp} for row in found.rows]
            return found._replace(rows=[*rows, {"id": "odd"}, None])

    pieces = list(paging.pieces(Restless(list(range(1, 11)), sorted_by="date_created_gmt"), 8))

    assert [row["id"] for row in pieces[1].rows[:-2]] == [4, 5, 6, 7, 8, 9, 10]
    assert [piece.rows[-2:] for piece in pieces] == [[{"id": "odd"}, None]] * 2
