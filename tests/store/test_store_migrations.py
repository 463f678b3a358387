"""The schema: the same by migration and by declaration, made once, by one process at a time."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from bridge.domain.entry import Entry
from bridge.domain.errors import ConfigurationError
from bridge.domain.wallet import Wallet
from bridge.store import tables
from bridge.store.database import Connection, Database
from bridge.store.migrations import migrate, pending
from bridge.store.orders import Seen

MIGRATE = """
import sys
from bridge.store.database import Database
from bridge.store.migrations import migrate
migrate(Database(sys.argv[1]))
"""


@pytest.fixture
def empty(empty_database_url: str) -> Iterator[Database]:
    """A database of each kind with no schema yet."""
    database = Database(empty_database_url)
    yield database
    database.close()


def described(tx: Connection) -> dict[str, Any]:
    """The schema in full: more than Alembic compares, e.g. collations and CHECK constraints."""
    inspector = inspect(tx)
    schema: dict[str, Any] = {
        name: {
            "columns": [(c["name"], str(c["type"]), c["nullable"], c["default"]) for c in columns],
            "primary key": inspector.get_pk_constraint(name)["constrained_columns"],
            "checks": {
                (c["name"], c["sqltext"].strip("() "))
                for c in inspector.get_check_constraints(name)
            },
        }
        for (_, name), columns in inspector.get_multi_columns().items()
        if name != "alembic_version"
    }
    schema["indexes"] = {row[0]: row[1] for row in tx.execute(text(INDEXES[tx.dialect.name]))}
    if tx.dialect.name == "postgresql":
        schema["details"] = tx.execute(text(POSTGRESQL_DETAILS)).all()
    return schema


INDEXES = {
    "sqlite": "SELECT name, replace(sql, '  ', ' ') FROM sqlite_master"
    " WHERE type = 'index' AND sql IS NOT NULL ORDER BY name",
    "postgresql": "SELECT indexname, indexdef FROM pg_indexes"
    " WHERE schemaname = 'public' AND tablename <> 'alembic_version' ORDER BY indexname",
}

# Collations, identities and storage parameters.
POSTGRESQL_DETAILS = """
    SELECT r.relname, r.reloptions, a.attname, a.attidentity, c.collname
      FROM pg_class r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0
      LEFT JOIN pg_collation c ON c.oid = a.attcollation
     WHERE r.relkind = 'r' AND r.relnamespace = 'public'::regnamespace
       AND r.relname <> 'alembic_version'
     ORDER BY r.relname, a.attnum
"""


def test_the_migrated_schema_is_the_declared_one(empty: Database) -> None:
    with empty.write() as tx:
        tables.metadata.create_all(tx)
        declared = described(tx)
        tables.metadata.drop_all(tx)
    migrate(empty)
    with empty.write() as tx:
        assert described(tx) == declared
        options = {"compare_server_default": True, "include_object": here(tx)}
        context = MigrationContext.configure(tx, opts=options)
        assert compare_metadata(context, tables.metadata) == []


def here(tx: Connection) -> Callable[..., bool]:
    """Alembic does not know of indexes that only one kind of database has."""
    only = {"entries_key": "postgresql", "entries_key_sqlite": "sqlite"}
    return lambda _item, name, *_: only.get(name, tx.dialect.name) == tx.dialect.name


def test_money_and_ids_are_bigint_and_rules_are_checked_by_the_database(
    database: Database,
) -> None:
    with database.read() as tx:
        schema = described(tx)
    types = {name: kind for name, kind, *_ in schema["entries"]["columns"]}
    numbers = {"version", "amount", "held", "balance_after", "held_after", "related_version"}
    assert {types[name] for name in numbers | {"occurred_at", "recorded_at"}} == {"BIGINT"}
    assert {name for name, _ in schema["entries"]["checks"]} == {"entries_moves", "entries_version"}
    assert {name for name, _ in schema["wallets"]["checks"]} == {"wallets_held"}
    key = "entries_key_sqlite" if database.is_sqlite else "entries_key"
    assert "UNIQUE" in schema["indexes"][key]
    assert "WHERE" in schema["indexes"]["entries_related"]


@pytest.mark.parametrize(
    ("fields", "table"),
    [(Entry._fields, "entries"), (Wallet._fields, "wallets"), (Seen._fields, "orders")],
)
def test_rows_become_named_tuples_because_the_columns_stand_in_their_order(
    fields: tuple[str, ...], table: str
) -> None:
    assert tuple(tables.metadata.tables[table].columns.keys()) == fields


def test_migrating_twice_changes_nothing(empty: Database) -> None:
    assert pending(empty)
    migrate(empty)
    assert not pending(empty)
    with empty.read() as tx:
        before = described(tx)
    migrate(empty)
    with empty.read() as tx:
        assert described(tx) == before


def test_the_database_of_a_newer_bridge_is_refused_and_left_as_it_is(database: Database) -> None:
    with database.write() as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError, match="newer version: install that one"):
        migrate(database)
    assert pending(database)
    with database.read() as tx:
        assert tx.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == "9999"


def test_processes_that_start_together_migrate_one_after_the_other(
    empty_database_url: str,
) -> None:
    command = [sys.executable, "-c", MIGRATE, empty_database_url]
    together = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    errors = [process.communicate(timeout=60)[1] for process in together]
    assert [process.returncode for process in together] == [0, 0, 0], errors
    database = Database(empty_database_url)
    assert not pending(database)
    database.close()
