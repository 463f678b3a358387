"""Alerts: said on crossing, never often, and recovered from only where they were said."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bridge.domain.alert import Latch, Threshold, follow
from bridge.domain.clock import DAY, HOUR, MINUTE
from tests.examples import NOON


def said(balances: list[tuple[int, bool]], cooldown: int = DAY) -> list[tuple[int, str]]:
    """What is said, and when, as a balance is below at some times and not at others."""
    latch, told = Latch(), []
    for now, below in balances:
        latch, fires, recovers = follow(latch, below=below, cooldown=cooldown, now=now)
        told += [(now, name) for name, it in (("low", fires), ("back", recovers)) if it]
    return told


def test_a_mark_is_the_larger_of_the_amount_and_the_next_renewal_where_it_counts() -> None:
    assert Threshold(500).amount(1900) == 500
    assert Threshold(500, next_renewal=True).amount(1900) == 1900
    assert Threshold(2000, next_renewal=True).amount(1900) == 2000
    assert Threshold(next_renewal=True).amount(0) == 0


def test_a_balance_that_stays_below_is_told_once() -> None:
    assert said([(NOON + n * HOUR, True) for n in range(100)]) == [(NOON, "low")]


def test_a_balance_that_never_was_below_is_not_told() -> None:
    assert said([(NOON, False), (NOON + DAY, False)]) == []


def test_hovering_for_a_day_tells_one_pair() -> None:
    hovering = [(NOON + n * MINUTE, n % 2 == 0) for n in range(24 * 60)]
    assert said(hovering) == [(NOON, "low"), (NOON + MINUTE, "back")]


def test_who_falls_again_is_told_at_the_cooldowns_end_if_still_below() -> None:
    first = [(NOON, True), (NOON + HOUR, False), (NOON + 2 * HOUR, True)]
    told = [(NOON, "low"), (NOON + HOUR, "back")]
    assert said([*first, (NOON + DAY - 1, True)]) == told
    assert said([*first, (NOON + DAY, True)]) == [*told, (NOON + DAY, "low")]
    assert said([*first, (NOON + DAY, False)]) == told


def test_who_falls_again_is_looked_at_when_the_cooldown_ends() -> None:
    latch = Latch()
    for now, below in [(NOON, True), (NOON + HOUR, False), (NOON + 2 * HOUR, True)]:
        latch = follow(latch, below=below, cooldown=DAY, now=now).latch
    assert latch.due_at(DAY) == NOON + DAY
    assert follow(latch, below=True, cooldown=DAY, now=NOON + DAY).latch.due_at(DAY) is None


@given(
    st.lists(st.tuples(st.integers(0, 10 * HOUR), st.booleans())),
    st.integers(0, 2 * DAY),
)
def test_alerts_and_recoveries_alternate_and_alerts_keep_their_distance(
    steps: list[tuple[int, bool]], cooldown: int
) -> None:
    now, balances = NOON, []
    for pause, below in steps:
        now += pause
        balances.append((now, below))
    told = said(balances, cooldown)
    names = [name for _, name in told]
    assert names == ["low", "back"] * (len(told) // 2) + ["low"] * (len(told) % 2)
    alerts = [when for when, name in told if name == "low"]
    assert all(later - earlier >= cooldown for earlier, later in pairwise(alerts))
