"""What was measured: under each name a value per round, and how several values are told as one."""

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple


class Spread(NamedTuple):
    """The median of some values, and how far they lie apart."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread | None":
        """Return the spread of values, None where there are none."""
        return cls(median(values), min(values), max(values)) if values else None


class Figures:
    """Values by name, one for each round, in the order of the rounds."""

    def __init__(self) -> None:
        self._values: dict[str, list[float]] = {}

    def add(self, name: str, value: float) -> None:
        """Remember the value of one more round."""
        self._values.setdefault(name, []).append(value)

    def names(self) -> list[str]:
        """Return what was measured, in the order of the first measurement."""
        return list(self._values)

    def values(self, name: str) -> list[float]:
        """Return the values of all rounds; none where it was not measured."""
        return list(self._values.get(name, ()))

    def spread(self, name: str) -> Spread | None:
        """Return the values of all rounds as one; None where it was not measured."""
        return Spread.of(self.values(name))

    def ratios(self, above: str, below: Sequence[str]) -> list[float]:
        """Divide, round by round, by the largest of some; none where one was not measured."""
        rounds = [self.values(name) for name in (above, *below)]
        if not all(rounds):
            return []
        return [first / max(others) for first, *others in zip(*rounds, strict=True)]
