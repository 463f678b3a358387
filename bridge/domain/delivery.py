"""When to try again to deliver an event, and when to give up on it."""

from bridge.domain.clock import DAY, HOUR, SECOND, Instant

FIRST_PAUSE: Instant = 5 * SECOND
PAUSE_MAX: Instant = HOUR
"""The pauses between attempts: the first one, times 4 each, and the longest."""

JITTER = 0.25
"""The part of a pause that chance takes away at most, so that lanes do not return together."""

GIVE_UP_AFTER: Instant = 3 * DAY
"""How long an event is tried before it becomes a dead letter."""


def pause(failures: int, dice: float, asked: Instant = 0) -> Instant:
    """Return how long to rest after so many failures in a row, at least 1.

    `dice` is from 0 to 1. `asked` is what the endpoint asked for (Retry-After), at most PAUSE_MAX.
    """
    own = min(FIRST_PAUSE * 4 ** min(failures - 1, 10), PAUSE_MAX)
    return max(int(own * (1 - JITTER * dice)), min(asked, PAUSE_MAX))


def rest(failures: int) -> Instant:
    """Return how long a whole endpoint rests after so many failures in a row, of any lanes."""
    return 0 if failures < 3 else min(2 ** (failures - 3), 30) * SECOND


def given_up(failing_since: Instant, now: Instant) -> bool:
    """Tell whether an event was tried long enough."""
    return now - failing_since >= GIVE_UP_AFTER
