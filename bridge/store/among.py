"""Select many rows by their keys in one statement of constant text.

The keys travel as one JSON parameter, so that a statement is compiled and prepared once whatever
their number. A join, because SQLite scans the whole table for a row-value IN.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Connection, Row, Table

MARK = {"sqlite": "?", "postgresql": "%s"}
"""What stands for a parameter in the drivers' statements."""

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


def missing(tx: Connection, table: Table, columns: Sequence[str], keys: Keys) -> Sequence[Row[Any]]:
    """Return those of the keys that no row has, in any order."""
    return _select(tx, _missing(tx.dialect.name, table, tuple(columns)), keys)


def of_orders(  # noqa: PLR0913 - of what, of whom, and which of it
    tx: Connection,
    table: Table,
    storefront: str,
    order_ids: Iterable[int],
    wanted: tuple[str, ...] = (),
    *,
    lock: bool = False,
) -> Sequence[Row[Any]]:
    """Return the rows of a storefront's orders by their ids, whole or the wanted columns only.

    With `lock` the rows are locked in the order of the ids.
    """
    asked = ",".join(map(str, sorted(set(order_ids))))
    if not asked:
        return []
    dialect = tx.dialect.name
    select = _of_orders(dialect, table, wanted, "" if lock else None)
    ids = f"[{asked}]" if dialect == "sqlite" else f"{{{asked}}}"
    return tx.exec_driver_sql(select, (ids, storefront)).all()


def _whole(
    tx: Connection, table: Table, columns: Sequence[str], keys: Keys, locking: str | None
) -> Sequence[Row[Any]]:
    select = statement(tx.dialect.name, table, tuple(columns), _names(table), locking)
    return _select(tx, select, keys)


def _select(tx: Connection, select: str, keys: Keys) -> Sequence[Row[Any]]:
    asked = sorted(keys)
    if not asked:
        return []
    return tx.exec_driver_sql(select, (rows(asked),)).all()


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
    order = ", ".join(f"{table.name}.{name}" for name in columns)
    return (
        f"{_asked(dialect, table, columns)}"
        f" SELECT {', '.join(f'{table.name}.{name}' for name in wanted)}"
        f" FROM asked JOIN {table.name} ON {_matches(table, columns)} ORDER BY {order}"
        + _for_update(dialect, table, locking)
    )


def listed(dialect: str, name: str, /, **columns: str) -> str:
    """Return the WITH item by which a statement reads rows from a parameter that `rows` made.

    `columns` are TEXT or BIGINT, in the order of the rows' values.
    """
    source, item = _SOURCE[dialect]
    values = [f"CAST({item.format(n=n)} AS {kind})" for n, kind in enumerate(columns.values())]
    return f"{name}({', '.join(columns)}) AS (SELECT {', '.join(values)} FROM {source})"


def rows(values: Iterable[tuple[Any, ...]]) -> str:
    """Return rows as the parameter of a statement: JSON."""
    return msgspec.json.encode(list(values)).decode()


@cache
def _missing(dialect: str, table: Table, columns: tuple[str, ...]) -> str:
    found = f"SELECT 1 FROM {table.name} WHERE {_matches(table, columns)}"
    return f"{_asked(dialect, table, columns)} SELECT * FROM asked WHERE NOT EXISTS ({found})"


def _asked(dialect: str, table: Table, columns: tuple[str, ...]) -> str:
    types = {name: _type(table, name) for name in columns}
    return f"WITH {listed(dialect, 'asked', **types)}"


def _matches(table: Table, columns: tuple[str, ...]) -> str:
    return " AND ".join(f"{table.name}.{name} = asked.{name}" for name in columns)


@cache
def _of_orders(
    dialect: str, table: Table, wanted: tuple[str, ...], locking: str | None = None
) -> str:
    """Return the statement that finds rows by storefront, which is one, and the ids of orders.

    PostgreSQL would join an array as it does keys, but plans that without knowing how long it is.
    """
    name = table.name
    columns = ", ".join(f"{name}.{column}" for column in wanted or _names(table))
    if dialect == "sqlite":
        return (
            f"SELECT {columns} FROM json_each(?) AS item"
            f" CROSS JOIN {name} ON {name}.order_id = item.value AND {name}.storefront = ?"
        )
    return (
        f"SELECT {columns} FROM {name} WHERE order_id = ANY(CAST(%s AS bigint[]))"
        f" AND storefront = %s ORDER BY order_id{_for_update(dialect, table, locking)}"
    )


def _for_update(dialect: str, table: Table, locking: str | None) -> str:
    if locking is None or dialect == "sqlite":
        return ""
    return f" FOR UPDATE OF {table.name} {locking}"


def _type(table: Table, name: str) -> str:
    return "BIGINT" if isinstance(table.c[name].type, BigInteger) else "TEXT"


@cache
def _names(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.columns)
