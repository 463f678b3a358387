from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.domain import clock

NOON = 1_795_348_800_000_000


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T12:00:00Z",
        "2026-11-22T12:00:00.000000Z",
        "2026-11-22T13:00:00+01:00",
        "2026-11-22T07:00:00-05:00",
    ],
)
def test_a_time_is_an_instant_whatever_its_offset(text: str) -> None:
    assert clock.parse(text) == NOON


def test_a_plain_date_is_its_midnight_in_utc() -> None:
    assert clock.parse("2026-11-22") == NOON - 12 * clock.HOUR


@pytest.mark.parametrize("text", ["2026-11-22T12:00:00", "2026-11-22 12:00"])
def test_a_time_without_a_zone_is_refused_because_it_could_be_any(text: str) -> None:
    with pytest.raises(ValueError, match=r"names no time zone; add Z or an offset"):
        clock.parse(text)


@pytest.mark.parametrize("text", ["", "yesterday", "1795348800", "2026-13-01", "2026-11-22T25:00Z"])
def test_what_is_no_time_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"Invalid isoformat|must be in"):
        clock.parse(text)


@pytest.mark.parametrize(
    "text",
    ["0001-01-01T00:00:00+23:59", "1969-12-31", "9999-12-31", "9999-12-31T23:59:59-23:59"],
)
def test_a_time_that_could_not_be_calculated_with_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not between the years 1970 and 9999"):
        clock.parse(text)


def test_an_instant_is_written_in_utc_to_the_microsecond() -> None:
    assert clock.isoformat(NOON + 1) == "2026-11-22T12:00:00.000001Z"


@given(
    st.datetimes(
        min_value=datetime(1970, 1, 1),  # noqa: DTZ001 # hypothesis adds the zone
        max_value=datetime(9999, 12, 30),  # noqa: DTZ001 # hypothesis adds the zone
        timezones=st.just(UTC),
    )
)
def test_no_microsecond_is_lost_on_the_way_and_back(moment: datetime) -> None:
    instant = clock.from_datetime(moment)
    assert clock.to_datetime(instant) == moment
    assert clock.parse(clock.isoformat(instant)) == instant


def test_an_hour_of_daylight_saving_that_comes_twice_is_two_instants() -> None:
    summer = datetime(2026, 10, 25, 2, 30, tzinfo=timezone(timedelta(hours=2)))
    winter = datetime(2026, 10, 25, 2, 30, tzinfo=timezone(timedelta(hours=1)))
    assert clock.from_datetime(winter) - clock.from_datetime(summer) == clock.HOUR


def test_now_is_between_before_and_after() -> None:
    before = clock.from_datetime(datetime.now(UTC))
    assert before <= clock.utc_now() <= clock.from_datetime(datetime.now(UTC))
