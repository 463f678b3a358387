"""Alerts: said when a balance falls below its mark, said when it is back, and not too often."""

from typing import NamedTuple

from bridge.domain.clock import Instant


class Threshold(NamedTuple):
    """Below what a wallet's available balance is low, in minor units.

    The larger of `below` and, with `next_renewal`, what the next renewal takes.
    """

    below: int = 0
    next_renewal: bool = False

    def amount(self, renewal: int) -> int:
        """Return the mark, where the next renewal takes `renewal`; 0 where nothing is low."""
        return max(self.below, renewal if self.next_renewal else 0)


class Latch(NamedTuple):
    """How an alert of a wallet stands.

    `since`: it is below its mark since then. `told_at`: it was last said then. `told`: it was said
    of this very time below.
    """

    since: Instant | None = None
    told_at: Instant | None = None
    told: bool = False

    def due_at(self, cooldown: Instant) -> Instant | None:
        """Return when to look again without being asked: something is below and not said yet."""
        if self.since is None or self.told or self.told_at is None:
            return None
        return self.told_at + cooldown


class Change(NamedTuple):
    """The latch that follows, and what is to be said now."""

    latch: Latch
    fires: bool = False
    recovers: bool = False


def follow(latch: Latch, *, below: bool, cooldown: Instant, now: Instant) -> Change:
    """Follow a balance: say it on crossing, at most once in `cooldown` microseconds.

    Who falls below within the cooldown is told at its end, if still below. A recovery is said only
    of what was told; so a balance that hovers at its mark tells at most one pair in a cooldown.
    """
    if not below:
        return Change(latch._replace(since=None, told=False), recovers=latch.told)
    latch = latch._replace(since=now if latch.since is None else latch.since)
    rested = latch.told_at is None or now - latch.told_at >= cooldown
    if latch.told or not rested:
        return Change(latch)
    return Change(latch._replace(told_at=now, told=True), fires=True)
