"""What is asked of a contender, and what came of it."""

import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

TENANTS = 1000
"""Tenants of a uniform load; the hot one is the first of them."""

AMOUNT = 7
"""Minor units of each debit."""

FUNDS = 10**12
"""Minor units in each wallet before the first debit: none runs dry."""

CURRENCY = "EUR"


class Load(NamedTuple):
    """Debits spread evenly over some tenants, one or several in a request; with none, a look.

    A look asks for a balance.
    """

    name: str
    tenants: int
    batch: int = 1


UNIFORM = Load("uniform", TENANTS)
HOT = Load("hot", 1)
BATCH = Load("batch uniform", TENANTS, 100)
BATCH_HOT = Load("batch hot", 1, 100)
LOOKS = Load("balance checks", TENANTS, 0)


class Run(NamedTuple):
    """What the generator shall send: over how many connections, for how many seconds.

    With `pause_ms` each connection rests between two requests; `statuses` asks to count them.
    """

    load: Load
    clients: int
    seconds: int
    pause_ms: int = 0
    statuses: bool = False


class Target(NamedTuple):
    """An HTTP server to send requests to: host and port, and the bearer token."""

    address: str
    token: str


class Sample(NamedTuple):
    """One run. Only debits answered as posted count, and looks answered with a balance.

    `in_flight_max` debits may be posted without an answer, because the run ended before it came.
    `refused` requests were answered otherwise, `lost` ones not at all (or too late).
    """

    debits: int
    seconds: float
    in_flight_max: int = 0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    longest_ms: float = 0.0
    refused: int = 0
    lost: int = 0
    looks: int = 0
    statuses: Mapping[int, int] = MappingProxyType({})

    @property
    def rate(self) -> float:
        """Debits per second, or looks."""
        return (self.debits + self.looks) / self.seconds


def total(samples: Sequence[Sample]) -> Sample:
    """Return runs as one, without how long requests took."""
    return Sample(
        debits=sum(one.debits for one in samples),
        seconds=sum(one.seconds for one in samples),
        in_flight_max=sum(one.in_flight_max for one in samples),
        refused=sum(one.refused for one in samples),
        lost=sum(one.lost for one in samples),
        looks=sum(one.looks for one in samples),
    )


def tenant(number: int) -> str:
    """Return the id of a tenant, counted from 1; all are equally long."""
    return f"tenant-{number:04d}"


def beginning() -> str:
    """Return how the keys of a run begin: later runs sort after earlier ones, as with UUIDv7."""
    return f"{time.time_ns() // 1_000_000:012x}"


def balance_path(tenant_id: str) -> str:
    """Return the path at which a tenant's balance is told."""
    return f"/v1/tenants/{tenant_id}/balances/{CURRENCY}"
