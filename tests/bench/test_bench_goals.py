"""The goals of the table can be measured, and are judged by their medians."""

import pytest

from bench import debits
from bench.figures import Figures
from bench.goals import BATCHES, BESIDE_THE_CEILING, BESIDE_THE_PEER, GOALS, TAILS, Goal
from bench.load import Sample
from bench.world import case, keep


@pytest.mark.parametrize("goal", [*BESIDE_THE_CEILING, *BESIDE_THE_PEER, *BATCHES, *TAILS])
def test_a_round_of_debits_measures_every_goal_about_them(goal: Goal) -> None:
    figures = Figures()
    for database, turns in debits.TURNS.items():
        for contender, load, clients in turns:
            sample = Sample(debits=8, seconds=2, p50_ms=1, p99_ms=2)
            keep(figures, case(contender, database, load, clients), sample)
    assert len(goal.values(figures)) == 1


@pytest.mark.parametrize(
    ("values", "at_most", "met"),
    [
        ([1.0, 1.3, 9.0], False, True),
        ([1.0, 1.2, 9.0], False, False),
        ([1.0, 1.3, 9.0], True, True),
        ([1.0, 1.4, 9.0], True, False),
        ([], False, None),
    ],
)
def test_a_goal_is_met_by_the_median(values: list[float], at_most: bool, met: bool | None) -> None:
    figures = Figures()
    for value in values:
        figures.add("bridge", value)
    assert Goal("goal", "bridge", 1.3, at_most=at_most).met(figures) is met


def test_no_goal_is_there_twice() -> None:
    assert len({goal.text for goal in GOALS}) == len(GOALS)
