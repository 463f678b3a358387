"""Events: what an entry is told as, and ids that name one event for ever."""

import pytest

from bridge.domain.entry import Kind
from bridge.domain.errors import NotFoundError
from bridge.domain.event import TOLD_BY, Event, EventId, EventType, Happened
from tests.examples import NOON


def test_every_kind_of_entry_is_told() -> None:
    assert {*TOLD_BY, Kind.ADJUSTMENT} == set(Kind)


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
    assert TOLD_BY[kind] is told


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
