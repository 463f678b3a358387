"""What all commands share: two options, the parts they work with, and errors that end as advice."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup

from bridge.domain.errors import BridgeError

if TYPE_CHECKING:
    from bridge.config import Config
    from bridge.wiring import Wiring


class Before(NamedTuple):
    """The options that were given before the command's name."""

    config: Path | None
    as_json: bool


def _config(context: typer.Context, given: Path | None) -> Path | None:
    before = context.find_object(Before)
    return given or (before.config if before else None)


def _as_json(context: typer.Context, *, given: bool) -> bool:
    before = context.find_object(Before)
    return given or bool(before and before.as_json)


ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="The configuration; otherwise $BRIDGE_CONFIG, ./config.toml or "
        "/etc/bridge/config.toml.",
        callback=_config,
    ),
]
AsJson = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print JSON, as the HTTP API does.",
        callback=lambda context, value: _as_json(context, given=value),
    ),
]
StorefrontName = Annotated[
    str | None, typer.Option("--storefront", metavar="NAME", help="Only this storefront.")
]


class Commands(TyperGroup):
    """The commands, whose errors become one line on standard error and an exit status."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; $BRIDGE_DEBUG shows where an unexpected error came from."""
        try:
            return super().invoke(ctx)
        except BridgeError as error:
            tell(f"error: {error}")
            raise typer.Exit(error.exit_status) from None
        except (typer.Exit, typer.Abort, typer.TyperException, BrokenPipeError):
            raise
        except Exception as error:
            if os.environ.get("BRIDGE_DEBUG"):
                raise
            tell(
                f"error: bridge made a mistake ({type(error).__name__}: {error}); run it again "
                "with BRIDGE_DEBUG=1 and report what it prints"
            )
            raise typer.Exit(1) from None


def tell(text: str) -> None:
    """Say something to the person at the terminal; data goes to standard output instead."""
    typer.echo(text, err=True)


def loaded(config: Path | None, *, with_secrets: bool = False) -> "Config":
    """Read the configuration that was named, or is found; from now on logs go to stderr."""
    from bridge import logs
    from bridge.config import find, load

    logs.configure(json=False, level="warning")
    return load(find(config), with_secrets=with_secrets)


@contextmanager
def opened(config: Path | None) -> Iterator["Wiring"]:
    """Give a command the parts it needs, on a migrated database."""
    from bridge.wiring import Wiring

    with closing(Wiring(loaded(config))) as wiring:
        wiring.require_schema()
        yield wiring


def chosen(wiring: "Wiring", storefront: str | None) -> list[str]:
    """Return the storefronts a command is for: the one named, or all."""
    if storefront is not None:
        return [wiring.storefront(storefront).name]
    return [one.name for one in wiring.config.storefronts]
