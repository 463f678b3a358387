"""The picture of a balance over time: points become the path of an SVG, and words for it."""

from collections.abc import Sequence
from typing import NamedTuple

from bridge.domain.clock import Instant

WIDTH, HEIGHT = 640, 160
"""The picture's own units; it is as wide as the page lets it be."""

MARGIN = 6
"""What is left free above and below, so that a line at the edge is drawn whole."""

Points = Sequence[tuple[Instant, int]]


class Chart(NamedTuple):
    """A step line: `line` and the `area` below it are SVG paths; `zero` is where nothing is."""

    line: str
    area: str
    zero: int
    since: Instant
    until: Instant
    first: int
    last: int
    lowest: int
    highest: int

    def percent(self, instant: Instant) -> float:
        """Return how far from the left a time is drawn, in percent of the width."""
        return round((instant - self.since) * 100 / (self.until - self.since), 2)

    def depth(self, value: int) -> int:
        """Return how far from the top an amount is drawn."""
        return _depth(value, min(0, self.lowest), max(0, self.highest))


def chart(points: Points) -> Chart | None:
    """Draw a balance that keeps each value until the next; None where there is nothing to see."""
    if len(points) < 3 or points[0][0] == points[-1][0]:
        return None
    since, until = points[0][0], points[-1][0]
    values = [value for _, value in points]
    bottom, top = min(0, *values), max(0, *values)
    across = until - since

    def x(instant: Instant) -> int:
        return (instant - since) * WIDTH // across

    def y(value: int) -> int:
        return _depth(value, bottom, top)

    steps = "".join(f"H{x(instant)}V{y(value)}" for instant, value in points[1:])
    line = f"M0 {y(values[0])}{steps}"
    return Chart(
        line=line,
        area=f"{line}V{y(0)}H0Z",
        zero=y(0),
        since=since,
        until=until,
        first=values[0],
        last=values[-1],
        lowest=min(values),
        highest=max(values),
    )


def _depth(value: int, bottom: int, top: int) -> int:
    return HEIGHT - MARGIN - (value - bottom) * (HEIGHT - 2 * MARGIN) // max(1, top - bottom)
