"""Select many rows by their keys in one statement of constant text.

By a join with the keys' listing, because SQLite scans the whole table for a row-value IN.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Table

from bridge.store.listing import Listing

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
    listing = listed(table, tuple(columns))
    return _select(tx, _missing(tx.dialect.name, table, listing), listing, keys)


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
    listing = listed(table, tuple(columns))
    select = statement(tx.dialect.name, table, listing, _names(table), locking)
    return _select(tx, select, listing, keys)


def _select(tx: Connection, select: str, listing: Listing, keys: Keys) -> Sequence[Row[Any]]:
    asked = sorted(keys)
    if not asked:
        return []
    return tx.exec_driver_sql(select, listing.said(tx.dialect.name, asked)).all()


@cache
def listed(table: Table, columns: tuple[str, ...]) -> Listing:
    """Return the listing of the keys that `statement` takes, sorted."""
    return Listing.of("asked", *(table.c[name] for name in columns))


@cache
def statement(
    dialect: str,
    table: Table,
    listing: Listing,
    wanted: tuple[str, ...],
    locking: str | None = None,
) -> str:
    """Return the statement that selects the wanted columns where the key is listed.

    `locking` is what follows FOR UPDATE; None locks nothing.
    """
    order = ", ".join(f"{table.name}.{name}" for name in listing.columns)
    return (
        f"WITH {listing.read(dialect)}"
        f" SELECT {', '.join(f'{table.name}.{name}' for name in wanted)}"
        f" FROM asked JOIN {table.name} ON {_matches(table, listing)} ORDER BY {order}"
        + _for_update(dialect, table, locking)
    )


@cache
def _missing(dialect: str, table: Table, listing: Listing) -> str:
    found = f"SELECT 1 FROM {table.name} WHERE {_matches(table, listing)}"
    return f"WITH {listing.read(dialect)} SELECT * FROM asked WHERE NOT EXISTS ({found})"


def _matches(table: Table, listing: Listing) -> str:
    return " AND ".join(f"{table.name}.{name} = asked.{name}" for name in listing.columns)


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


@cache
def _names(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.columns)
