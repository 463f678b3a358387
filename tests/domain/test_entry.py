from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.domain.entry import Entry, EntryId, canonical_metadata, request_digest
from bridge.domain.errors import NotFoundError
from bridge.domain.wallet import GENESIS
from tests.examples import NOON

ENTRY = Entry(
    tenant_id="acme",
    currency="EUR",
    version=17,
    kind="debit",
    amount=-250,
    held=0,
    balance_after=750,
    held_after=0,
    contra="plans",
    caller="api:core",
    idempotency_key="k",
    request_digest=bytes(range(32)),
    reference="INV-1",
    description="Plan",
    source="api/core",
    metadata="{}",
    related_version=None,
    expires_at=None,
    occurred_at=NOON,
    recorded_at=NOON,
)
TEXTS = st.text(max_size=8)
NUMBERS = st.integers(-(2**63), 2**63 - 1)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    field: st.binary(max_size=32)
    if field == "request_digest"
    else st.none() | NUMBERS
    if field in {"related_version", "expires_at"}
    else TEXTS
    if isinstance(getattr(ENTRY, field), str)
    else NUMBERS
    for field in Entry._fields[:-1]
}


def test_an_entry_id_is_its_place() -> None:
    assert ENTRY.id == "acme.EUR.17"
    assert EntryId.parse("acme.EUR.17") == ("acme", "EUR", 17)
    assert EntryId.parse("a.b.EUR.c.EUR.1") == ("a.b.EUR.c", "EUR", 1)


@pytest.mark.parametrize(
    "text",
    [
        *["", "acme", "acme.EUR", "acme.EUR.", ".EUR.1", "EUR.1", "acme..1", "acme.eur.1"],
        *["acme.EUR.0", "acme.EUR.01", "acme.EUR.-1", "acme.EUR.+1", "acme.EUR.1 ", "acme.EUR.1\n"],
        *["acme.EUR.\u0661", "acme.EUR.1.5", "acme.EUR.1e3", "acme.EUR." + "9" * 19],
        *["ac\x00me.EUR.1", "ac me.EUR.1", "\u0430cme.EUR.1", "\ud800.EUR.1", "x" * 256 + ".EUR.1"],
    ],
    ids=ascii,
)
def test_what_no_entry_can_be_called_is_not_found(text: str) -> None:
    with pytest.raises(NotFoundError, match=r"they look like acme\.EUR\.17"):
        EntryId.parse(text)


@given(st.sampled_from(sorted(VALUES)), st.data())
def test_whatever_is_changed_in_an_entry_changes_its_hash(field: str, data: st.DataObject) -> None:
    value = data.draw(VALUES[field].filter(lambda value: value != getattr(ENTRY, field)))
    changed = ENTRY._replace(**{field: value})
    assert changed.sealed(GENESIS).hash != ENTRY.sealed(GENESIS).hash


@given(st.binary(min_size=32, max_size=32).filter(lambda previous: previous != GENESIS))
def test_another_previous_entry_gives_another_hash(previous: bytes) -> None:
    assert ENTRY.sealed(previous).hash != ENTRY.sealed(GENESIS).hash


def test_text_cannot_move_from_one_field_to_its_neighbour_unseen() -> None:
    moved = ENTRY._replace(reference='INV-1","Plan', description="")
    assert moved.sealed(GENESIS).hash != ENTRY.sealed(GENESIS).hash


def test_the_hash_of_an_entry_never_changes_between_releases() -> None:
    """Books written today must verify for as long as they exist."""
    sealed = ENTRY.sealed(GENESIS)
    assert sealed.hash.hex() == ("ff956502ac7cd35f45cab0d16e249d25a5df30ee525250a05752e2877ff569c1")
    assert sealed._replace(hash=b"x").sealed(GENESIS) == sealed


def test_a_digest_tells_contents_apart_and_equal_ones_not() -> None:
    assert request_digest("debit", "acme", 100) == request_digest("debit", "acme", 100)
    contents: list[tuple[object, ...]] = [
        ("debit", "acme", 100),
        ("debit", "acme", "100"),
        ("debit", "acme", None),
        ("debit", "acme", 100, ""),
        ("debita", "cme", 100),
        (),
    ]
    assert len({request_digest(*content) for content in contents}) == len(contents)
    assert {len(request_digest(*content)) for content in contents} == {32}


def test_metadata_is_written_alike_in_whatever_order_it_came() -> None:
    assert canonical_metadata({"b": "2", "a": "é"}) == canonical_metadata({"a": "é", "b": "2"})
    assert canonical_metadata({"b": "2", "a": "1"}) == '{"a":"1","b":"2"}'
    assert canonical_metadata({}) == "{}"
