"""config.example.toml is the manual: it loads, says everything, and its defaults are true."""

import re
import shutil
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from bridge.config import Config, load

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
SETTING = r"^#(?=[a-z_]+ = )"
TABLE = r"^#(?=\[)"


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The manual in a directory of its own, with the files that it names."""
    (tmp_path / "secrets").mkdir()
    names = ("main_consumer_key", "main_consumer_secret", "main_webhook_secret", "signing_key")
    for name in (*names, "smtp", "events_core"):
        path = tmp_path / "secrets" / name
        path.touch(mode=0o600)
        path.write_text(f"whsec_{'secret' * 6}\n")
    for name in ("internal-ca.pem", "logo.svg"):
        (tmp_path / name).touch()
    return Path(shutil.copy(EXAMPLE, tmp_path / "config.toml"))


def taken_in(example: Path, *, without: str = r"(?!)") -> Config:
    """Load the manual with its commented settings and tables as if they were not."""
    text = re.sub(without, "", example.read_text(), flags=re.MULTILINE)
    text = re.sub(f"{SETTING}|{TABLE}", "", text, flags=re.MULTILINE)
    copy = example.with_name("taken-in.toml")
    copy.write_text(text)
    return load(copy, with_secrets=True)


def settings(model: type[BaseModel] = Config) -> set[str]:
    """The names of all settings of a table and of the tables in it."""
    names = set(model.model_fields)
    for field in model.model_fields.values():
        for inner in tables_in(field.annotation):
            names |= settings(inner)
    return names


def tables_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [table for argument in get_args(annotation) for table in tables_in(argument)]


def test_it_loads_as_it_is(example: Path) -> None:
    config = load(example, with_secrets=True)
    assert [storefront.name for storefront in config.storefronts] == ["main"]


def test_it_loads_with_every_setting_taken_in(example: Path) -> None:
    """So nothing in it is out of date: unknown keys and wrong values would be refused."""
    config = taken_in(example)
    assert config.storefronts[0].import_from is not None
    assert set(config.crediting.gateways) == {"stripe"}
    assert config.storefronts[0].deposits.terms().limits["EUR"].bonus(10_000) == 500
    assert [plan.id for plan in config.plans] == ["pro"]
    assert "renewal.paid" in config.events.endpoints[0].wanted
    assert config.alerts.thresholds()["EUR"].amount(400) == 500


def test_what_it_shows_as_defaults_are_the_defaults(example: Path) -> None:
    """All but those whose default is nothing, and the tables that are examples."""
    nothing = (
        r"^#(import_from|ca_file|currencies|key_file|public_url|logo_file|below"
        r"|host|username|password_file|sender|operators) = .*\n"
    )
    tables = r"^#\[.*\n(#.*\n)*"
    said = taken_in(example, without=f"{nothing}|{tables}").model_dump()
    assert said == load(example, with_secrets=True).model_dump()


def test_every_setting_is_in_it() -> None:
    text = EXAMPLE.read_text()
    said = set(re.findall(r"(?:^#?|[{,] )([a-z_]+) = ", text, re.MULTILINE))
    said |= set(re.findall(r"^#?\[+(?:\w+\.)?(\w+)", text, re.MULTILINE))
    assert settings() <= said
