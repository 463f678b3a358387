"""Who competes, each with its own database in the same home; and the check of every run."""

import contextlib
import re
import secrets
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

import httpx

from bench import generator, peer
from bench.checks import Books, Rows, debits, read, read_told, require, require_told
from bench.homes import Home
from bench.installation import Daemon, Installation
from bench.load import FUNDS, TENANTS, Load, Run, Sample, Target, balance_path, tenant
from bench.processes import running, wait_for

BRIDGE = "bridge"
PEER = "naive peer"

_PEER_DATABASE = "peer"
_SETTLED_S = 0.1
_ADDRESS = re.compile(r"running on http://(\S+:\d+)")


class Contender(Protocol):
    """Somebody who makes debits."""

    @property
    def name(self) -> str:
        """Return its name."""

    def run(self, load: Load, clients: int, seconds: int) -> Sample:
        """Make debits as fast as it can."""

    def books(self) -> Books:
        """Add up its ledger."""


class Audited:
    """A contender whose books are checked after every run."""

    def __init__(self, contender: Contender) -> None:
        self.name = contender.name
        self._contender = contender
        self._books = contender.books()
        self._in_flight_max = 0

    def run(self, load: Load, clients: int, seconds: int) -> Sample:
        """Make debits; SumCheckError where the books do not hold what was answered."""
        sample = self._contender.run(load, clients, seconds)
        after = self._contender.books()
        # What earlier runs left in flight may have been posted as late as in this one.
        self._in_flight_max += sample.in_flight_max
        allowed = sample._replace(in_flight_max=self._in_flight_max)
        require(f"{self.name}, {load.name}, c={clients}", self._books, after, allowed)
        self._in_flight_max -= after.debits - self._books.debits - sample.debits
        self._books = after
        return sample


class Http(NamedTuple):
    """A contender behind HTTP, whose ledger can be asked by SQL."""

    name: str
    target: Target
    rows: Rows
    key: str
    statuses: bool = False
    pause_ms: int = 0
    tells: bool = False

    def run(self, load: Load, clients: int, seconds: int) -> Sample:
        """Let the generator send, and wait until what it left in flight is in the books."""
        run = Run(load, clients, seconds, self.pause_ms, self.statuses)
        sample = generator.drive(self.target, run)
        if sample.looks:
            require_told(self.rows, self._told)
        before, now = -1, debits(self.rows)
        while now != before:
            time.sleep(_SETTLED_S)
            before, now = now, debits(self.rows)
        return sample

    def _told(self, tenant_id: str) -> int:
        """Return the balance that a look tells, in minor units."""
        headers = {"Authorization": f"Bearer {self.target.token}"}
        url = f"http://{self.target.address}{balance_path(tenant_id)}"
        return int(httpx.get(url, headers=headers, timeout=60).raise_for_status().json()["balance"])

    def books(self) -> Books:
        """Add up the ledger."""
        return (read_told if self.tells else read)(self.rows, self.key)


def bridge(installation: Installation, daemon: Daemon) -> Http:
    """Return bridge as a contender."""
    target = Target(daemon.address, installation.token)
    key = "tenant_id, caller, idempotency_key"
    return Http(BRIDGE, target, installation.rows, key, tells=True)


@contextlib.contextmanager
def naive_peer(directory: Path, home: Home) -> Iterator[Http]:
    """Serve the naive peer on a database of its own, funded as bridge's is."""
    home.create(_PEER_DATABASE)
    try:
        peer.create(home.url(_PEER_DATABASE), [tenant(n) for n in range(1, TENANTS + 1)], FUNDS)
        token = secrets.token_urlsafe()
        with _uvicorn(directory, home.url(_PEER_DATABASE), token) as address:
            rows = partial(home.rows, _PEER_DATABASE)
            yield Http(PEER, Target(address, token), rows, "tenant_id, idempotency_key")
    finally:
        home.drop(_PEER_DATABASE)


@contextlib.contextmanager
def _uvicorn(directory: Path, database_url: str, token: str) -> Iterator[str]:
    log = directory / "peer.log"
    command = [sys.executable, "-m", "uvicorn", "--factory", "bench.peer:app"]
    options = ["--host=127.0.0.1", "--port=0", "--no-access-log"]
    environment = {"PEER_DATABASE_URL": database_url, "PEER_TOKEN": token}
    with running([*command, *options], log, environment) as process:
        wait_for(lambda: _ADDRESS.search(log.read_text()), process, log)
        yield _ADDRESS.findall(log.read_text())[0]
