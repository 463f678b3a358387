"""The demo's stage: a sandbox storefront, and a real `bridge run` beside it, on SQLite."""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

from bridge.cli.common import tell
from bridge.config import load
from bridge.domain.errors import BridgeError
from bridge.sandbox import Sandbox
from bridge.store import keys, migrations
from bridge.wiring import Wiring

STOREFRONT = "sandbox"
TOPICS = ("order.created", "order.updated", "order.deleted", "order.restored")

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 15.0
WEBHOOK_INTERVAL_S = 0.2

_HOST = "127.0.0.1"
_CONFIG = """\
# Made by `bridge demo`; config.example.toml says what each setting means.
[database]
url = "sqlite:///bridge.db"

[api]
listen = "{host}:{api}"

[webhooks]
listen = "{host}:{webhooks}"

[[storefronts]]
name = "{storefront}"
url = "{url}"
consumer_key_file = "consumer_key"
consumer_secret_file = "consumer_secret"
webhook_secret_file = "webhook_secret"
poll_interval_s = 10
sweep_interval_s = 60
"""


class DaemonError(BridgeError):
    """The demo's `bridge run` did not start, or ended before the demo did."""


class Stage(NamedTuple):
    """Everything the demo plays with."""

    sandbox: Sandbox
    directory: Path
    api_port: int
    webhook_port: int
    api_key: str
    daemon: subprocess.Popen[bytes]

    @property
    def api_url(self) -> str:
        """Where the internal API answers."""
        return f"http://{_HOST}:{self.api_port}"

    @property
    def webhook_url(self) -> str:
        """Where the storefront delivers to."""
        return f"http://{_HOST}:{self.webhook_port}/webhooks/woocommerce/{STOREFRONT}"

    def require_daemon(self) -> None:
        """Raise DaemonError with the end of its log where the daemon is gone."""
        if self.daemon.poll() is not None:
            raise DaemonError(f"`bridge run` has ended:\n{_log_end(self.directory)}")


@contextlib.contextmanager
def built(directory: Path, port: int, seed_orders: list[tuple[str, str]]) -> Iterator[Stage]:
    """Build the stage: the API on `port`, webhooks and storefront on the next two.

    `seed_orders` are tenants and amounts of orders that were completed before bridge started.
    """
    api_port, webhook_port = _free(port), _free(port + 1)
    with ExitStack() as stack:
        sandbox = stack.enter_context(
            Sandbox(port=_free(port + 2), webhook_interval_s=WEBHOOK_INTERVAL_S)
        )
        for tenant, total in seed_orders:
            sandbox.place_order(total, tenant=tenant)
        webhook_secret = secrets.token_urlsafe(24)
        config = _write_files(directory, sandbox, api_port, webhook_port, webhook_secret)
        api_key = _make_key(config)
        daemon = stack.enter_context(_started(directory, config))
        stage = Stage(sandbox, directory, api_port, webhook_port, api_key, daemon)
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


def _write_files(
    directory: Path, sandbox: Sandbox, api_port: int, webhook_port: int, webhook_secret: str
) -> Path:
    for name, secret in (
        ("consumer_key", sandbox.consumer_key),
        ("consumer_secret", sandbox.consumer_secret),
        ("webhook_secret", webhook_secret),
    ):
        path = directory / name
        path.touch(mode=0o600)
        path.write_text(f"{secret}\n")
    config = directory / "config.toml"
    config.write_text(
        _CONFIG.format(
            host=_HOST, api=api_port, webhooks=webhook_port, storefront=STOREFRONT, url=sandbox.url
        )
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
