"""Measure bridge beside a ceiling and a naive peer: `make bench`, or `python -m bench`."""

import argparse
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench import costs, crediting, debits, generator, growth, soak, stalls, start, tails
from bench.checks import SumCheckError
from bench.figures import Figures
from bench.homes import POSTGRESQL, SQLITE, Files, Home
from bench.installation import prepare
from bench.machine import Machine, look
from bench.postgres import cluster
from bench.processes import ROOT, raise_file_limit
from bench.report import render
from bench.world import CURVE, FULL, QUICK, Scale, World, progress
from bridge import logs
from bridge.sandbox import Sandbox

SCENARIOS = {
    "debits": debits.measure,
    "tails": tails.measure,
    "growth": growth.measure,
    "crediting": crediting.measure,
    "costs": costs.measure,
    "start": start.measure,
    "soak": soak.measure,
}
REPORT = ROOT / "docs" / "performance.md"

_CALIBRATION_CLIENTS = 32
_CALIBRATION_S = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the report and write it; 1 where a sum check failed."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    logs.configure(json=True, level="warning")
    raise_file_limit()
    scale = _scale(options)
    try:
        with _world(scale, options.database) as world:
            machine = _machine(world)
            with stalls.watched(world.figures):
                for name in options.only or SCENARIOS:
                    SCENARIOS[name](world)
    except SumCheckError as error:
        print(f"a sum check failed, so nothing is published: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; all that was started has ended", file=sys.stderr)
        return 128 + signal.SIGINT
    report = render(world.figures, machine, scale)
    print(report)
    if out := options.out or (None if _is_partial(options) else REPORT):
        out.write_text(report)
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a quick look, in a few minutes")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=SCENARIOS,
        metavar="NAME",
        help=f"some of: {', '.join(SCENARIOS)}",
    )
    parser.add_argument(
        "--database", nargs="+", choices=(POSTGRESQL, SQLITE), default=[POSTGRESQL, SQLITE]
    )
    parser.add_argument("--curve", action="store_true", help="let a ledger grow to 10^7 entries")
    parser.add_argument(
        "--soak",
        type=int,
        default=0,
        metavar="MINUTES",
        help="soak: load each database for so long",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="where to write the report; docs/performance.md after a full run of everything",
    )
    options = parser.parse_args(arguments)
    if "soak" in (options.only or ()) and not options.soak:
        parser.error("--only soak needs --soak MINUTES")
    return options


def _is_partial(options: argparse.Namespace) -> bool:
    return bool(options.quick or options.only or len(options.database) == 1)


def _scale(options: argparse.Namespace) -> Scale:
    scale = QUICK if options.quick else FULL
    if options.curve:
        scale = scale._replace(grown_to=CURVE)
    return scale._replace(soak_minutes=options.soak)


@contextmanager
def _world(scale: Scale, databases: Sequence[str]) -> Iterator[World]:
    """Bring up what all scenarios lean on; all of it is gone in the end."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bridge-bench-")))
        sandbox = stack.enter_context(Sandbox())
        homes: list[Home] = []
        if POSTGRESQL in databases:
            progress("starting PostgreSQL")
            homes.append(stack.enter_context(cluster(directory / "postgresql")))
        if SQLITE in databases:
            homes.append(Files(directory))
        tokens = {home.kind: prepare(home) for home in homes}
        yield World(directory, tuple(homes), tokens, sandbox, scale, Figures())


def _machine(world: World) -> Machine:
    idle = generator.most(world.directory, _CALIBRATION_CLIENTS, _CALIBRATION_S)
    versions = tuple(home.version for home in world.homes)
    return look(world.directory, versions, generator.name(), idle.rate)


if __name__ == "__main__":
    sys.exit(main())
