"""What every scenario is given, and how it says what it does."""

import contextlib
import sys
import time
from pathlib import Path
from typing import NamedTuple

from bench.figures import Figures
from bench.homes import Home
from bench.installation import Installation, installed
from bench.load import Load, Sample
from bridge.sandbox import Sandbox


class Scale(NamedTuple):
    """How much is measured: the full run, or a quick look.

    `seconds` last the runs of each of so many `rounds`; `grown_to` are the sizes of a ledger, in
    entries, at which it is compared with an empty one.
    """

    name: str
    rounds: int
    seconds: int
    grown_to: tuple[int, ...]
    growth_rounds: int
    tail_rounds: int
    orders_imported: int
    orders_swept: int
    starts: int
    soak_minutes: int = 0


FULL = Scale("full", 5, 3, (1_000_000,), 3, 2, 3_000, 100_000, 5)
QUICK = Scale("quick", 2, 1, (20_000,), 1, 1, 2_000, 5_000, 3)
CURVE = (100_000, 1_000_000, 3_000_000, 10_000_000)


class World(NamedTuple):
    """A directory, the homes with their prepared templates, an idle storefront, and the figures."""

    directory: Path
    homes: tuple[Home, ...]
    tokens: dict[str, str]
    sandbox: Sandbox
    scale: Scale
    figures: Figures

    def installed(
        self, home: Home, name: str = "bridge", sandbox: Sandbox | None = None
    ) -> contextlib.AbstractContextManager[Installation]:
        """Install bridge on a fresh copy of the template, beside the idle storefront or another."""
        token = self.tokens[home.kind]
        return installed(self.directory, home, token, sandbox or self.sandbox, name)


def case(contender: str, database: str, load: Load, clients: int) -> str:
    """Name what is measured; the figures of a run are this and what they tell."""
    return f"{contender} {database} {load.name} c={clients}"


def keep(figures: Figures, name: str, sample: Sample) -> None:
    """Remember a run."""
    figures.add(f"{name} rate", sample.rate)
    figures.add(f"{name} refused", sample.refused + sample.lost)
    if sample.p99_ms:
        figures.add(f"{name} p50 ms", sample.p50_ms)
        figures.add(f"{name} p99 ms", sample.p99_ms)
        figures.add(f"{name} longest ms", sample.longest_ms)


_BEGAN = time.monotonic()


def progress(text: str) -> None:
    """Say on standard error what goes on."""
    passed = int(time.monotonic() - _BEGAN)
    print(f"{passed // 60:3d}:{passed % 60:02d}  {text}", file=sys.stderr, flush=True)
