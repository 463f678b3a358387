"""Types of events are chosen by name or by family."""

import pytest

from bridge.domain.event import EventType
from bridge.domain.event_types import chosen


def test_naming_nothing_chooses_everything() -> None:
    assert chosen([]) == frozenset(EventType)


def test_a_family_is_what_stands_before_the_dot() -> None:
    assert chosen(["order.*", "balance.low"]) == {
        EventType.ORDER_HELD,
        EventType.ORDER_RELEASED,
        EventType.BALANCE_LOW,
    }


@pytest.mark.parametrize("pattern", ["*", "", ".*", "wallet", "wallet*", "wallets.*", "wallet.*.*"])
def test_what_means_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="is no event type"):
        chosen([pattern])


def test_a_slip_is_told_what_it_is_close_to() -> None:
    with pytest.raises(ValueError, match=r"did you mean renewal\.payment_failed"):
        chosen(["renewal.payment_failled"])
