"""When periods are due, and what becomes of a renewal."""

from datetime import date, datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.domain import renewal as rules
from bridge.domain.clock import (
    DAY,
    HOUR,
    MINUTE,
    Instant,
    from_datetime,
    isoformat,
    parse,
    to_datetime,
)
from bridge.domain.errors import InvalidRequestError
from bridge.domain.renewal import Refusal, Renewal, Schedule, Status, Unit, agreed, failed, paid
from tests.examples import NOON
from tests.renewing import asked, renewal

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/Sao_Paulo",
    "Pacific/Auckland",
    "Asia/Kathmandu",
    "Africa/Casablanca",
    "Australia/Lord_Howe",
]

SCHEDULES = st.builds(
    Schedule,
    st.sampled_from(list(Unit)),
    st.integers(1, 12),
    st.sampled_from(ZONES),
    # Every hour of a century: changes of clocks are on the hour or the half hour.
    st.integers(parse("2000-01-01") // HOUR, parse("2100-01-01") // HOUR).map(
        lambda hours: hours * HOUR + 30 * MINUTE
    ),
)


def periods(schedule: Schedule, number: int) -> list[str]:
    return [schedule.period(n) for n in range(number)]


def dues(schedule: Schedule, number: int) -> list[str]:
    return [isoformat(schedule.due_at(n))[:16] for n in range(number)]


def local(instant: Instant, zone: str) -> datetime:
    return to_datetime(instant).astimezone(ZoneInfo(zone)).replace(tzinfo=None)


# Periods


def test_months_end_well_and_find_back_to_their_day() -> None:
    schedule = Schedule(Unit.MONTH, 1, "Europe/Berlin", parse("2027-12-31T09:00:00Z"))
    found = ["2027-12-31", "2028-01-31", "2028-02-29", "2028-03-31", "2028-04-30", "2028-05-31"]
    assert periods(schedule, 6) == found
    assert schedule.period(14) == "2029-02-28"


def test_a_year_from_29_february_is_28_february_unless_that_year_has_29_days() -> None:
    schedule = Schedule(Unit.YEAR, 1, "UTC", parse("2096-02-29T12:00:00Z"))
    common = [f"{year}-02-28" for year in range(2097, 2104)]  # 2100 is a common year, too
    assert periods(schedule, 9) == ["2096-02-29", *common, "2104-02-29"]


@pytest.mark.parametrize(
    ("zone", "anchor", "expected"),
    [
        # 02:30 does not exist on 29 March: it is 03:30 then, and 02:30 again the next day.
        ("Europe/Berlin", "2026-03-28T01:30", ["03-28T01:30", "03-29T01:30", "03-30T00:30"]),
        # 02:30 comes twice on 25 October: the first one counts.
        ("Europe/Berlin", "2026-10-24T00:30", ["10-24T00:30", "10-25T00:30", "10-26T01:30"]),
        # The day began at 01:00 here.
        ("America/Sao_Paulo", "2017-10-14T03:00", ["10-14T03:00", "10-15T03:00", "10-16T02:00"]),
        ("Pacific/Auckland", "2026-09-25T14:30", ["09-25T14:30", "09-26T14:30", "09-27T13:30"]),
        ("Asia/Kathmandu", "2026-03-28T18:15", ["03-28T18:15", "03-29T18:15", "03-30T18:15"]),
    ],
)
def test_days_keep_their_time_in_the_tenants_zone_over_changes_of_clocks(
    zone: str, anchor: str, expected: list[str]
) -> None:
    schedule = Schedule(Unit.DAY, 1, zone, parse(f"{anchor}:00Z"))
    assert [due.partition("-")[2] for due in dues(schedule, 3)] == expected


def test_the_first_of_two_equal_times_is_taken_even_if_the_anchor_was_the_second() -> None:
    schedule = Schedule(Unit.YEAR, 1, "Europe/Berlin", parse("2026-10-25T01:30:00Z"))
    assert dues(schedule, 1) == ["2026-10-25T01:30"]
    daily = schedule._replace(unit=Unit.DAY, anchor=parse("2026-10-25T01:30:00Z"))
    assert dues(daily, 2)[1] == "2026-10-26T01:30"


def test_the_day_that_samoa_left_out_is_due_with_the_next_one_under_its_own_name() -> None:
    schedule = Schedule(Unit.DAY, 1, "Pacific/Apia", parse("2011-12-29T20:00:00Z"))
    assert periods(schedule, 4) == ["2011-12-29", "2011-12-30", "2011-12-31", "2012-01-01"]
    assert dues(schedule, 4)[1:3] == ["2011-12-30T20:00"] * 2


def test_a_period_is_named_by_its_day_where_the_tenant_is() -> None:
    night = parse("2026-01-31T22:30:00Z")
    assert Schedule(Unit.MONTH, 1, "UTC", night).period(0) == "2026-01-31"
    assert Schedule(Unit.MONTH, 1, "Pacific/Auckland", night).period(0) == "2026-02-01"


@given(SCHEDULES)
def test_periods_rise_and_so_do_their_names(schedule: Schedule) -> None:
    numbers = range(40)
    assert all(a < b for a, b in pairwise([schedule.due_at(n) for n in numbers]))
    assert all(a < b for a, b in pairwise(periods(schedule, 40)))


@given(SCHEDULES)
def test_periods_are_due_at_the_anchors_time_of_day_unless_that_day_leaves_it_out(
    schedule: Schedule,
) -> None:
    time_of_day = local(schedule.anchor, schedule.timezone).time()
    for number in range(40):
        found = local(schedule.due_at(number), schedule.timezone)
        nominal = datetime.combine(date.fromisoformat(schedule.period(number)), time_of_day)
        assert found == nominal or not exists(nominal, schedule.timezone)


def exists(moment: datetime, zone: str) -> bool:
    """Whether the clocks of a zone ever show this."""
    return any(
        local(from_datetime(moment.replace(tzinfo=ZoneInfo(zone), fold=fold)), zone) == moment
        for fold in (0, 1)
    )


# What is asked for


def test_what_is_asked_for_again_is_the_same_renewal() -> None:
    first = renewal()
    later = paid(first, "acme.EUR.2", NOON + MINUTE)
    assert agreed(later, asked(created_at=NOON + DAY), NOON + DAY) is later


def test_what_was_read_can_be_written_back() -> None:
    later = paid(renewal(), "acme.EUR.2", NOON)
    assert agreed(later, asked(due_at=later.due_at), NOON + DAY) is later


@pytest.mark.parametrize("status", list(Status))
def test_asking_twice_for_anything_is_asking_once(status: Status) -> None:
    before = paid(renewal(), "acme.EUR.2", NOON)._replace(status=status)
    for wish in [
        asked(amount=1),
        asked(due_at=NOON + 9 * DAY),
        asked(unit=Unit.YEAR, timezone="Asia/Kathmandu"),
        asked(auto_renew=0, max_amount=5),
    ]:
        once = agreed(before, wish, NOON + DAY)
        assert agreed(once, wish, NOON + 2 * DAY) is once


def test_another_amount_leaves_the_periods_as_they_are() -> None:
    before = paid(renewal(), "acme.EUR.2", NOON)
    after = agreed(before, asked(amount=2900), NOON + DAY)
    assert after == before._replace(amount=2900, changed_at=NOON + DAY)


def test_another_date_is_where_the_periods_begin_anew() -> None:
    before = paid(renewal(), "acme.EUR.2", NOON)
    later = parse("2027-01-31T09:00:00Z")
    after = agreed(before, asked(due_at=later), NOON)
    assert (after.due_at, after.period, after.number) == (later, "2027-01-31", 0)
    assert paid(after, "acme.EUR.3", later).period == "2027-02-28"


def test_another_interval_is_counted_from_the_present_period() -> None:
    before = paid(renewal(), "acme.EUR.2", NOON)
    after = agreed(before, asked(unit=Unit.YEAR), NOON)
    assert (before.period, after.period) == ("2026-12-22", "2026-12-22")
    assert paid(after, "acme.EUR.3", after.due_at).period == "2027-12-22"


def test_a_lapsed_renewal_stays_so_until_it_gets_another_date() -> None:
    before = renewal()._replace(status=Status.LAPSED, look_at=None)
    assert agreed(before, asked(amount=8), NOON).status == Status.LAPSED
    assert agreed(before, asked(due_at=NOON + DAY), NOON).status == Status.ACTIVE


def test_an_ended_renewal_begins_anew_when_it_is_asked_for() -> None:
    before = rules.ended(renewal(), NOON)
    assert before.look_at is None
    assert agreed(before, asked(), NOON + DAY).status == Status.ACTIVE


@pytest.mark.parametrize("due_at", [NOON - 366 * DAY - 1, NOON + 3660 * DAY + 1])
def test_periods_begin_neither_long_ago_nor_far_ahead(due_at: Instant) -> None:
    for before in (None, renewal()):
        with pytest.raises(InvalidRequestError, match="366 days ago or 3660 days ahead"):
            agreed(before, asked(due_at=due_at), NOON)


def test_a_date_that_was_right_once_may_be_repeated_for_ever() -> None:
    before = paid(renewal(), "acme.EUR.2", NOON)
    assert agreed(before, asked(), NOON + 5000 * DAY) is before


# What becomes of it


def test_a_new_renewal_is_announced_a_week_before_it_is_due() -> None:
    first = renewal(due_at=NOON + 30 * DAY)
    assert first.look_at == NOON + 23 * DAY
    assert rules.noticed(first).look_at == NOON + 30 * DAY


def test_a_paid_period_makes_the_next_one_present_and_forgets_the_failures() -> None:
    short = failed(renewal(), "insufficient_balance", NOON)
    after = paid(short, "acme.EUR.2", NOON + DAY)
    assert (after.status, after.period, after.entry_id) == ("active", "2026-12-22", "acme.EUR.2")
    assert (after.failures, after.failed_at, after.reason, after.noticed) == (0, None, "", 0)


def test_a_short_period_is_tried_again_and_lapses_when_its_time_is_over() -> None:
    looked, at = renewal(), NOON
    seen = []
    while looked.look_at is not None:
        looked = failed(looked, "insufficient_balance", at)
        seen.append((str(looked.status), looked.failures, (at - NOON) // HOUR))
        at = looked.look_at or at
    days = [("overdue", 1, 0), ("overdue", 2, 24), ("overdue", 3, 72), ("lapsed", 3, 14 * 24)]
    assert seen == days


@pytest.mark.parametrize(
    ("fields", "lapses_after"),
    [
        ({}, 14 * DAY),
        ({"retries": "[24,480]"}, 20 * DAY),
        ({"grace_until": NOON + 3 * DAY}, 3 * DAY),
        ({"grace_until": NOON - DAY}, 14 * DAY),
        ({"retries": "[]", "grace": 0}, 0),
    ],
)
def test_an_overdue_period_lapses_when_it_says_or_after_grace_and_all_retries(
    fields: dict[str, Any], lapses_after: Instant
) -> None:
    short = failed(renewal(**fields), "insufficient_balance", NOON)
    assert short.lapses_at == NOON + lapses_after


def test_retries_count_from_the_failure_so_that_a_downtime_does_not_eat_them() -> None:
    late = NOON + 40 * DAY
    assert failed(renewal(), "insufficient_balance", late).look_at == late + DAY


def test_of_retries_that_were_missed_one_is_made() -> None:
    short = failed(renewal(retries="[1,2,3,48]"), "insufficient_balance", NOON)
    later = failed(short, "insufficient_balance", NOON + 3 * HOUR)
    assert (later.failures, later.retry_at) == (4, NOON + 48 * HOUR)
    assert failed(short, "insufficient_balance", NOON + 9 * DAY).retry_at is None


def test_one_paid_by_hand_is_not_tried_again_before_it_lapses() -> None:
    by_hand = failed(renewal(auto_renew=0), Refusal.NOT_AUTOMATIC, NOON)
    assert (by_hand.failures, by_hand.retry_at) == (0, None)
    assert by_hand.look_at == by_hand.lapses_at == NOON + 14 * DAY


def test_of_a_lapsed_renewal_the_periods_are_counted_from_when_it_is_paid() -> None:
    lapsed = renewal()._replace(status=Status.LAPSED)
    after = paid(lapsed, "acme.EUR.2", NOON + 100 * DAY)
    assert (after.status, after.period) == ("active", "2027-04-02")


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({}, None),
        ({"auto_renew": 0}, Refusal.NOT_AUTOMATIC),
        ({"max_amount": 1899}, Refusal.EXCEEDS_MAX_AMOUNT),
        ({"max_amount": 1900}, None),
    ],
)
def test_bridge_debits_by_itself_only_what_was_agreed(
    fields: dict[str, Any], refusal: Refusal | None
) -> None:
    assert renewal(**fields).refusal is refusal


def test_by_hand_what_is_to_be_kept_may_be_taken() -> None:
    keeping = renewal(keep_at_least=500)
    assert rules.draft(keeping).keep_at_least == 500
    assert rules.draft(keeping, by_hand=True).keep_at_least == 0


def test_a_period_has_one_key_whatever_its_amount_is() -> None:
    cheap, dear = rules.draft(renewal(amount=1)), rules.draft(renewal(amount=2))
    assert (cheap.caller, cheap.key) == ("renewal", "sub-1/2026-11-22")
    assert (cheap.key, cheap.digest) == (dear.key, dear.digest)


def test_the_oldest_is_paid_first_then_the_lowest_priority() -> None:
    made = [
        renewal("b", priority=1),
        renewal("a", priority=2),
        renewal("z", NOON - DAY, priority=3),
        renewal("a", priority=1),
    ]
    ordered = sorted(made, key=lambda one: one.turn)
    assert [(one.reference, one.priority) for one in ordered] == [
        ("z", 3),
        ("a", 1),
        ("b", 1),
        ("a", 2),
    ]


def test_only_what_goes_on_comes() -> None:
    def names(one: Renewal) -> list[str]:
        return [name for _, name in rules.coming(one, NOON + 40 * DAY)]

    assert names(renewal()) == ["2026-11-22", "2026-12-22"]
    assert names(renewal()._replace(status=Status.LAPSED)) == []
    assert names(rules.ended(renewal(), NOON)) == []
