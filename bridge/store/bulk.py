"""Write many rows: to PostgreSQL in one statement of constant text, which reads a listing.

SQLite, which is no trip away, takes them one by one.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Column, Connection, LargeBinary, Table

from bridge.store.listing import Listing

Rows = Sequence[tuple[Any, ...]]
"""Named tuples whose fields are the table's columns, in order."""


def insert(tx: Connection, table: Table, rows: Rows, conflict: str = "") -> int:
    """Insert rows and return how many; `conflict` is an ON CONFLICT clause of constant text."""
    if not rows:
        return 0
    if tx.dialect.name == "sqlite":
        return tx.exec_driver_sql(insert_each(table, conflict), list(rows)).rowcount
    return insert_at_once(tx, table, rows, conflict)


def insert_at_once(tx: Connection, table: Table, rows: Rows, conflict: str = "") -> int:
    """Insert rows by one statement; on SQLite it takes no octets and no clause.

    There it pays where other threads are busy: row by row the driver lets them run, and waits.
    """
    dialect = tx.dialect.name
    listed = _listed(table).said(dialect, rows)
    return tx.exec_driver_sql(_insert_all(dialect, table, conflict), listed).rowcount


def update(tx: Connection, table: Table, rows: Rows) -> None:
    """Write rows that exist over what they were; the primary key says which they are."""
    if not rows:
        return
    if tx.dialect.name == "sqlite":
        tx.exec_driver_sql(update_each(table), list(rows))
    else:
        listed = _listed(table).said(tx.dialect.name, rows)
        tx.exec_driver_sql(_update_all(table), listed)


def names(table: Table) -> str:
    """Return the table's columns as the head of an INSERT."""
    return f"{table.name} ({', '.join(column.name for column in table.columns)})"


def values(table: Table, name: str) -> str:
    """Return the SELECT list that makes the table's columns of a listing by this name."""
    return ", ".join(_value(column, name) for column in table.columns)


def changes(table: Table, name: str) -> str:
    """Return the SET list that takes everything but the key from a listing by this name."""
    changing = [column for column in table.columns if not column.primary_key]
    return ", ".join(f"{column.name} = {_value(column, name)}" for column in changing)


def same_key(table: Table, name: str) -> str:
    """Return the condition that a row of the listing has the key of the table's row."""
    keys = [column.name for column in table.primary_key.columns]
    return " AND ".join(f"{table.name}.{key} = {name}.{key}" for key in keys)


def _value(column: Column[Any], name: str) -> str:
    read = f"{name}.{column.name}"
    return f"decode({read}, 'base64')" if isinstance(column.type, LargeBinary) else read


@cache
def _listed(table: Table) -> Listing:
    return Listing.of("new", *table.columns)


@cache
def _insert_all(dialect: str, table: Table, conflict: str) -> str:
    return (
        f"INSERT INTO {names(table)} WITH {_listed(table).read(dialect)}"
        f" SELECT {values(table, 'new')} FROM new {conflict}"
    )


@cache
def insert_each(table: Table, conflict: str = "") -> str:
    """Return SQLite's INSERT of one row, whose parameters are the table's columns in order."""
    marks = ", ".join("?" * len(table.columns))
    return f"INSERT INTO {names(table)} VALUES ({marks}) {conflict}"


@cache
def _update_all(table: Table) -> str:
    return (
        f"WITH {_listed(table).read('postgresql')} UPDATE {table.name}"
        f" SET {changes(table, 'new')} FROM new WHERE {same_key(table, 'new')}"
    )


@cache
def update_each(table: Table) -> str:
    """Return SQLite's UPDATE of one row, whose parameters are the table's columns in order."""
    marks = {column: f"?{n}" for n, column in enumerate(table.columns, start=1)}
    rest = [f"{column.name} = {mark}" for column, mark in marks.items() if not column.primary_key]
    keys = [f"{column.name} = {mark}" for column, mark in marks.items() if column.primary_key]
    return f"UPDATE {table.name} SET {', '.join(rest)} WHERE {' AND '.join(keys)}"
