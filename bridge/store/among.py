"""Select many rows by their keys in one statement of constant text.

The keys travel as one JSON parameter, so that a statement is compiled and prepared once whatever
their number. A join, because SQLite scans the whole table for a row-value IN.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Connection, Row, Table

_SOURCE = {
    "sqlite": ("json_each(?) AS item", "json_extract(item.value, '$[{n}]')"),
    "postgresql": ("json_array_elements(CAST(%s AS json)) AS item(value)", "item.value ->> {n}"),
}


Keys = Iterable[tuple[Any, ...]]


def among(
    tx: Connection, table: Table, columns: Sequence[str], keys: Keys, *, lock: bool = False
) -> Sequence[Row[Any]]:
    """Return the whole rows whose columns equal one of the keys, in key order.

    With `lock` the rows are locked in that order, so that two writers never wait in a circle.
    """
    return _whole(tx, table, columns, keys, "" if lock else None)


def free(tx: Connection, table: Table, columns: Sequence[str], keys: Keys) -> Sequence[Row[Any]]:
    """Lock and return such rows without waiting: those that somebody else locked are left out."""
    return _whole(tx, table, columns, keys, "SKIP LOCKED")


def parts(
    tx: Connection, table: Table, columns: Sequence[str], keys: Keys, wanted: tuple[str, ...]
) -> Sequence[Row[Any]]:
    """Return the wanted columns of the rows whose columns equal one of the keys, in key order."""
    return _select(tx, statement(tx.dialect.name, table, tuple(columns), wanted), keys)


def _whole(
    tx: Connection, table: Table, columns: Sequence[str], keys: Keys, locking: str | None
) -> Sequence[Row[Any]]:
    everything = tuple(column.name for column in table.columns)
    return _select(tx, statement(tx.dialect.name, table, tuple(columns), everything, locking), keys)


def _select(tx: Connection, select: str, keys: Keys) -> Sequence[Row[Any]]:
    asked = sorted(keys)
    if not asked:
        return []
    return tx.exec_driver_sql(select, (msgspec.json.encode(asked).decode(),)).all()


@cache
def statement(
    dialect: str,
    table: Table,
    columns: tuple[str, ...],
    wanted: tuple[str, ...],
    locking: str | None = None,
) -> str:
    """Return the statement whose one parameter are the keys, as sorted JSON.

    `locking` is what follows FOR UPDATE; None locks nothing.
    """
    source, item = _SOURCE[dialect]
    keys = ", ".join(_key(table, name, item.format(n=n)) for n, name in enumerate(columns))
    matches = " AND ".join(f"{table.name}.{name} = asked.{name}" for name in columns)
    order = ", ".join(f"{table.name}.{name}" for name in columns)
    return (
        f"WITH asked({', '.join(columns)}) AS (SELECT {keys} FROM {source})"
        f" SELECT {', '.join(f'{table.name}.{name}' for name in wanted)}"
        f" FROM asked JOIN {table.name} ON {matches} ORDER BY {order}"
        + _for_update(dialect, table, locking)
    )


def _for_update(dialect: str, table: Table, locking: str | None) -> str:
    if locking is None or dialect == "sqlite":
        return ""
    return f" FOR UPDATE OF {table.name} {locking}"


def _key(table: Table, name: str, value: str) -> str:
    number = isinstance(table.c[name].type, BigInteger)
    return f"CAST({value} AS BIGINT)" if number else value
