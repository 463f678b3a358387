"""The soak: a steady load for long, and the daemon's memory each minute."""

from bench.checks import require
from bench.contenders import bridge
from bench.costs import MIB
from bench.installation import serving
from bench.load import UNIFORM, total
from bench.processes import resident_bytes
from bench.world import World, progress

CLIENTS = 32
PAUSE_MS = 20
"""Each connection rests that long between two debits, so that an hour does not fill the disk."""

_MINUTE_S = 60


def named(database: str) -> str:
    """Name the figures, one a minute."""
    return f"soak {database} MiB"


def measure(world: World) -> None:
    """Send debits to each database for the minutes asked for, and check the sums in the end."""
    minutes = world.scale.soak_minutes
    for home in world.homes if minutes else ():
        with world.installed(home, "soak") as installation, serving(installation) as daemon:
            steady = bridge(installation, daemon)._replace(pause_ms=PAUSE_MS)
            before = steady.books()
            samples = []
            for minute in range(minutes):
                samples.append(steady.run(UNIFORM, CLIENTS, _MINUTE_S))
                resident = resident_bytes(daemon.pid) / MIB
                world.figures.add(named(home.kind), resident)
                progress(f"soak, minute {minute + 1} of {minutes}: {resident:.1f} MiB")
            require("soak", before, steady.books(), total(samples))
