"""Events: what an entry is told as, and ids that name one event for ever."""

import pytest

from bridge.domain.entry import Kind
from bridge.domain.errors import NotFoundError
from bridge.domain.event import Event, EventId, EventType, Told
from tests.examples import NOON


def entry(kind: Kind, amount: int) -> Told:
    return Told("acme", "EUR", 1, kind.value, amount, NOON)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (Kind.DEPOSIT, EventType.WALLET_CREDITED),
        (Kind.BONUS, EventType.WALLET_CREDITED),
        (Kind.REVERSAL, EventType.WALLET_REVERSED),
        (Kind.DEBIT, EventType.WALLET_DEBITED),
        (Kind.DEBIT_REFUND, EventType.WALLET_CREDITED),
        (Kind.HOLD, EventType.HOLD_PLACED),
        (Kind.CAPTURE, EventType.HOLD_CAPTURED),
        (Kind.VOID, EventType.HOLD_VOIDED),
        (Kind.EXPIRE, EventType.HOLD_EXPIRED),
    ],
)
def test_an_entry_is_told_by_what_it_is(kind: Kind, told: EventType) -> None:
    assert entry(kind, -5).type is told


def test_an_adjustment_is_told_by_its_direction() -> None:
    assert entry(Kind.ADJUSTMENT, 5).type is EventType.WALLET_CREDITED
    assert entry(Kind.ADJUSTMENT, -5).type is EventType.WALLET_DEBITED


def test_every_kind_of_entry_is_told() -> None:
    assert all(entry(kind, 1).type in EventType for kind in Kind)


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
