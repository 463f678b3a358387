"""How things look: JSON for programs, tables and money as written for people."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import typer
from babel import Locale, UnknownLocaleError, default_locale
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge import tongue
from bridge.domain.clock import SECOND, Instant, to_datetime

PIPE_WIDTH = 200
"""Columns where no terminal says how many it has."""


def console() -> Console:
    """Return standard output, taking all text as it is."""
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    return Console(markup=False, highlight=False, emoji=False, width=width)


def print_json(data: Any) -> None:
    """Print one JSON document."""
    typer.echo(json.dumps(data, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """Print rows under their columns, or say why there are none; columns in ">" stand right."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        right = column.startswith(">")
        table.add_column(column.lstrip(">"), justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    if table.row_count:
        console().print(table)
    else:
        typer.echo(empty)


def money(minor: int, currency: str) -> str:
    """Write an amount as people of the environment's locale do."""
    return tongue.money(minor, currency, _locale())


def moment(instant: Instant | None) -> str:
    """Write a time to the second, in UTC."""
    return "never" if instant is None else f"{to_datetime(instant):%Y-%m-%d %H:%M:%S}Z"


def ago(instant: Instant | None, now: Instant) -> str:
    """Write how long ago something was, in the unit that suits."""
    if instant is None:
        return "never"
    seconds = max(0, now - instant) // SECOND
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def _locale() -> Locale:
    """Return the environment's locale; English where it names none, or none that Babel knows."""
    name = default_locale("LC_MONETARY") or "POSIX"
    try:
        return Locale.parse("en" if "POSIX" in name else name)
    except (UnknownLocaleError, ValueError):
        return Locale("en")
