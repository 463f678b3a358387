"""Growth: a ledger with many entries beside an empty one, in turns."""

from bench.checks import debits, require
from bench.contenders import BRIDGE, Audited, Http, bridge
from bench.debits import BATCH_CLIENTS, WARM_UPS
from bench.installation import Installation, serving
from bench.load import BATCH, TENANTS, UNIFORM, Load, total
from bench.world import World, progress

LOADS = ((UNIFORM, 32), (BATCH, BATCH_CLIENTS))

_FILLING = (Load("filling", TENANTS, 1000), 2)


def grown(database: str, load: Load, entries: int) -> str:
    """Name the rate of a ledger that has grown so large."""
    return f"growth {database} {load.name} at {entries} rate"


def empty(database: str, load: Load, entries: int) -> str:
    """Name the rate of the empty ledger that was measured beside it."""
    return f"growth {database} {load.name} empty beside {entries} rate"


def measure(world: World) -> None:
    """Let a ledger grow by what the API takes, and compare it where the scale says."""
    for home in world.homes:
        with world.installed(home, "grown") as installation, serving(installation) as daemon:
            contender = bridge(installation, daemon)
            for entries in world.scale.grown_to:
                progress(f"growth, filling to {entries:,} entries, {home.version}")
                _fill(contender, entries, world.scale.seconds)
                audited = Audited(contender)
                for number in range(world.scale.growth_rounds):
                    progress(f"growth, round {number + 1} at {entries:,} entries")
                    with world.installed(home, "empty") as newcomer:
                        _round(world, newcomer, audited, entries, number)


def _fill(contender: Http, entries: int, seconds: int) -> None:
    """Send debits until there are so many, and check the sums in the end."""
    before, samples = contender.books(), []
    while debits(contender.rows) < entries:
        samples.append(contender.run(*_FILLING, seconds))
    require("filling", before, contender.books(), total(samples))


def _round(world: World, newcomer: Installation, old: Audited, entries: int, number: int) -> None:
    """Let the empty ledger and the old one take turns; who begins, changes by the round."""
    with serving(newcomer) as daemon:
        new = Audited(bridge(newcomer, daemon))
        for load, clients, seconds in WARM_UPS[BRIDGE]:
            new.run(load, clients, seconds)
        pair = ((empty, new), (grown, old))
        for load, clients in LOADS:
            for name, contender in pair if number % 2 == 0 else pair[::-1]:
                sample = contender.run(load, clients, world.scale.seconds)
                world.figures.add(name(newcomer.home.kind, load, entries), sample.rate)
