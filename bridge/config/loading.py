"""Reading the configuration: the file, the environment over it, and every mistake at once."""

import os
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource, SettingsError

from bridge.config import mistakes, secrets
from bridge.config.mistakes import Mistake
from bridge.config.model import Api, Config, Webhooks
from bridge.domain.errors import ConfigurationError

PLACES = (Path("config.toml"), Path("/etc/bridge/config.toml"))

Table = dict[str, Any]


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
    said = _merged(_read(path), _environment())
    directory = path.absolute().parent
    wrong = [*_crossed(said), *_files(said, directory, with_secrets=with_secrets)]
    try:
        config = Config(**_with_crediting(said)).placed(directory)
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


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> Table:
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            merged[key] = _merged(below, value)
        else:
            merged[key] = value
    return merged


def _storefronts(said: Mapping[str, Any]) -> list[Table]:
    """Return the storefronts' tables; what is no table is the models' business."""
    rows = said.get("storefronts")
    return [row if isinstance(row, dict) else {} for row in rows] if isinstance(rows, list) else []


def _table(said: Mapping[str, Any], key: str) -> Table:
    value = said.get(key, {})
    return value if isinstance(value, dict) else {}


def _with_crediting(said: Table) -> Table:
    """Put the global rules of crediting under each storefront's own."""
    if not isinstance(said.get("storefronts"), list):
        return said
    rows = [
        row | {"crediting": _merged(_table(said, "crediting"), row.get("crediting", {}))}
        if isinstance(row, dict) and isinstance(row.get("crediting", {}), dict)
        else row
        for row in said["storefronts"]
    ]
    return said | {"storefronts": rows}


def _at_its_origin(mistake: Mistake, said: Table) -> Mistake:
    """Name a mistake in inherited rules where it was written."""
    match mistake.place:
        case ("storefronts", int(number), "crediting", *rest) if rest:
            row = _storefronts(said)[number]
            if rest[0] not in _table(row, "crediting"):
                return mistake._replace(place=("crediting", *rest))
    return mistake


def _crossed(said: Table) -> Iterator[Mistake]:
    """Check what no table can know alone, on what was written, whatever else is wrong with it."""
    if isinstance(said.get("storefronts"), dict):
        yield Mistake(("storefronts",), "write [[storefronts]], in two pairs of brackets")
    names = Counter(str(row["name"]) for row in _storefronts(said) if "name" in row)
    api = str(_table(said, "api").get("listen", Api().listen))
    webhooks = str(_table(said, "webhooks").get("listen", Webhooks().listen))
    if api == webhooks and not api.endswith(":0"):
        yield Mistake(
            ("webhooks", "listen"),
            f"is the address of [api] too ({api}); the internal API has one of its own",
        )
    for number, row in enumerate(_storefronts(said)):
        name = row.get("name")
        if names[str(name)] > 1:
            yield Mistake(
                ("storefronts", number, "name"),
                f"{name!r} is used {names[str(name)]} times; every storefront has its own name",
            )
        yield from _rules_crossed(number, row, _table(said, "crediting"))


_LINE_RULES = ("deposit_product_ids", "deposit_skus", "deposit_fee_names")


def _rules_crossed(number: int, row: Table, above: Table) -> Iterator[Mistake]:
    rules = _merged(above, _table(row, "crediting"))
    by_line = row.get("sku_prefix") or any(rules.get(name) for name in _LINE_RULES)
    if rules.get("amount") == "deposit_lines" and not by_line:
        yield Mistake(
            ("storefronts", number, "crediting", "amount"),
            "is deposit_lines, but nothing says which lines are deposits; write "
            f"{', '.join(_LINE_RULES)} or the storefront's sku_prefix",
        )
    places = row.get("tag_places")
    if isinstance(places, list) and "sku" in places and not row.get("sku_prefix"):
        yield Mistake(
            ("storefronts", number, "tag_places"),
            'has "sku", but no prefix to find the tenant behind; write for example '
            'sku_prefix = "DEPOSIT:"',
        )


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [text for text in values if isinstance(text, str)]


def _files(said: Table, directory: Path, *, with_secrets: bool) -> Iterator[Mistake]:
    for number, row in enumerate(_storefronts(said)):
        if isinstance(named := row.get("ca_file"), str) and not (directory / named).is_file():
            yield Mistake(
                ("storefronts", number, "ca_file"), f"{named!r} is no file; name one in PEM form"
            )
        if with_secrets:
            yield from _secret_files(number, row, directory)


def _secret_files(number: int, row: Table, directory: Path) -> Iterator[Mistake]:
    for key in ("consumer_key_file", "consumer_secret_file", "webhook_secret_file"):
        for reference in _texts(row.get(key)):
            try:
                secrets.read(reference, directory)
            except secrets.SecretFileError as error:
                yield Mistake(("storefronts", number, key), str(error))
