"""Write many rows in one statement of constant text.

To PostgreSQL the rows travel as one JSON parameter, so that a statement is planned once whatever
their number and each batch is one round trip; SQLite, which is no trip away, takes them one by one.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Column, Connection, LargeBinary, Table

Rows = Sequence[tuple[Any, ...]]
"""Named tuples whose fields are the table's columns, in order."""


def insert(tx: Connection, table: Table, rows: Rows, conflict: str = "") -> int:
    """Insert rows and return how many; `conflict` is an ON CONFLICT clause of constant text."""
    if not rows:
        return 0
    if tx.dialect.name == "sqlite":
        return tx.exec_driver_sql(insert_each(table, conflict), list(rows)).rowcount
    return tx.exec_driver_sql(_insert_all(table, conflict), (_json(rows, table),)).rowcount


def update(tx: Connection, table: Table, rows: Rows) -> None:
    """Write rows that exist over what they were; the primary key says which they are."""
    if not rows:
        return
    if tx.dialect.name == "sqlite":
        tx.exec_driver_sql(update_each(table), list(rows))
    else:
        tx.exec_driver_sql(_update_all(table), (_json(rows, table),))


def recordset(table: Table, name: str, *, source: str = "%s", **more: str) -> str:
    """Return the FROM item by which PostgreSQL reads rows from JSON objects, octets in base64.

    `more` are columns beside the table's, by name and type.
    """
    types = {column.name: _type(column) for column in table.columns} | more
    columns = ", ".join(f"{column} {kind}" for column, kind in types.items())
    return f"json_to_recordset(CAST({source} AS json)) AS {name}({columns})"


def values(table: Table, name: str) -> str:
    """Return the SELECT list that makes the table's columns of a recordset by this name."""
    return ", ".join(_value(column, name) for column in table.columns)


def changes(table: Table, name: str) -> str:
    """Return the SET list that takes everything but the key from a recordset by this name."""
    changing = [column for column in table.columns if not column.primary_key]
    return ", ".join(f"{column.name} = {_value(column, name)}" for column in changing)


def same_key(table: Table, name: str) -> str:
    """Return the condition that a row of the recordset has the key of the table's row."""
    keys = [column.name for column in table.primary_key.columns]
    return " AND ".join(f"{table.name}.{key} = {name}.{key}" for key in keys)


def _value(column: Column[Any], name: str) -> str:
    read = f"{name}.{column.name}"
    return f"decode({read}, 'base64')" if isinstance(column.type, LargeBinary) else read


def _json(rows: Rows, table: Table) -> str:
    names = _names(table)
    return msgspec.json.encode([dict(zip(names, row, strict=True)) for row in rows]).decode()


def _type(column: Column[Any]) -> str:
    return "bigint" if isinstance(column.type, BigInteger) else "text"


def _names(table: Table) -> list[str]:
    return [column.name for column in table.columns]


@cache
def _insert_all(table: Table, conflict: str) -> str:
    return (
        f"INSERT INTO {table.name} ({', '.join(_names(table))})"
        f" SELECT {values(table, 'new')} FROM {recordset(table, 'new')} {conflict}"
    )


@cache
def insert_each(table: Table, conflict: str = "") -> str:
    """Return SQLite's INSERT of one row, whose parameters are the table's columns in order."""
    marks = ", ".join("?" * len(table.columns))
    return f"INSERT INTO {table.name} ({', '.join(_names(table))}) VALUES ({marks}) {conflict}"


@cache
def _update_all(table: Table) -> str:
    return (
        f"UPDATE {table.name} SET {changes(table, 'new')}"
        f" FROM {recordset(table, 'new')} WHERE {same_key(table, 'new')}"
    )


@cache
def update_each(table: Table) -> str:
    """Return SQLite's UPDATE of one row, whose parameters are the table's columns in order."""
    marks = {column: f"?{n}" for n, column in enumerate(table.columns, start=1)}
    rest = [f"{column.name} = {mark}" for column, mark in marks.items() if not column.primary_key]
    keys = [f"{column.name} = {mark}" for column, mark in marks.items() if column.primary_key]
    return f"UPDATE {table.name} SET {', '.join(rest)} WHERE {' AND '.join(keys)}"
