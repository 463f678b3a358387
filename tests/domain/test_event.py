"""Events: what an entry is told as, and ids that name one event for ever."""

import pytest

from bridge.domain.entry import Kind
from bridge.domain.errors import NotFoundError
from bridge.domain.event import Event, EventId, EventType, Happened, told_as
from tests.examples import NOON

TOLD_AS = {
    Kind.DEPOSIT: EventType.WALLET_CREDITED,
    Kind.BONUS: EventType.WALLET_CREDITED,
    Kind.REVERSAL: EventType.WALLET_REVERSED,
    Kind.DEBIT: EventType.WALLET_DEBITED,
    Kind.DEBIT_REFUND: EventType.WALLET_CREDITED,
    Kind.HOLD: EventType.HOLD_PLACED,
    Kind.CAPTURE: EventType.HOLD_CAPTURED,
    Kind.VOID: EventType.HOLD_VOIDED,
    Kind.EXPIRE: EventType.HOLD_EXPIRED,
}


@pytest.mark.parametrize("kind", sorted(set(Kind) - {Kind.ADJUSTMENT}))
def test_an_entry_is_told_by_what_it_is(kind: Kind) -> None:
    assert {told_as(kind, amount) for amount in (5, 0, -5)} == {TOLD_AS[kind]}


def test_an_adjustment_is_told_by_what_it_moves() -> None:
    assert told_as(Kind.ADJUSTMENT, 5) == EventType.WALLET_CREDITED
    assert told_as(Kind.ADJUSTMENT, -5) == EventType.WALLET_DEBITED


@pytest.mark.parametrize(
    ("tenant_id", "data", "wallet_id"),
    [
        ("acme", {"currency": "EUR"}, ("acme", "EUR")),
        ("acme", {"order_id": 7}, None),
        ("", {"currency": "EUR"}, None),
    ],
)
def test_a_fact_is_about_a_wallet_where_it_names_one(
    tenant_id: str, data: dict[str, object], wallet_id: tuple[str, str] | None
) -> None:
    fact = Happened(EventType.RENEWAL_UPCOMING, tenant_id, NOON, data)
    assert fact.wallet_id == wallet_id


def test_an_id_names_its_event_and_has_no_dots() -> None:
    """Standard Webhooks signs id.timestamp.body."""
    event = Event(17, NOON, EventType.BALANCE_LOW, "acme", "", 0, NOON, "{}")
    assert EventId.parse(event.id) == (17, NOON)
    assert "." not in event.id


@pytest.mark.parametrize(
    "text",
    ["", "evt_", "evt_1", "evt_0_1", "evt_01_1", "evt_1_1 ", "evt_-1_1", "evt_1_" + "9" * 19],
)
def test_what_cannot_be_an_id_is_not_found(text: str) -> None:
    with pytest.raises(NotFoundError):
        EventId.parse(text)
