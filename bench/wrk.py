"""The load generator wrk, where it is installed."""

import json
import shutil
import subprocess
from pathlib import Path

from bench.load import AMOUNT, Run, Sample, Target, beginning

SCRIPT = Path(__file__).with_name("requests.lua")
LATE_AFTER_S = 10
"""Seconds after which an answer counts as lost."""


def installed() -> bool:
    """Tell whether wrk is on PATH."""
    return shutil.which("wrk") is not None


def drive(target: Target, run: Run) -> Sample:
    """Send requests, one at a time on each connection."""
    load, clients, seconds, pause_ms, statuses = run
    arguments = (
        *(beginning(), target.token, load.tenants, load.batch, AMOUNT, pause_ms),
        "statuses" if statuses else "",
    )
    done = subprocess.run(
        [
            *("wrk", "--threads=1", f"--connections={clients}", f"--duration={seconds}s"),
            *(f"--timeout={LATE_AFTER_S}s", f"--script={SCRIPT}", f"http://{target.address}", "--"),
            *map(str, arguments),
        ],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return parse(done.stdout, run)


def parse(output: str, run: Run) -> Sample:
    """Read what requests.lua printed, below what wrk says by itself."""
    told = json.loads(next(line for line in output.splitlines() if line.startswith("{")))
    answered = told["requests"] - told["refused"]
    return Sample(
        debits=answered * run.load.batch,
        looks=0 if run.load.batch else answered,
        seconds=told["duration_us"] / 1e6,
        in_flight_max=(run.clients + told["lost"]) * run.load.batch,
        p50_ms=told["p50_us"] / 1e3,
        p99_ms=told["p99_us"] / 1e3,
        longest_ms=told["longest_us"] / 1e3,
        refused=told["refused"],
        lost=told["lost"],
        statuses={int(status): count for status, count in told["statuses"].items()},
    )
