"""Select many rows by their keys in one statement of constant text.

The keys travel as one JSON parameter, so that a statement is compiled and prepared once whatever
their number. A join, because SQLite scans the whole table for a row-value IN.
"""

import json
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, Connection, Row, Table, TextClause, text

_SOURCE = {
    "sqlite": ("json_each(:keys) AS item", "json_extract(item.value, '$[{n}]')"),
    "postgresql": ("json_array_elements(CAST(:keys AS json)) AS item(value)", "item.value ->> {n}"),
}


def among(
    tx: Connection,
    table: Table,
    columns: Sequence[str],
    keys: Iterable[Sequence[Any]],
    *,
    lock: bool = False,
) -> Sequence[Row[Any]]:
    """Return the whole rows whose columns equal one of the keys, in key order.

    With `lock` the rows are locked in that order, so that two writers never wait in a circle.
    """
    wanted = json.dumps(sorted(keys))
    if wanted == "[]":
        return []
    statement = _statement(tx.dialect.name, table, tuple(columns), lock=lock)
    return tx.execute(statement, {"keys": wanted}).all()


@cache
def _statement(dialect: str, table: Table, columns: tuple[str, ...], *, lock: bool) -> TextClause:
    source, item = _SOURCE[dialect]
    keys = ", ".join(_key(table, name, item.format(n=n)) for n, name in enumerate(columns))
    matches = " AND ".join(f"{table.name}.{name} = asked.{name}" for name in columns)
    order = ", ".join(f"{table.name}.{name}" for name in columns)
    return text(
        f"WITH asked({', '.join(columns)}) AS (SELECT {keys} FROM {source})"
        f" SELECT {', '.join(f'{table.name}.{c.name}' for c in table.columns)}"
        f" FROM asked JOIN {table.name} ON {matches} ORDER BY {order}"
        + (f" FOR UPDATE OF {table.name}" if lock and dialect == "postgresql" else "")
    )


def _key(table: Table, name: str, value: str) -> str:
    number = isinstance(table.c[name].type, BigInteger)
    return f"CAST({value} AS BIGINT)" if number else value
