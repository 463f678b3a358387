"""Debits and balance checks, beside the ceiling and the naive peer: in every round all in turn."""

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from bench.ceiling import LOOP, PGBENCH, Loop, Pgbench
from bench.contenders import BRIDGE, PEER, Audited, Contender, bridge, naive_peer
from bench.homes import POSTGRESQL, SQLITE, Cluster, Home
from bench.installation import Installation, serving
from bench.load import BATCH, BATCH_HOT, HOT, LOOKS, UNIFORM, Load
from bench.world import World, case, keep, progress

Turn = tuple[str, Load, int]
"""Who, what, and over how many connections."""

BATCH_CLIENTS = 4

# What is divided by one another stands close together.
TURNS: dict[str, Sequence[Turn]] = {
    POSTGRESQL: (
        (BRIDGE, BATCH, BATCH_CLIENTS),
        (PGBENCH, UNIFORM, 8),
        (BRIDGE, UNIFORM, 32),
        (PGBENCH, UNIFORM, 32),
        (BRIDGE, UNIFORM, 256),
        (PEER, UNIFORM, 32),
        (PEER, LOOKS, 32),
        (BRIDGE, LOOKS, 32),
        (BRIDGE, LOOKS, 1),
        (BRIDGE, UNIFORM, 1),
        (PGBENCH, UNIFORM, 1),
        (PGBENCH, HOT, 1),
        (PGBENCH, HOT, 8),
        (BRIDGE, HOT, 32),
        (PGBENCH, HOT, 32),
        (BRIDGE, BATCH_HOT, BATCH_CLIENTS),
    ),
    SQLITE: (
        (BRIDGE, BATCH, BATCH_CLIENTS),
        (LOOP, UNIFORM, 1),
        (BRIDGE, UNIFORM, 32),
        (PEER, UNIFORM, 32),
        (PEER, LOOKS, 32),
        (BRIDGE, LOOKS, 32),
        (BRIDGE, LOOKS, 1),
        (BRIDGE, UNIFORM, 256),
        (BRIDGE, UNIFORM, 1),
        (BRIDGE, HOT, 32),
        (LOOP, HOT, 1),
        (BRIDGE, BATCH_HOT, BATCH_CLIENTS),
    ),
}

# Batches touch every tenant within a second, which single debits may not.
WARM_UPS = {
    BRIDGE: ((UNIFORM, 32, 1), (BATCH, BATCH_CLIENTS, 1)),
    PEER: ((UNIFORM, 32, 1),),
}

_CEILING_DATABASE = "ceiling"


def measure(world: World) -> None:
    """Run the rounds, each on fresh databases; every second one backwards, against any trend."""
    for number in range(world.scale.rounds):
        for home in world.homes:
            progress(f"debits, round {number + 1} of {world.scale.rounds}, {home.version}")
            turns = TURNS[home.kind]
            with world.installed(home) as installation:
                _round(world, installation, turns if number % 2 == 0 else turns[::-1])
                if number == 0:
                    progress("bridge verify")
                    installation.verify()


def _round(world: World, installation: Installation, turns: Sequence[Turn]) -> None:
    home = installation.home
    with _contenders(world, installation) as contenders:
        for name, load, clients in turns:
            sample = contenders[name].run(load, clients, world.scale.seconds)
            keep(world.figures, case(name, home.kind, load, clients), sample)


@contextlib.contextmanager
def _contenders(world: World, installation: Installation) -> Iterator[dict[str, Audited]]:
    """Bring everybody up, and warm up who listens."""
    home = installation.home
    with ExitStack() as stack:
        daemon = stack.enter_context(serving(installation))
        listening = [
            Audited(bridge(installation, daemon)),
            Audited(stack.enter_context(naive_peer(world.directory, home))),
        ]
        for contender in listening:
            for load, clients, seconds in WARM_UPS[contender.name]:
                contender.run(load, clients, seconds)
        home.create(_CEILING_DATABASE)
        stack.callback(home.drop, _CEILING_DATABASE)
        ceiling = Audited(_ceiling(world, home))
        yield {contender.name: contender for contender in (*listening, ceiling)}


def _ceiling(world: World, home: Home) -> Contender:
    if isinstance(home, Cluster):
        return Pgbench(home, _CEILING_DATABASE, world.directory)
    return Loop(home, _CEILING_DATABASE)
