"""The goals, in one table, and whether they are met."""

from collections.abc import Sequence
from typing import NamedTuple

from bench import crediting, growth, tails
from bench.ceiling import LOOP, PGBENCH
from bench.contenders import BRIDGE, PEER
from bench.crediting import CHANGED, KNOWN, NEW
from bench.debits import BATCH_CLIENTS
from bench.figures import Figures, Spread
from bench.homes import POSTGRESQL, SQLITE, TITLES
from bench.load import BATCH, BATCH_HOT, HOT, UNIFORM, Load
from bench.world import case

MILLION = 1_000_000


class Goal(NamedTuple):
    """A figure and its bound. With `over` it is a ratio, taken round by round, to the largest."""

    text: str
    figure: str
    bound: float
    over: Sequence[str] = ()
    at_most: bool = False
    unit: str = ""

    def values(self, figures: Figures) -> list[float]:
        """Return its value in each round; none where it was not measured."""
        return figures.ratios(self.figure, self.over) if self.over else figures.values(self.figure)

    def met(self, figures: Figures) -> bool | None:
        """Tell whether the median keeps to the bound; None where it was not measured."""
        spread = Spread.of(self.values(figures))
        if spread is None:
            return None
        return spread.median <= self.bound if self.at_most else spread.median >= self.bound


def _rate(contender: str, database: str, load: Load, clients: int) -> str:
    return f"{case(contender, database, load, clients)} rate"


_PGBENCH = (_rate(PGBENCH, POSTGRESQL, UNIFORM, 8), _rate(PGBENCH, POSTGRESQL, UNIFORM, 32))
_PGBENCH_HOT = (_rate(PGBENCH, POSTGRESQL, HOT, 8), _rate(PGBENCH, POSTGRESQL, HOT, 32))
_LOOP = (_rate(LOOP, SQLITE, UNIFORM, 1),)
_LOOP_HOT = (_rate(LOOP, SQLITE, HOT, 1),)

BESIDE_THE_CEILING = (
    Goal(
        "PostgreSQL, c=32 ÷ pgbench, the better of 8 and 32 clients",
        _rate(BRIDGE, POSTGRESQL, UNIFORM, 32),
        over=_PGBENCH,
        bound=1.3,
    ),
    Goal(
        "PostgreSQL, c=256 ÷ pgbench, the better of 8 and 32 clients",
        _rate(BRIDGE, POSTGRESQL, UNIFORM, 256),
        over=_PGBENCH,
        bound=2.0,
    ),
    Goal(
        "PostgreSQL, one hot tenant, c=32 ÷ pgbench on one wallet, the better of 8 and 32 clients",
        _rate(BRIDGE, POSTGRESQL, HOT, 32),
        over=_PGBENCH_HOT,
        bound=6.0,
    ),
    Goal(
        "PostgreSQL, c=1 ÷ pgbench with one client",
        _rate(BRIDGE, POSTGRESQL, UNIFORM, 1),
        over=(_rate(PGBENCH, POSTGRESQL, UNIFORM, 1),),
        bound=0.7,
    ),
    Goal(
        "SQLite, c=32 ÷ the bare loop",
        _rate(BRIDGE, SQLITE, UNIFORM, 32),
        over=_LOOP,
        bound=2.5,
    ),
    Goal(
        "SQLite, one hot tenant, c=32 ÷ the bare loop on one wallet",
        _rate(BRIDGE, SQLITE, HOT, 32),
        over=_LOOP_HOT,
        bound=3.5,
    ),
)
BESIDE_THE_PEER = (
    Goal(
        "PostgreSQL, c=32 ÷ the naive peer",
        _rate(BRIDGE, POSTGRESQL, UNIFORM, 32),
        over=(_rate(PEER, POSTGRESQL, UNIFORM, 32),),
        bound=40,
    ),
    Goal(
        "SQLite, c=32 ÷ the naive peer",
        _rate(BRIDGE, SQLITE, UNIFORM, 32),
        over=(_rate(PEER, SQLITE, UNIFORM, 32),),
        bound=25,
    ),
)
BATCHES = (
    Goal(
        "PostgreSQL, 100 debits a call ÷ pgbench",
        _rate(BRIDGE, POSTGRESQL, BATCH, BATCH_CLIENTS),
        over=_PGBENCH,
        bound=3,
    ),
    Goal(
        "PostgreSQL, 100 debits a call, one hot tenant ÷ pgbench on one wallet",
        _rate(BRIDGE, POSTGRESQL, BATCH_HOT, BATCH_CLIENTS),
        over=_PGBENCH_HOT,
        bound=30,
    ),
    Goal(
        "SQLite, 100 debits a call ÷ the bare loop",
        _rate(BRIDGE, SQLITE, BATCH, BATCH_CLIENTS),
        over=_LOOP,
        bound=5,
    ),
    Goal(
        "SQLite, 100 debits a call, one hot tenant ÷ the bare loop on one wallet",
        _rate(BRIDGE, SQLITE, BATCH_HOT, BATCH_CLIENTS),
        over=_LOOP_HOT,
        bound=25,
    ),
)
GROWTH = tuple(
    Goal(
        f"{title}, {load.name}: at 10^6 entries ÷ at 0",
        growth.grown(database, load, MILLION),
        over=(growth.empty(database, load, MILLION),),
        bound=0.9,
    )
    for database, title in TITLES.items()
    for load, _ in growth.LOADS
)
TAILS = tuple(
    Goal(
        f"{TITLES[database]}, p99 at c={clients}",
        f"{case(BRIDGE, database, UNIFORM, clients)} p99 ms",
        bound=bound,
        at_most=True,
        unit=" ms",
    )
    for database, clients, bound in (
        (POSTGRESQL, 1, 1),
        (POSTGRESQL, 32, 5),
        (POSTGRESQL, 256, 30),
        (SQLITE, 1, 2),
        (SQLITE, 32, 5),
        (SQLITE, 256, 30),
    )
)
CROWD = tuple(
    Goal(
        f"{title}, {tails.IN_A_CROWD}: requests answered otherwise than 201 or 503, or not at all",
        f"{tails.named(database, tails.IN_A_CROWD)} wrong",
        bound=0,
        at_most=True,
    )
    for database, title in TITLES.items()
)
CREDITING = tuple(
    Goal(
        f"{TITLES[database]}, crediting, {figure}",
        f"{crediting.named(database)} {figure}",
        bound=bound,
    )
    for database, figure, bound in (
        (POSTGRESQL, NEW, 25_000),
        (POSTGRESQL, KNOWN, 40_000),
        (SQLITE, NEW, 60_000),
        (SQLITE, KNOWN, 100_000),
    )
)
SWEEP = tuple(
    Goal(
        f"{title}, a full sweep of known orders: {CHANGED}",
        f"{crediting.named(database)} {CHANGED}",
        bound=0,
        at_most=True,
    )
    for database, title in TITLES.items()
)
GOALS = (
    *BESIDE_THE_CEILING,
    *BESIDE_THE_PEER,
    *BATCHES,
    *GROWTH,
    *TAILS,
    *CROWD,
    *CREDITING,
    *SWEEP,
)
