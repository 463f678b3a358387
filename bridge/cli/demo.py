"""The command that shows bridge at work, on a storefront that is not real."""

import contextlib
import json
import os
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.domain.errors import InvalidRequestError

if TYPE_CHECKING:
    from rich.console import Console

    from bridge.cli.stage import Stage

PORT = 8850
TRIED_TENANT = "globex"
PORTAL_TENANT = "acme"


def demo(
    *,
    port: Annotated[
        int,
        typer.Option("--port", min=1, max=65532, help="Of the API; the next three are used, too."),
    ] = PORT,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", metavar="DIR", help="Leave database, configuration and log here."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End after the first round.")] = False,
    pause_s: Annotated[
        float, typer.Option("--pause", min=0, max=60, help="Seconds between two scenes.")
    ] = 3,
) -> None:
    """Run bridge beside a sandbox storefront and watch orders become balances. Ctrl-C ends it."""
    from bridge.cli.output import console
    from bridge.cli.scenes import SEED_ORDERS, Story
    from bridge.cli.stage import built
    from bridge.sandbox import RefusedError

    for number in (signal.SIGINT, signal.SIGTERM):  # a shell starts what it runs behind deaf to INT
        signal.signal(number, signal.default_int_handler)
    _forget_settings()
    screen = console()
    with contextlib.suppress(KeyboardInterrupt), _directory(keep) as directory:
        typer.echo("Starting bridge and a sandbox storefront …")
        with built(directory, port, SEED_ORDERS) as stage:
            _introduce(stage, screen)
            story = Story(stage, screen)
            days = story.opening() if once else chain(story.opening(), story.usual_days())
            for scene in days:
                # The audience may have refunded or deleted the very order that a scene is about.
                with contextlib.suppress(RefusedError, KeyError):
                    scene()
                time.sleep(pause_s)
                stage.require_daemon()
    typer.echo(f"Stopped.{f' Everything is in {keep}.' if keep else ''}")


def _forget_settings() -> None:
    """Drop BRIDGE_… settings from the environment: they would name a database that is not ours."""
    for name in list(os.environ):
        if name.upper().startswith("BRIDGE_") and name != "BRIDGE_DEBUG":
            del os.environ[name]


@contextlib.contextmanager
def _directory(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="bridge-demo-") as name:
            yield Path(name)
        return
    keep.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(keep.iterdir()):
        raise InvalidRequestError(f"{keep} is not empty; name a directory that is, or a new one")
    yield keep.absolute()


def _introduce(stage: "Stage", screen: "Console") -> None:
    from rich.table import Table

    from bridge.cli.scenes import CURRENCY
    from bridge.cli.stage import STOREFRONT

    visit = {"tenant_id": PORTAL_TENANT, "can": ["deposit", "pay"]}
    link = stage.call("POST", "/v1/portal-sessions", visit)["url"]
    table = Table.grid(padding=(0, 3))
    for name, value in (
        ("Storefront", f"{stage.sandbox.url}/   open it, place and refund orders yourself"),
        ("Tenant's page", f"{link}   of {PORTAL_TENANT}; the link opens once"),
        ("API", stage.api_url),
        ("Webhooks", stage.webhook_url),
        ("API key", stage.api_key),
        ("Files", f"{stage.directory}   config.toml, bridge.db, bridge.log"),
    ):
        table.add_row(name, value)
    screen.print()
    screen.print(table, soft_wrap=True)
    typer.echo("\nTry these in another terminal; each is one line:\n")
    order_id = stage.sandbox.order_ids()[0]
    token = f"-H 'Authorization: Bearer {stage.api_key}'"
    debit = (
        f'{{"tenant_id":"{TRIED_TENANT}","amount":500,"currency":"{CURRENCY}","purpose":"other"}}'
    )
    headers = f"{token} -H 'Idempotency-Key: try-1' -H 'Content-Type: application/json'"
    typer.echo(f"curl -s {token} {stage.api_url}/v1/tenants/{TRIED_TENANT}")
    typer.echo(f"curl -s {headers} -d '{debit}' {stage.api_url}/v1/debits")
    typer.echo(f"curl -s {token} {stage.api_url}/v1/orders/{STOREFRONT}/{order_id}")
    typer.echo(f"curl -s {headers} -d '{json.dumps(visit)}' {stage.api_url}/v1/portal-sessions")
    listed = ("events", "list", "--config", str(stage.directory / "config.toml"))
    typer.echo(shlex.join([sys.executable, "-m", "bridge", *listed]))
    stop = "Ctrl-C ends the demo" if sys.stdin.isatty() else "SIGTERM ends the demo"
    typer.echo(f"\n{stop}. Send the debit twice: its Idempotency-Key moves the money once.\n")
