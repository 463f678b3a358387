"""Commands for whoever runs the service: run, migrate, check-config."""

from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.common import AsJson, ConfigFile, loaded, tell
from bridge.domain.errors import BridgeError

if TYPE_CHECKING:
    from bridge.config import Config, Storefront
    from bridge.wiring import Wiring

NoMigrate = Annotated[
    bool, typer.Option("--no-migrate", help="Leave the database's tables as they are.")
]
Online = Annotated[bool, typer.Option("--online", help="Ask each storefront, too.")]


def run(config: ConfigFile = None, *, no_migrate: NoMigrate = False) -> None:
    """Serve: the API, the webhook listener, the polls. SIGTERM drains."""
    said = loaded(config, with_secrets=True)
    from bridge import daemon

    daemon.run(said, migrate=said.database.migrate_on_start and not no_migrate)


def migrate(config: ConfigFile = None) -> None:
    """Bring the database's tables to this version of bridge."""
    said = loaded(config)
    from bridge.store import migrations
    from bridge.wiring import Wiring

    with closing(Wiring(said)) as wiring:
        migrations.migrate(wiring.database)
    tell("the database has this version's tables")


def check_config(
    config: ConfigFile = None, *, online: Online = False, as_json: AsJson = False
) -> None:
    """Name every mistake in the configuration at once; exit status 78 if there is one."""
    said = loaded(config, with_secrets=True)
    from bridge.cli.output import print_json

    answers = _ask_storefronts(said) if online else []
    if as_json:
        print_json({"storefronts": [one.name for one in said.storefronts], "online": answers})
    else:
        _tell_checked(said, answers)
    if failed := [answer["exit_status"] for answer in answers if answer["error"]]:
        raise typer.Exit(failed[0])


def _tell_checked(said: "Config", answers: list[dict[str, Any]]) -> None:
    names = ", ".join(one.name for one in said.storefronts) or "none yet"
    typer.echo(f"the configuration has no mistakes; storefronts: {names}")
    for answer in answers:
        works = f"storefront {answer['name']}: answers, and its key may read orders"
        typer.echo(answer["error"] or works)
        for note in answer["notes"]:
            typer.echo(f"storefront {answer['name']}: {note}")


def _ask_storefronts(said: "Config") -> list[dict[str, Any]]:
    from bridge.wiring import Wiring

    with closing(Wiring(said)) as wiring:
        return [_ask(wiring, storefront) for storefront in said.storefronts]


def _ask(wiring: "Wiring", storefront: "Storefront") -> dict[str, Any]:
    answer: dict[str, Any] = {"name": storefront.name, "error": "", "exit_status": 0, "notes": []}
    try:
        client = wiring.client(storefront)
        skew_s = client.ping()
        webhooks = client.webhooks()
    except BridgeError as error:
        return answer | {"error": str(error), "exit_status": error.exit_status}
    notes = [
        f"webhook {one.id} ({one.topic}) is {one.status}; set it to Active in WooCommerce"
        for one in webhooks
        if one.status != "active" and one.delivery_url.rstrip("/").endswith(f"/{storefront.name}")
    ]
    if not webhooks:
        notes.append("has no webhooks, so orders are credited by the next poll")
    if abs(skew_s) > SKEW_MAX_S:
        notes.append(f"its clock is {skew_s:+.0f} s off ours; set it by NTP")
    return answer | {"notes": notes}


SKEW_MAX_S = 60
"""Seconds by which a storefront's clock may be off before somebody should know."""
