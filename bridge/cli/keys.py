"""API keys: made, listed, revoked."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.common import AsJson, ConfigFile, opened, tell
from bridge.domain.clock import isoformat

if TYPE_CHECKING:
    from bridge.store.keys import ApiKey

app = typer.Typer(help="API keys: made, listed, revoked.", no_args_is_help=True)

Scopes = Annotated[
    list[str],
    typer.Option(
        "--scope", help="read, debit, deposit or admin; give it several times for several."
    ),
]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Who calls with it; owns its idempotency keys.")],
    scope: Scopes,
    config: ConfigFile = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it. It is shown this once and never again."""
    from bridge.cli.output import print_json
    from bridge.store import keys

    with opened(config) as wiring, wiring.database.write() as tx:
        key, token = keys.create(tx, name, scope, wiring.clock())
    if as_json:
        print_json(_shown(key) | {"key": token})
    else:
        tell(f"key {key.key_id} for {key.name} may {', '.join(key.scopes)}; it is shown only now:")
        typer.echo(token)


@app.command("list")
def show(config: ConfigFile = None, *, as_json: AsJson = False) -> None:
    """List the keys, the revoked ones too."""
    from bridge.cli.output import moment, print_json, print_table
    from bridge.store import keys

    with opened(config) as wiring, wiring.database.read() as tx:
        found = keys.all_keys(tx)
    if as_json:
        print_json({"data": [_shown(key) for key in found], "next_cursor": None})
        return
    print_table(
        ("id", "name", "scopes", "made", "revoked"),
        (
            (k.key_id, k.name, " ".join(k.scopes), moment(k.created_at), moment(k.revoked_at))
            for k in found
        ),
        "no keys yet; make one with: bridge keys create NAME --scope read",
    )


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="As `bridge keys list` shows it.")],
    config: ConfigFile = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Make a key worthless from now on."""
    from bridge.cli.output import print_json
    from bridge.store import keys

    with opened(config) as wiring, wiring.database.write() as tx:
        key = keys.revoke(tx, key_id, wiring.clock())
    if as_json:
        print_json(_shown(key))
    else:
        tell(f"key {key.key_id} of {key.name} is revoked")


def _shown(key: "ApiKey") -> dict[str, Any]:
    revoked_at = None if key.revoked_at is None else isoformat(key.revoked_at)
    return {
        "key_id": key.key_id,
        "name": key.name,
        "scopes": list(key.scopes),
        "created_at": isoformat(key.created_at),
        "revoked_at": revoked_at,
    }
