"""The load generator: wrk where it is installed, else our own."""

import sys
from pathlib import Path

from bench import client, wrk
from bench.load import UNIFORM, Run, Sample, Target
from bench.processes import running, wait_for


def name() -> str:
    """Say which one it is, for a reader."""
    if wrk.installed():
        return "wrk, one thread"
    return f"bench.client, {client.PROCESSES_MAX} processes (wrk is not installed)"


def drive(target: Target, run: Run) -> Sample:
    """Send debits, one request at a time on each connection."""
    return wrk.drive(target, run) if wrk.installed() else client.drive(target, run)


def most(directory: Path, clients: int, seconds: int) -> Sample:
    """Return what the generator sends to a server that does nothing."""
    said = directory / "null.txt"
    with running([sys.executable, "-m", "bench.null"], said) as process:
        wait_for(said.read_text, process, said)
        target = Target(said.read_text().strip(), "none")
        return drive(target, Run(UNIFORM, clients, seconds))
