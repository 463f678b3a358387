"""Reading the configuration: the file, the environment over it, and every mistake at once."""

import os
import tomllib
from pathlib import Path

from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource, SettingsError

from bridge.config import crossed, mistakes
from bridge.config.mistakes import Mistake
from bridge.config.model import Config
from bridge.config.written import Table, merged, storefronts, table
from bridge.domain.errors import ConfigurationError

PLACES = (Path("config.toml"), Path("/etc/bridge/config.toml"))


def find(named: Path | None) -> Path:
    """Return the file to read: the one named, $BRIDGE_CONFIG, or the first of PLACES."""
    if named is None and (chosen := os.environ.get("BRIDGE_CONFIG")):
        named = Path(chosen)
    for path in (named,) if named else PLACES:
        if path.is_file():
            return path
    tried = str(named) if named else " or ".join(map(str, PLACES))
    raise ConfigurationError(
        f"no configuration at {tried}; copy config.example.toml there and edit it, or name another "
        "file with --config"
    )


def load(path: Path, *, with_secrets: bool = False) -> Config:
    """Read the file and the BRIDGE_… environment; ConfigurationError names every mistake.

    `with_secrets` also checks that each secret's file is there and is closed to others, which only
    those who talk to storefronts need.
    """
    said = merged(_read(path), _environment())
    directory = path.absolute().parent
    wrong = [*crossed.found(said), *crossed.files(said, directory, with_secrets=with_secrets)]
    try:
        config = Config(**_inherited(said)).placed(directory)
    except ValidationError as invalid:
        wrong += mistakes.found(invalid)
    if wrong:
        raise mistakes.error(str(path), (_at_its_origin(mistake, said) for mistake in wrong))
    return config


def _read(path: Path) -> Table:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not TOML: {error}") from None


def _environment() -> Table:
    try:
        return EnvSettingsSource(Config)()
    except SettingsError as error:
        raise ConfigurationError(
            f"a BRIDGE_… environment variable is wrong: {error}; lists and tables are JSON there"
        ) from None


_FOR_EACH = ("crediting", "deposits")
"""The tables that every storefront has too, over the global ones."""


def _inherited(said: Table) -> Table:
    """Put the global tables of _FOR_EACH under each storefront's own."""
    if not isinstance(said.get("storefronts"), list):
        return said
    rows = [row | _over(said, row) if isinstance(row, dict) else row for row in said["storefronts"]]
    return said | {"storefronts": rows}


def _over(said: Table, row: Table) -> Table:
    return {
        name: merged(table(said, name), row.get(name, {}))
        for name in _FOR_EACH
        if isinstance(row.get(name, {}), dict)
    }


def _at_its_origin(mistake: Mistake, said: Table) -> Mistake:
    """Name a mistake in an inherited table where it was written."""
    match mistake.place:
        case ("storefronts", int(number), str(name), *rest) if rest and name in _FOR_EACH:
            row = storefronts(said)[number]
            if rest[0] not in table(row, name):
                return mistake._replace(place=(name, *rest))
    return mistake
