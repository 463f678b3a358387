"""The demo's stage: a sandbox storefront, and a real `bridge run` beside it, on SQLite."""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

from bridge.cli.common import tell
from bridge.config import load
from bridge.domain.errors import BridgeError
from bridge.domain.signing import derived
from bridge.sandbox import Sandbox
from bridge.store import keys, migrations
from bridge.wiring import Wiring

STOREFRONT = "sandbox"
TOPICS = ("order.created", "order.updated", "order.deleted", "order.restored")

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 15.0
WEBHOOK_INTERVAL_S = 0.2
CALL_TIMEOUT_S = 10.0

_HOST = "127.0.0.1"
_CONFIG = """\
# Made by `bridge demo`; config.example.toml says what each setting means.
[database]
url = "sqlite:///bridge.db"

[api]
listen = "{host}:{api}"

[webhooks]
listen = "{host}:{webhooks}"

[signing]
key_file = "signing_key"

[[deposits.currencies]]
currency = "EUR"
minimum = 500
maximum = 1000000
presets = [2500, 5000, 10000]
bonus = [{{ at_least = 10000, percent = 5 }}]

[[plans]]
id = "pro"
name = "Pro"
price = 1900
currency = "EUR"

[portal]
listen = "{host}:{portal}"
public_url = "http://{host}:{portal}"
link_expires_in_s = 86400

[[storefronts]]
name = "{name}"
url = "{url}"
consumer_key_file = "consumer_key"
consumer_secret_file = "consumer_secret"
webhook_secret_file = "webhook_secret"
poll_interval_s = 10
sweep_interval_s = 60
"""


class DaemonError(BridgeError):
    """The demo's `bridge run` did not start, or ended before the demo did."""


class Ports(NamedTuple):
    """Where everything listens on this machine."""

    api: int
    webhooks: int
    storefront: int
    portal: int


class Stage(NamedTuple):
    """Everything the demo plays with."""

    sandbox: Sandbox
    directory: Path
    ports: Ports
    api_key: str
    daemon: subprocess.Popen[bytes]

    @property
    def api_url(self) -> str:
        """Where the internal API answers."""
        return f"http://{_HOST}:{self.ports.api}"

    @property
    def webhook_url(self) -> str:
        """Where the storefront delivers to."""
        return f"http://{_HOST}:{self.ports.webhooks}/webhooks/woocommerce/{STOREFRONT}"

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Ask the API and return what it answers; DaemonError where the daemon is gone."""
        connection = HTTPConnection(_HOST, self.ports.api, timeout=CALL_TIMEOUT_S)
        headers = {
            "Authorization": f"Bearer {self.api_key}",
            "Content-Type": "application/json",
            "Idempotency-Key": secrets.token_hex(8),
        }
        try:
            connection.request(method, path, json.dumps(body) if body else None, headers)
            return json.loads(connection.getresponse().read())
        except OSError:
            self.require_daemon()
            raise
        finally:
            connection.close()

    def require_daemon(self) -> None:
        """Raise DaemonError with the end of its log where the daemon is gone."""
        if self.daemon.poll() is not None:
            raise DaemonError(f"`bridge run` has ended:\n{_log_end(self.directory)}")


@contextlib.contextmanager
def built(directory: Path, port: int, seed_orders: list[tuple[str, str]]) -> Iterator[Stage]:
    """Build the stage: the API on `port`, webhooks, storefront and portal on the next three.

    `seed_orders` are tenants and amounts of orders that were completed before bridge started.
    """
    ports = Ports(*map(_free, range(port, port + len(Ports._fields))))
    signing_key, webhook_secret = secrets.token_hex(32), secrets.token_urlsafe(24)
    with ExitStack() as stack:
        sandbox = stack.enter_context(
            Sandbox(
                port=ports.storefront,
                webhook_interval_s=WEBHOOK_INTERVAL_S,
                companion_keys=derived([signing_key], f"deposit-link/{STOREFRONT}"),
            )
        )
        for tenant, total in seed_orders:
            sandbox.place_order(total, tenant=tenant)
        made = {"webhook_secret": webhook_secret, "signing_key": signing_key}
        config = _write_files(directory, sandbox, ports, made)
        api_key = _make_key(config)
        daemon = stack.enter_context(_started(directory, config))
        stage = Stage(sandbox, directory, ports, api_key, daemon)
        for topic in TOPICS:
            sandbox.add_webhook(stage.webhook_url, topic, webhook_secret)
        yield stage


def _free(port: int) -> int:
    """Return the port, or another where somebody has it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            probe.bind((_HOST, 0))
            tell(f"port {port} is taken; using {probe.getsockname()[1]} instead")
        return int(probe.getsockname()[1])


def _write_files(directory: Path, sandbox: Sandbox, ports: Ports, made: dict[str, str]) -> Path:
    given = {"consumer_key": sandbox.consumer_key, "consumer_secret": sandbox.consumer_secret}
    for name, secret in (given | made).items():
        path = directory / name
        path.touch(mode=0o600)
        path.write_text(f"{secret}\n")
    config = directory / "config.toml"
    config.write_text(
        _CONFIG.format(host=_HOST, name=STOREFRONT, url=sandbox.url, **ports._asdict())
    )
    return config


def _make_key(config: Path) -> str:
    with closing(Wiring(load(config))) as wiring:
        migrations.migrate(wiring.database)
        with wiring.database.write() as tx:
            return keys.create(tx, "demo", list(keys.SCOPES), wiring.clock())[1]


@contextlib.contextmanager
def _started(directory: Path, config: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start `bridge run`, wait until it says READY=1, and let it drain in the end."""
    notices = directory / "notify.sock"
    command = [sys.executable, "-m", "bridge", "run", "--config", str(config)]
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear,
        (directory / "bridge.log").open("wb") as log,
        subprocess.Popen(  # noqa: S603 - our own command
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=os.environ | {"NOTIFY_SOCKET": str(notices)},
            start_new_session=True,  # so that Ctrl-C ends the demo, which ends the daemon
        ) as daemon,
    ):
        try:
            ear.bind(str(notices))
            _await_ready(ear, daemon, directory)
            yield daemon
        finally:
            _stop(daemon)


def _await_ready(ear: socket.socket, daemon: subprocess.Popen[bytes], directory: Path) -> None:
    ear.settimeout(0.1)
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and daemon.poll() is None:
        with contextlib.suppress(TimeoutError):
            if b"READY=1" in ear.recv(4096).splitlines():
                return
    raise DaemonError(f"`bridge run` did not start:\n{_log_end(directory)}")


def _stop(daemon: subprocess.Popen[bytes]) -> None:
    daemon.send_signal(signal.SIGTERM)
    try:
        daemon.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        daemon.kill()


def _log_end(directory: Path) -> str:
    return "\n".join((directory / "bridge.log").read_text().splitlines()[-10:])
