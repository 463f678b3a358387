"""What a debit costs: bytes written and kept, CPU seconds, and the memory of the daemon."""

import time
from typing import NamedTuple

from bench.checks import debits, require, wait_until_told
from bench.contenders import bridge
from bench.debits import BATCH_CLIENTS
from bench.figures import Figures
from bench.installation import Daemon, Installation, serving
from bench.load import BATCH, UNIFORM, Load, total
from bench.processes import cpu_s, peak_bytes, resident_bytes
from bench.world import World, progress

LOADS = ((UNIFORM, 32), (BATCH, BATCH_CLIENTS))
LOGGED = "bytes logged"
STORED = "bytes stored"
DAEMON_CPU = "daemon CPU s per million"
SERVER_CPU = "server CPU s per million"
AT_REST = "MiB at rest"
PEAK = "MiB at most"
AFTERWARDS = "MiB afterwards"
PER_LOAD = (LOGGED, DAEMON_CPU, SERVER_CPU)
SIZES = (STORED, AT_REST, PEAK, AFTERWARDS)

MIB = 2**20
_CROWD = (UNIFORM, 256)
_REST_S = 2.0
_RUNS = 3


def named(database: str, load: Load | None = None) -> str:
    """Return how the figures of a database begin, or those of one load on it."""
    return f"cost {database} {load.name}" if load else f"cost {database}"


class _Meter(NamedTuple):
    """What was used so far."""

    debits: int
    logged: int | None
    daemon_cpu_s: float
    server_cpu_s: float

    @classmethod
    def read(cls, installation: Installation, daemon: Daemon) -> "_Meter":
        home = installation.home
        wait_until_told(installation.rows)  # events are part of what a debit costs
        count = debits(installation.rows)
        return cls(count, home.logged_bytes(), cpu_s(daemon.pid), home.cpu_s())


def measure(world: World) -> None:
    """Watch one daemon on each database, from its start to its rest."""
    for home in world.homes:
        progress(f"costs, {home.version}")
        with world.installed(home) as installation, serving(installation) as daemon:
            _watch(world, installation, daemon)


def _watch(world: World, installation: Installation, daemon: Daemon) -> None:
    figures, home = world.figures, installation.home
    contender = bridge(installation, daemon)
    books, empty = contender.books(), home.stored_bytes(installation.database)
    time.sleep(_REST_S)
    figures.add(f"{named(home.kind)} {AT_REST}", resident_bytes(daemon.pid) / MIB)
    samples = []
    for load, clients in LOADS:
        before = _Meter.read(installation, daemon)
        samples.append(contender.run(load, clients, _RUNS * world.scale.seconds))
        _keep(figures, named(home.kind, load), before, _Meter.read(installation, daemon))
    stored = home.stored_bytes(installation.database) - empty
    figures.add(f"{named(home.kind)} {STORED}", stored / debits(installation.rows))
    samples.append(contender.run(*_CROWD, world.scale.seconds))
    figures.add(f"{named(home.kind)} {PEAK}", peak_bytes(daemon.pid) / MIB)
    time.sleep(_REST_S)
    figures.add(f"{named(home.kind)} {AFTERWARDS}", resident_bytes(daemon.pid) / MIB)
    # Only now, since the server would count the CPU seconds of adding up.
    require("costs", books, contender.books(), total(samples))


def _keep(figures: Figures, name: str, before: _Meter, after: _Meter) -> None:
    count = after.debits - before.debits
    millions = count / 1_000_000
    if before.logged is not None and after.logged is not None:
        figures.add(f"{name} {LOGGED}", (after.logged - before.logged) / count)
    figures.add(f"{name} {DAEMON_CPU}", (after.daemon_cpu_s - before.daemon_cpu_s) / millions)
    figures.add(f"{name} {SERVER_CPU}", (after.server_cpu_s - before.server_cpu_s) / millions)
