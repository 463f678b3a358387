"""The command line. Data goes to standard output, talk to standard error."""

from pathlib import Path
from typing import Annotated

import typer

from bridge import __version__
from bridge.cli import (
    demo,
    events,
    health,
    keys,
    orders,
    plugin,
    renewals,
    service,
    tenants,
)
from bridge.cli.common import Before, Commands

app = typer.Typer(
    name="bridge",
    cls=Commands,
    help="Every tenant's balance, funded through any WooCommerce gateway.",
    epilog="Exit status: 0 ok, 1 failure, 2 usage, 3 drift found, 75 try again, 78 configuration.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(*, asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def before(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="As after a command.")
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="As after a command.")] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version.",
            is_eager=True,
            callback=lambda value: _print_version(asked=value),
        ),
    ] = False,
) -> None:
    """Keep the options that were given before the command's name for the command."""
    del version
    context.obj = Before(config, as_json)


for _panel, _commands in {
    "Run the service": (
        *(service.run, demo.demo, service.migrate, service.check_config),
        plugin.plugin,
    ),
    "See how it goes": (health.status, health.verify),
    "Orders": (orders.poll, orders.reconcile, orders.explain, orders.held, orders.acknowledge),
    "Balances": (tenants.balance, tenants.statement, tenants.adjust),
    "Renewals": (renewals.renew, renewals.forecast),
}.items():
    for _command in _commands:
        app.command(
            rich_help_panel=_panel,
            # AMOUNT may be negative; no command has an option that looks like a number.
            context_settings={"ignore_unknown_options": _command is tenants.adjust},
        )(_command)
app.add_typer(keys.app, name="keys", rich_help_panel="Run the service")
app.add_typer(events.app, name="events", rich_help_panel="See how it goes")
app.add_typer(renewals.app, name="renewals", rich_help_panel="Renewals")


def main() -> None:
    """Run a command of the command line."""
    app()
