"""Instants: whole microseconds since 1970-01-01T00:00:00 UTC.

An instant has no zone to lose, sorts as it happened and is stored as BIGINT on both databases
(docs/decisions/0003). Aware datetimes appear only at the edges, through the functions below.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache

Instant = int
Clock = Callable[[], Instant]

SECOND: Instant = 1_000_000
MINUTE: Instant = 60 * SECOND
HOUR: Instant = 60 * MINUTE
DAY: Instant = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def from_datetime(moment: datetime) -> Instant:
    """Return the instant of an aware datetime; ValueError for a naive one, which could be any."""
    if moment.tzinfo is None:
        raise ValueError(
            f"{moment.isoformat()} names no time zone; add Z or an offset such as +01:00"
        )
    span = moment - _EPOCH
    return (span.days * 86_400 + span.seconds) * SECOND + span.microseconds


_LAST = from_datetime(datetime(9999, 12, 30, tzinfo=UTC))  # a second later is a time, too


def to_datetime(instant: Instant) -> datetime:
    """Return the instant as an aware UTC datetime."""
    return _EPOCH + timedelta(microseconds=instant)


_EPOCH_WITHOUT_ZONE = _EPOCH.replace(tzinfo=None)


@lru_cache  # what is posted together is shown together
def isoformat(instant: Instant) -> str:
    """Return the instant as RFC 3339 in UTC, e.g. 2026-11-22T15:39:29.000000Z."""
    moment = _EPOCH_WITHOUT_ZONE + timedelta(microseconds=instant)
    return f"{moment.isoformat(timespec='microseconds')}Z"


def parse(text: str) -> Instant:
    """Read an RFC 3339 time or a plain date (midnight UTC), between the years 1970 and 9999.

    ValueError says what is missing.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None and len(text) == len("2026-11-22"):
        moment = moment.replace(tzinfo=UTC)
    instant = from_datetime(moment)
    if not 0 <= instant <= _LAST:
        raise ValueError(f"{text} is not between the years 1970 and 9999")
    return instant


def utc_now() -> Instant:
    """Return the present instant. The wiring hands it in as a Clock; rules take `now`."""
    return time.time_ns() // 1000
