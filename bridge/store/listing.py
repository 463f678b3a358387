"""Rows as parameters: any number of them, in a statement of constant text.

So a statement is compiled, prepared and planned once, and a batch is one round trip. Rows travel to
PostgreSQL as an array for each of their columns, to SQLite as JSON (docs/decisions/0001).
"""

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from typing import Any, Self

import msgspec
from sqlalchemy import BigInteger, Column

Rows = Iterable[Sequence[Any]]


class Listing:
    """Rows that a statement reads by a name; `columns` are TEXT or BIGINT, by their names.

    Octets travel as TEXT, in base64.
    """

    def __init__(self, name: str, /, **columns: str) -> None:
        self.columns = columns
        self._head = f"{name}({', '.join(columns)}) AS "

    @classmethod
    def of(cls, name: str, /, *columns: Column[Any], **more: str) -> Self:
        """List rows of a table's columns, and more beside them."""
        kinds = {c.name: "BIGINT" if isinstance(c.type, BigInteger) else "TEXT" for c in columns}
        return cls(name, **kinds | more)

    def read(self, dialect: str) -> str:
        """Return the WITH item that reads the rows."""
        if dialect == "sqlite":
            values = ", ".join(
                f"CAST(json_extract(item.value, '$[{n}]') AS {kind})"
                for n, kind in enumerate(self.columns.values())
            )
            return f"{self._head}(SELECT {values} FROM json_each(?) AS item)"
        arrays = ", ".join(f"CAST(%s AS {kind}[])" for kind in self.columns.values())
        return f"{self._head}(SELECT * FROM unnest({arrays}))"

    def said(self, dialect: str, rows: Rows) -> tuple[str, ...]:
        """Return rows as the parameters that `read` takes."""
        if dialect == "sqlite":
            return (as_json(list(rows)),)
        columns = list(zip(*rows, strict=True)) or [()] * len(self.columns)
        return tuple(map(_array, columns))

    def read_one(self) -> str:
        """Return the WITH item that reads a row by itself; in PostgreSQL that costs much less."""
        values = ", ".join(f"CAST(%s AS {kind})" for kind in self.columns.values())
        return f"{self._head}(SELECT {values})"

    def said_one(self, row: Sequence[Any]) -> tuple[str | None, ...]:
        """Return a row as the parameters that `read_one` takes."""
        return tuple(map(_text, row))


def as_json(value: Any) -> str:
    """Return a value as JSON, octets in base64."""
    return _encode(value).decode()


_encode = msgspec.json.Encoder().encode


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        return b64encode(value).decode()
    return value if value is None else str(value)


def _array(values: Sequence[Any]) -> str:
    """Return values as PostgreSQL reads an array: as JSON, but for the brackets and most escapes.

    https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
    """
    inner = as_json(values)[1:-1]
    if _ESCAPED.search(inner):
        inner = _ESCAPE.sub(_unescaped, inner)
    return f"{{{inner}}}"


_ESCAPED = re.compile(r"\\[^\"\\]")  # quickly found where there may be any
_ESCAPE = re.compile(r"\\(?:u....|.)")


def _unescaped(escape: re.Match[str]) -> str:
    """Keep what an array escapes, too: quotation marks and backslashes."""
    found = escape[0]
    unescaped: str = found if found[1] in '"\\' else json.loads(f'"{found}"')
    return unescaped
