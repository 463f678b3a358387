"""Start: from exec to READY=1, and `bridge --help`."""

import subprocess
import sys
import time

from bench.installation import serving
from bench.processes import ROOT
from bench.world import World, progress

HELP = "start --help s"


def ready(database: str) -> str:
    """Name the figure of a daemon's start, in seconds."""
    return f"start {database} ready s"


def measure(world: World) -> None:
    """Start everything several times."""
    for home in world.homes:
        progress(f"start, {home.version}")
        with world.installed(home) as installation:
            for _ in range(world.scale.starts):
                with serving(installation) as daemon:
                    world.figures.add(ready(home.kind), daemon.start_s)
    for _ in range(world.scale.starts):
        began = time.perf_counter()
        command = [sys.executable, "-m", "bridge", "--help"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
        world.figures.add(HELP, time.perf_counter() - began)
