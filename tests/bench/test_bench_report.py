"""The report says what was measured, and nothing else."""

import pytest

from bench import costs, crediting, growth, soak, start, tails
from bench.contenders import BRIDGE, PEER
from bench.figures import Figures, Spread
from bench.goals import GOALS
from bench.homes import POSTGRESQL
from bench.load import LOOKS, UNIFORM
from bench.machine import Machine
from bench.report import number, render, table, told
from bench.stalls import STALLS
from bench.world import QUICK, case
from tools.check_words import strays_in

MACHINE = Machine(
    date="2026-11-22",
    cores=2,
    cpu="a processor",
    memory_gib=4,
    kernel="Linux 6.1",
    file_system="ext4",
    syncs_per_s=8000,
    python="CPython 3.11.7",
    databases=("PostgreSQL 18.4", "SQLite 3.40.1"),
    generator="wrk, one thread",
    generator_rate=90_000,
    load_before=0.5,
)
P99 = f"{case(BRIDGE, POSTGRESQL, UNIFORM, 32)} p99 ms"


def everything() -> Figures:
    """One value under every name that a section reads."""
    figures = Figures()
    entries = QUICK.grown_to[0]
    for name in (
        *(name for goal in GOALS for name in (goal.figure, *goal.over)),
        *(f"{tails.named(POSTGRESQL, one)} rate" for one in tails.SITUATIONS),
        *(f"{case(who, POSTGRESQL, LOOKS, 32)} rate" for who in (BRIDGE, PEER)),
        growth.grown(POSTGRESQL, UNIFORM, entries),
        growth.empty(POSTGRESQL, UNIFORM, entries),
        f"{crediting.named(POSTGRESQL)} {crediting.SWEPT}",
        f"{costs.named(POSTGRESQL, UNIFORM)} {costs.LOGGED}",
        f"{costs.named(POSTGRESQL)} {costs.AT_REST}",
        start.ready(POSTGRESQL),
        start.HELP,
        soak.named(POSTGRESQL),
    ):
        if not figures.values(name):
            figures.add(name, 4.0)
    return figures


def test_a_report_without_figures_has_goals_that_were_not_measured_and_no_other_tables() -> None:
    report = render(Figures(), MACHINE, QUICK)
    headings = [line for line in report.splitlines() if line.startswith("## ")]
    assert headings == ["## How it is measured", "## Machine", "## Goals"]
    assert report.count("not measured") == len(GOALS)


@pytest.mark.parametrize(("value", "verdict"), [(4.9, "yes"), (5.1, "no")])
def test_a_goal_that_is_not_met_says_so(value: float, verdict: str) -> None:
    figures = Figures()
    figures.add(P99, value)
    [line] = [
        line
        for line in render(figures, MACHINE, QUICK).splitlines()
        if line.startswith("| PostgreSQL, p99 at c=32 ")
    ]
    assert [cell.strip() for cell in line.strip("|").split("|")][1:] == [
        "≤ 5 ms",
        number(value),
        verdict,
    ]


def test_every_section_is_there_when_all_was_measured() -> None:
    report = render(everything(), MACHINE, QUICK)
    headings = [line[3:] for line in report.splitlines() if line.startswith("## ")]
    assert headings == [
        "How it is measured",
        "Machine",
        "Goals",
        "Debits",
        "Balance checks",
        "Tails",
        "Growth",
        "Crediting",
        "What a debit costs",
        "Storage and memory",
        "Start",
        "Soak",
    ]


def test_the_report_says_whether_it_was_a_quick_look() -> None:
    assert "quick: 2 rounds" in render(Figures(), MACHINE, QUICK)


def test_the_report_keeps_to_the_words_of_the_project() -> None:
    assert strays_in("docs/performance.md", render(everything(), MACHINE, QUICK)) == []


def test_stalls_of_the_machine_are_told() -> None:
    figures = Figures()
    assert "none longer than 0.5 s" in render(figures, MACHINE, QUICK)
    for seconds in (1.5, 3.25):
        figures.add(STALLS, seconds)
    assert "2, together 4.8 s, the longest 3.2 s" in render(figures, MACHINE, QUICK)


def test_the_columns_of_a_table_stand_below_each_other() -> None:
    assert table(("who", "c"), [("bridge", "1"), ("pgbench", "256")]) == (
        "| who     | c   |\n| ------- | --- |\n| bridge  | 1   |\n| pgbench | 256 |\n"
    )


def test_several_values_are_told_as_median_lowest_and_highest() -> None:
    assert told(Spread.of([1.5, 12.25, 1234.5])) == "12.2 (1.50 to 1,234)"
    assert told(Spread.of([3.0, 3.0])) == "3"
