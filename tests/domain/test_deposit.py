from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.domain.clock import DAY, HOUR, MINUTE, SECOND, Instant
from bridge.domain.deposit import (
    DepositRefusedError,
    Limits,
    Purpose,
    Sight,
    Status,
    Tag,
    Tier,
    after,
    bonus_left,
    check_amount,
    check_balance,
    next_look,
    read_tag,
    waiting_for,
)
from bridge.domain.money import AMOUNT_MAX
from bridge.domain.signing import derived, seal

KEYS = derived(["a secret"], "deposit-tag/main")
LIMITS = Limits("EUR", 500, 100_000, tiers=(Tier(10_000, 500), Tier(50_000, 1050)))
TENS = Limits("EUR", 1050, 5000, step=1000)


# The bonus


@pytest.mark.parametrize(
    ("amount", "bonus"),
    [(500, 0), (9999, 0), (10_000, 500), (10_019, 500), (10_020, 501), (49_999, 2499)],
)
def test_a_deposit_brings_the_bonus_of_its_tier_rounded_down(amount: int, bonus: int) -> None:
    assert LIMITS.bonus(amount) == bonus


def test_the_highest_tier_counts_in_whatever_order_they_stand() -> None:
    for tiers in (LIMITS.tiers, LIMITS.tiers[::-1]):
        assert LIMITS._replace(tiers=tiers).bonus(50_000) == 5250


@given(st.integers(0, 10**6), st.integers(1, 10**6), st.data())
def test_what_is_left_of_a_bonus_is_in_proportion_and_nothing_after_a_full_refund(
    bonus: int, credited: int, data: st.DataObject
) -> None:
    left = data.draw(st.integers(0, credited))
    remains = bonus_left(bonus, credited, left)
    assert remains * credited <= bonus * left < (remains + 1) * credited
    assert (bonus_left(bonus, credited, credited), bonus_left(bonus, credited, 0)) == (bonus, 0)


# Amounts


@pytest.mark.parametrize(
    ("wanted", "amount"),
    [(0, 2000), (1, 2000), (2000, 2000), (2001, 3000), (5000, 5000), (5001, None)],
)
def test_the_smallest_deposit_that_covers_an_amount_keeps_to_the_limits(
    wanted: int, amount: int | None
) -> None:
    assert TENS.smallest(wanted) == amount


def test_without_steps_the_smallest_deposit_is_the_amount_itself_from_the_minimum_on() -> None:
    assert [LIMITS.smallest(wanted) for wanted in (1, 500, 501)] == [500, 500, 501]


@pytest.mark.parametrize("amount", [499, 100_001, 0, -500])
def test_an_amount_outside_the_limits_is_refused_and_the_limits_are_told(amount: int) -> None:
    with pytest.raises(DepositRefusedError, match=r"from 5\.00 EUR to 1000\.00 EUR"):
        check_amount(LIMITS, amount)


def test_amounts_keep_to_the_steps_but_prices_of_plans_need_not() -> None:
    check_amount(TENS, 2000)
    check_amount(TENS, 1900, stepped=False)
    with pytest.raises(DepositRefusedError, match=r"multiples of 10\.00 EUR"):
        check_amount(TENS, 1900)


def test_a_deposit_may_not_lift_the_balance_beyond_its_limit() -> None:
    limited = LIMITS._replace(balance_max=20_000)
    check_balance(limited, 20_000)
    with pytest.raises(DepositRefusedError, match=r"would exceed 200\.00 EUR"):
        check_balance(limited, 20_001)
    check_balance(LIMITS, AMOUNT_MAX)
    with pytest.raises(DepositRefusedError):
        check_balance(LIMITS, AMOUNT_MAX + 1)


# How one fares

CREDITED, PAID, OPEN = Status.CREDITED, Status.PAID, Status.OPEN
EXPIRED, CANCELLED, REVERSED = Status.EXPIRED, Status.CANCELLED, Status.REVERSED
ALL = tuple(Status)

AFTER: dict[Sight, tuple[Status, ...]] = {
    Sight(1, paid=False, gone=False): (CREDITED,) * 6,
    Sight(1, paid=True, gone=True): (CREDITED,) * 6,
    Sight(0, paid=True, gone=False): (PAID, PAID, REVERSED, PAID, PAID, REVERSED),
    Sight(0, paid=False, gone=True): (
        *(CANCELLED, CANCELLED, REVERSED),
        *(EXPIRED, CANCELLED, REVERSED),
    ),
    Sight(0, paid=False, gone=False): (OPEN, OPEN, REVERSED, EXPIRED, CANCELLED, REVERSED),
}


@pytest.mark.parametrize(("sight", "states"), AFTER.items())
def test_a_deposit_moves_by_what_was_seen_of_its_order(
    sight: Sight, states: tuple[Status, ...]
) -> None:
    assert ALL == (OPEN, PAID, CREDITED, EXPIRED, CANCELLED, REVERSED)
    assert tuple(after(status, sight) for status in ALL) == states


@pytest.mark.parametrize(
    ("status", "order_status", "waits_for"),
    [
        (OPEN, "", "payment"),
        (OPEN, "pending", "payment"),
        (OPEN, "failed", "payment"),
        (OPEN, "on-hold", "bank"),
        (OPEN, "processing", "storefront"),
        (PAID, "processing", "storefront"),
        (PAID, "on-hold", "storefront"),
        (CREDITED, "completed", None),
        (EXPIRED, "pending", None),
        (CANCELLED, "on-hold", None),
        (REVERSED, "refunded", None),
    ],
)
def test_a_deposit_says_what_it_waits_for(
    status: Status, order_status: str, waits_for: str | None
) -> None:
    assert waiting_for(status, order_status) == waits_for


@pytest.mark.parametrize(
    ("age", "pause"),
    [
        (0, 2 * SECOND),
        (5 * MINUTE - 1, 2 * SECOND),
        (5 * MINUTE, 10 * SECOND),
        (30 * MINUTE, MINUTE),
        (2 * HOUR, 10 * MINUTE),
        (30 * DAY, 10 * MINUTE),
    ],
)
def test_a_deposit_is_looked_at_often_at_first_then_less(age: Instant, pause: Instant) -> None:
    assert next_look(DAY, DAY + age) == DAY + age + pause


def test_looks_never_grow_more_frequent_by_themselves() -> None:
    pauses = [next_look(0, age) - age for age in range(0, 3 * HOUR, MINUTE)]
    assert all(earlier <= later for earlier, later in pairwise(pauses))


# Tags and purposes


def test_a_tag_is_read_as_it_was_sealed_and_only_by_its_own_keys() -> None:
    tag = Tag("dep1", "acme", 5000, "EUR", 250)
    assert read_tag(KEYS, tag.sealed(KEYS)) == tag
    assert read_tag(derived(["a secret"], "deposit-tag/eu"), tag.sealed(KEYS)) is None
    assert read_tag(KEYS, seal(KEYS, *tag)[1:]) is None


def test_a_purpose_is_read_as_it_was_kept() -> None:
    for purpose in (Purpose(1900, "plan_purchase", metadata='{"ä":"b"}'), Purpose(request_id="p")):
        assert Purpose.from_json(purpose.as_json()) == purpose
