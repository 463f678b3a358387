"""Delivery: pauses that grow to an hour, scattered by chance, until three days are over."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.domain.clock import DAY, HOUR, SECOND
from bridge.domain.delivery import JITTER, PAUSE_MAX, given_up, pause, rest
from tests.examples import NOON


def test_pauses_grow_to_the_longest_and_stay_there() -> None:
    pauses = [pause(failures, 0) for failures in range(1, 8)]
    assert pauses[:5] == [5 * SECOND, 20 * SECOND, 80 * SECOND, 320 * SECOND, 1280 * SECOND]
    assert pauses[5:] == [PAUSE_MAX, PAUSE_MAX]
    assert pause(10_000, 0) == PAUSE_MAX


@given(st.integers(1, 100), st.floats(0, 1))
def test_chance_shortens_a_pause_by_no_more_than_its_part(failures: int, dice: float) -> None:
    longest = pause(failures, 0)
    assert longest * (1 - JITTER) - 1 <= pause(failures, dice) <= longest


def test_an_endpoint_may_ask_for_a_longer_pause_but_not_for_any() -> None:
    assert pause(1, 0, asked=60 * SECOND) == 60 * SECOND
    assert pause(4, 0, asked=SECOND) == 320 * SECOND
    assert pause(1, 0, asked=7 * DAY) == HOUR


def test_a_whole_endpoint_rests_only_after_several_failures_and_never_long() -> None:
    assert [rest(failures) // SECOND for failures in (0, 2, 3, 4, 7, 8, 1000)] == [
        *(0, 0, 1, 2, 16, 30, 30)
    ]


def test_an_event_is_given_up_after_three_days() -> None:
    assert not given_up(NOON, NOON + 3 * DAY - 1)
    assert given_up(NOON, NOON + 3 * DAY)
