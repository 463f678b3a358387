"""An installed bridge beside a sandbox: a directory with a configuration, secrets, a database."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from bridge.config import load
from bridge.domain.clock import utc_now
from bridge.domain.signing import Keys, derived
from bridge.sandbox import Sandbox
from bridge.store import keys
from bridge.wiring import Wiring

WEBHOOK_SECRET = "s3cret"
SIGNING_KEY = "correct horse battery staple stapler"
LINK_KEYS: Keys = derived([SIGNING_KEY], "deposit-link/main")  # what the companion plugin has
DEPOSITS = """\
[signing]
key_file = "signing_key"
[[deposits.currencies]]
currency = "EUR"
minimum = 500
maximum = 1000000
presets = [2500, 5000, 10000]
bonus = [{ at_least = 10000, percent = 5 }]
[[plans]]
id = "pro"
name = "Pro"
price = 1900
currency = "EUR"
"""
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 30.0
FOLLOW_TIMEOUT_S = 10.0


class Installation(NamedTuple):
    """The directory of an installation, and its configuration."""

    directory: Path

    @property
    def config(self) -> Path:
        return self.directory / "config.toml"

    def edit(self, old: str, new: str) -> None:
        """Change the configuration."""
        text = self.config.read_text()
        assert old in text
        self.config.write_text(text.replace(old, new))

    def wiring(self) -> Wiring:
        """The parts of this installation; close them."""
        return Wiring(load(self.config))

    def key(self, *scopes: str) -> str:
        """Make an API key for a caller named core."""
        with closing(self.wiring()) as wiring, wiring.database.write() as tx:
            return keys.create(tx, "core", list(scopes), utc_now())[1]

    def command(self, *words: str) -> list[str]:
        """A command of bridge, for a process of its own."""
        return [sys.executable, "-m", "bridge", *words, "--config", str(self.config)]

    def bridge(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of bridge in a process of its own."""
        return subprocess.run(
            self.command(*words), capture_output=True, text=True, check=False, timeout=60
        )


def installed(
    directory: Path,
    sandbox: Sandbox,
    *,
    database_url: str = "sqlite:///bridge.db",
    api: str = "127.0.0.1:0",
    webhooks: str = "127.0.0.1:0",
    portal: str = "",
) -> Installation:
    """Install beside a sandbox; with `portal`, its host and port, deposits can be made, too."""
    secrets = {
        "key": sandbox.consumer_key,
        "secret": sandbox.consumer_secret,
        "webhook_secret": WEBHOOK_SECRET,
        "signing_key": SIGNING_KEY,
    }
    for name, secret in secrets.items():
        path = directory / name
        path.touch(mode=0o600)
        path.write_text(f"{secret}\n")
    page = f'[portal]\nlisten = "{portal}"\npublic_url = "http://{portal}"\n' if portal else ""
    installation = Installation(directory)
    installation.config.write_text(f"""
[database]
url = "{database_url}"
[api]
listen = "{api}"
[webhooks]
listen = "{webhooks}"
{DEPOSITS + page if portal else ""}
[[storefronts]]
name = "main"
url = "{sandbox.url}"
consumer_key_file = "key"
consumer_secret_file = "secret"
webhook_secret_file = "webhook_secret"
""")
    return installation


PORTS = range(20_000, 32_000, 4)
"""Below those that the kernel gives away: they may be gone before bridge listens."""


def free_port() -> int:
    """A port that is free, for what must know its own address before it listens.

    The three behind it are given to nobody else.
    """
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


class Daemon:
    """A `bridge run` in a process of its own, that has said READY=1."""

    def __init__(
        self, process: subprocess.Popen[bytes], ear: socket.socket, log: Path, token: str
    ) -> None:
        self.process = process
        self._ear = ear
        self._log = log
        self._token = token
        self.notices: list[str] = []
        self.wait_for("READY=1")
        serving = next(line for line in self.log() if line["event"] == "serving")
        self.api_address: str = serving["api"]
        self.webhook_address: str = serving["webhooks"]

    @property
    def webhook_url(self) -> str:
        return f"http://{self.webhook_address}/webhooks/woocommerce/main"

    def log(self) -> list[dict[str, Any]]:
        """What it has logged so far."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def wait_for(self, notice: str) -> None:
        """Wait until it tells the service manager this."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while not any(notice in one for one in self.notices):
            assert time.monotonic() < deadline, (notice, self._log.read_text())
            assert self.process.poll() is None, self._log.read_text()
            with contextlib.suppress(TimeoutError):
                self.notices += self._ear.recv(4096).decode().splitlines()

    def client(self) -> httpx.Client:
        """A client of the API with all scopes."""
        headers = {"Authorization": f"Bearer {self._token}"}
        if self.api_address.startswith("unix:"):
            transport = httpx.HTTPTransport(uds=self.api_address.removeprefix("unix:"))
            return httpx.Client(base_url="http://bridge", headers=headers, transport=transport)
        return httpx.Client(base_url=f"http://{self.api_address}", headers=headers)

    def balance(self) -> int:
        """The EUR cents of acme, by HTTP; 0 where there is no such tenant."""
        with self.client() as client:
            answer = client.get("/v1/tenants/acme/balances/EUR")
        return int(answer.json().get("balance", 0))

    def wait_until(self, condition: Callable[[], object]) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + FOLLOW_TIMEOUT_S
        while not condition():
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.05)

    def wait_for_balance(self, minor: int) -> None:
        """Wait until acme has this many EUR cents."""
        self.wait_until(lambda: self.balance() == minor)

    def wait_for_event(self, event: str) -> None:
        """Wait until the log has an event."""
        self.wait_until(lambda: any(line["event"] == event for line in self.log()))

    def wait_for_metric(self, line: str) -> None:
        """Wait until /metrics has a line."""
        with self.client() as client:
            self.wait_until(lambda: line in client.get("/metrics").text.splitlines())

    def stop(self) -> int:
        """Send SIGTERM and return the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_TIMEOUT_S)


@contextlib.contextmanager
def running(installation: Installation, *options: str, **environment: str) -> Iterator[Daemon]:
    """Start the daemon on a migrated database; what still runs in the end is killed."""
    notices = installation.directory / "notify.sock"
    notices.unlink(missing_ok=True)
    log = installation.directory / "bridge.log"
    with ExitStack() as stack:
        ear = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        ear.bind(str(notices))
        ear.settimeout(0.05)
        process = stack.enter_context(
            subprocess.Popen(
                installation.command("run", *options),
                stderr=stack.enter_context(log.open("wb")),
                env=os.environ | {"NOTIFY_SOCKET": str(notices)} | environment,
            )
        )
        stack.callback(process.kill)
        yield Daemon(process, ear, log, installation.key(*keys.SCOPES))
