"""The report: everything that was measured, as Markdown that can be read on a terminal, too."""

from collections.abc import Iterator, Sequence

from bench import costs, crediting, growth, prose, soak, start, tails
from bench.ceiling import LOOP, PGBENCH
from bench.contenders import BRIDGE, PEER
from bench.debits import TURNS, Turn
from bench.figures import Figures, Spread
from bench.goals import GOALS, Goal
from bench.homes import TITLES
from bench.load import LOOKS, Load
from bench.machine import Machine
from bench.stalls import STALL_MIN_S, STALLS
from bench.world import Scale, case

Row = Sequence[str]

_ORDER = (BRIDGE, PGBENCH, LOOP, PEER)


def render(figures: Figures, machine: Machine, scale: Scale) -> str:
    """Return the whole report; a section without figures is left out."""
    sections = [
        prose.INTRODUCTION,
        _machine(figures, machine, scale),
        _goals(figures),
        _debits(figures),
        _looks(figures),
        _tails(figures),
        _growth(figures, scale),
        _crediting(figures, scale),
        _costs(figures),
        _sizes(figures),
        _start(figures),
        _soak(figures),
    ]
    return "\n".join(section for section in sections if section)


def _machine(figures: Figures, machine: Machine, scale: Scale) -> str:
    syncs = f"{machine.syncs_per_s:,.0f} small durable writes/s (fdatasync)"
    idle = f"{machine.generator_rate:,.0f} requests/s to a server that does nothing"
    rows = [
        ("date", machine.date),
        ("processor", f"{machine.cores} cores, {machine.cpu}"),
        ("memory", f"{machine.memory_gib:.0f} GiB"),
        ("kernel", machine.kernel),
        ("disk", f"{machine.file_system}, {syncs}"),
        ("databases", ", ".join(machine.databases)),
        ("Python", machine.python),
        ("load generator", f"{machine.generator}; {idle}"),
        ("load average before", f"{machine.load_before:.2f}"),
        ("stalls of the machine", _stalls(figures.values(STALLS))),
        ("extent", f"{scale.name}: {scale.rounds} rounds, {scale.seconds} s for each run"),
    ]
    return _section("Machine", "", ("what", "which"), rows)


def _stalls(seconds: Sequence[float]) -> str:
    if not seconds:
        return f"none longer than {STALL_MIN_S:g} s"
    return f"{len(seconds)}, together {sum(seconds):.1f} s, the longest {max(seconds):.1f} s"


def _goals(figures: Figures) -> str:
    rows = [_goal(goal, figures) for goal in GOALS]
    return _section("Goals", "", ("goal", "bound", "measured", "met"), rows)


def _goal(goal: Goal, figures: Figures) -> Row:
    bound = f"{'≤' if goal.at_most else '≥'} {number(goal.bound)}{goal.unit}"
    spread = Spread.of(goal.values(figures))
    if spread is None:
        return goal.text, bound, "not measured", ""
    return goal.text, bound, told(spread), "yes" if goal.met(figures) else "no"


def _debits(figures: Figures) -> str:
    endings = ("rate", "p50 ms", "p99 ms", "refused")
    rows = [
        (contender, TITLES[database], load.name, str(clients), *_cells(figures, name, endings))
        for database, turns in TURNS.items()
        for contender, load, clients in sorted(turns, key=_place)
        if load is not LOOKS
        for name in (case(contender, database, load, clients),)
    ]
    header = ("who", "database", "load", "c", "debits/s", *endings[1:])
    return _section("Debits", prose.DEBITS, header, _filled(rows, 4))


def _looks(figures: Figures) -> str:
    endings = ("rate", "p50 ms", "p99 ms", "refused")
    rows = [
        (contender, TITLES[database], str(clients), *_cells(figures, name, endings), ratio)
        for database, turns in TURNS.items()
        for contender, load, clients in sorted(turns, key=_place)
        if load is LOOKS
        for name in (case(contender, database, load, clients),)
        for ratio in (_over_peer(figures, contender, database, clients),)
    ]
    header = ("who", "database", "c", "checks/s", *endings[1:], "÷ the naive peer")
    return _section("Balance checks", prose.LOOKS, header, _filled(rows, 3))


def _over_peer(figures: Figures, contender: str, database: str, clients: int) -> str:
    """Return the ratio to the naive peer; nothing for itself, or where it was not asked so."""
    if contender == PEER:
        return ""
    mine, peer = (f"{case(who, database, LOOKS, clients)} rate" for who in (contender, PEER))
    return told(Spread.of(figures.ratios(mine, (peer,))))


def _place(turn: Turn) -> tuple[int, int, str, int]:
    contender, load, clients = turn
    return _ORDER.index(contender), load.batch, load.name, clients


def _tails(figures: Figures) -> str:
    endings = ("rate", "p50 ms", "p99 ms", "longest ms", "times", "busy", "wrong")
    rows = [
        (title, situation, *_cells(figures, tails.named(database, situation), endings))
        for database, title in TITLES.items()
        for situation in (*tails.SITUATIONS, tails.IN_A_CROWD)
    ]
    header = ("database", "situation", "debits/s", *endings[1:5], "503", "wrong")
    text = prose.TAILS.format(clients=tails.CLIENTS)
    return _section("Tails", text, header, _filled(rows, 2))


def _growth(figures: Figures, scale: Scale) -> str:
    rows = [
        (title, load.name, number(entries), *_grown(figures, database, load, entries))
        for database, title in TITLES.items()
        for load, _ in growth.LOADS
        for entries in scale.grown_to
    ]
    header = ("database", "load", "entries", "debits/s", "empty, debits/s", "ratio")
    return _section("Growth", prose.GROWTH, header, _filled(rows, 3))


def _grown(figures: Figures, database: str, load: Load, entries: int) -> Row:
    full = growth.grown(database, load, entries)
    empty = growth.empty(database, load, entries)
    ratio = Spread.of(figures.ratios(full, (empty,)))
    return told(figures.spread(full)), told(figures.spread(empty)), told(ratio)


def _crediting(figures: Figures, scale: Scale) -> str:
    rows = [
        (title, *_cells(figures, crediting.named(database), crediting.FIGURES))
        for database, title in TITLES.items()
    ]
    text = prose.CREDITING.format(orders=scale.orders_swept, page_size=crediting.PAGE_SIZE)
    return _section("Crediting", text, ("database", *crediting.FIGURES), _filled(rows, 1))


def _costs(figures: Figures) -> str:
    rows = [
        (title, load.name, *_cells(figures, costs.named(database, load), costs.PER_LOAD))
        for database, title in TITLES.items()
        for load, _ in costs.LOADS
    ]
    header = ("database", "load", *costs.PER_LOAD)
    return _section("What a debit costs", prose.COSTS, header, _filled(rows, 2))


def _sizes(figures: Figures) -> str:
    rows = [
        (title, *_cells(figures, costs.named(database), costs.SIZES))
        for database, title in TITLES.items()
    ]
    return _section("Storage and memory", prose.SIZES, ("database", *costs.SIZES), _filled(rows, 1))


def _start(figures: Figures) -> str:
    rows = [
        (f"`bridge run` on {title}, from exec to READY=1", told(figures.spread(name)))
        for database, title in TITLES.items()
        for name in (start.ready(database),)
    ]
    rows.append(("`bridge --help`", told(figures.spread(start.HELP))))
    return _section("Start", "", ("what", "seconds"), _filled(rows, 1))


def _soak(figures: Figures) -> str:
    rows = []
    for database, title in TITLES.items():
        if sizes := figures.values(soak.named(database)):
            shown = (sizes[0], min(sizes), max(sizes), sizes[-1])
            rows.append((title, str(len(sizes)), *(f"{mib:.1f}" for mib in shown)))
    header = ("database", "minutes", "MiB after the first", "least", "most", "after the last")
    return _section("Soak", prose.SOAK, header, rows)


def _cells(figures: Figures, name: str, endings: Sequence[str]) -> list[str]:
    """Return what was measured under a name, a cell for each ending; empty where nothing was."""
    return [told(figures.spread(f"{name} {ending}")) for ending in endings]


def _filled(rows: Sequence[Row], labels: int) -> list[Row]:
    """Leave out the rows that have nothing beside their labels."""
    return [row for row in rows if any(row[labels:])]


def _section(title: str, text: str, header: Row, rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    paragraph = f"{text}\n\n" if text else ""
    return f"## {title}\n\n{paragraph}{table(header, rows)}"


def table(header: Row, rows: Sequence[Row]) -> str:
    """Return a Markdown table whose columns stand below each other."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [header, ["-" * width for width in widths], *rows]
    return "".join(f"| {' | '.join(_padded(line, widths))} |\n" for line in lines)


def _padded(line: Row, widths: Sequence[int]) -> Iterator[str]:
    return (cell.ljust(width) for cell, width in zip(line, widths, strict=True))


def told(spread: Spread | None) -> str:
    """Write a median and, where the values differ, the lowest and the highest in brackets."""
    if spread is None:
        return ""
    if spread.lowest == spread.highest:
        return number(spread.median)
    return f"{number(spread.median)} ({number(spread.lowest)} to {number(spread.highest)})"


def number(value: float) -> str:
    """Write a number with three digits or more, thousands apart."""
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
