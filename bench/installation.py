"""An installed bridge: a copy of a prepared database, a configuration, a daemon."""

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from bench.homes import Home
from bench.load import CURRENCY, FUNDS, TENANTS, tenant
from bench.processes import ROOT, running, wait_for
from bridge.domain.clock import utc_now
from bridge.domain.entry import Draft, Kind
from bridge.sandbox import Sandbox
from bridge.store import keys, ledger
from bridge.store.database import Database
from bridge.store.migrations import migrate

TEMPLATE = "bridge_template"
STOREFRONT = "main"


class Installation(NamedTuple):
    """A directory with a configuration, the database it names, and a key with all scopes."""

    directory: Path
    home: Home
    database: str
    token: str

    def command(self, *words: str) -> list[str]:
        """Return a command of bridge, to be run in a process of its own."""
        config = str(self.directory / "config.toml")
        return [sys.executable, "-m", "bridge", *words, "--config", config]

    def rows(self, query: str) -> Sequence[Sequence[Any]]:
        """Run a query in the database and return its rows."""
        return self.home.rows(self.database, query)

    def verify(self) -> None:
        """Let `bridge verify` recompute the ledger; CalledProcessError where it finds a problem."""
        subprocess.run(self.command("verify"), check=True, stdout=subprocess.DEVNULL, cwd=ROOT)


class Daemon(NamedTuple):
    """A `bridge run` that serves; `start_s` is from exec to READY=1."""

    pid: int
    address: str
    start_s: float


def prepare(home: Home) -> str:
    """Make the template: migrated, a thousand funded tenants, a key. Returns the key's token."""
    home.create(TEMPLATE)
    with closing(Database(home.url(TEMPLATE))) as database:
        migrate(database)
        with database.write() as tx:
            ledger.post(tx, [funds(tenant(n), FUNDS) for n in range(1, TENANTS + 1)], utc_now())
            _, token = keys.create(tx, "core", ["read", "debit", "admin"], utc_now())
    return token


def funds(tenant_id: str, amount: int, key: str = "funds") -> Draft:
    """Return a tenant's money to begin with, in minor units."""
    return Draft(
        kind=Kind.ADJUSTMENT,
        tenant_id=tenant_id,
        currency=CURRENCY,
        amount=amount,
        caller="bench",
        key=key,
        digest=b"",
        contra="adjustments",
        source="bench",
        opens_wallet=True,
    )


@contextlib.contextmanager
def installed(
    directory: Path, home: Home, token: str, sandbox: Sandbox, name: str = "bridge"
) -> Iterator[Installation]:
    """Install bridge on a copy of the template, beside a storefront; dropped in the end."""
    home.create(name, TEMPLATE)
    try:
        place = directory / name
        place.mkdir(exist_ok=True)
        _configure(place, home.url(name), sandbox)
        yield Installation(place, home, name, token)
    finally:
        home.drop(name)


def _configure(directory: Path, database_url: str, sandbox: Sandbox) -> None:
    for name, secret in (("key", sandbox.consumer_key), ("secret", sandbox.consumer_secret)):
        path = directory / name
        path.touch(mode=0o600)
        path.write_text(f"{secret}\n")
    (directory / "config.toml").write_text(f"""
[database]
url = "{database_url}"
[api]
listen = "127.0.0.1:0"
[webhooks]
listen = "127.0.0.1:0"
[[storefronts]]
name = "{STOREFRONT}"
url = "{sandbox.url}"
consumer_key_file = "key"
consumer_secret_file = "secret"
""")


@contextlib.contextmanager
def serving(installation: Installation) -> Iterator[Daemon]:
    """Run the daemon, as a service manager would, from its READY=1 until the block ends."""
    notices = installation.directory / "notify.sock"
    notices.unlink(missing_ok=True)
    log = installation.directory / "bridge.log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(notices))
        ear.settimeout(0)
        began = time.perf_counter()
        command = installation.command("run")
        with running(command, log, {"NOTIFY_SOCKET": str(notices)}) as process:
            wait_for(lambda: _is_ready(ear), process, log)
            start_s = time.perf_counter() - began
            yield Daemon(process.pid, _address(log), start_s)


def _is_ready(ear: socket.socket) -> bool:
    with contextlib.suppress(BlockingIOError):
        return b"READY=1" in ear.recv(4096)
    return False


def _address(log: Path) -> str:
    """Return where the API listens, as the log says."""
    with log.open() as lines:
        said = (json.loads(line) for line in lines)
        return str(next(line["api"] for line in said if line["event"] == "serving"))
