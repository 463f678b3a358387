"""Every key of a tenant's table begins with the tenant, so PostgreSQL can partition by it."""

import random
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from bridge.domain.entry import Kind
from bridge.store import tables
from bridge.store.batcher import Batcher
from bridge.store.database import Database
from bridge.store.migrations import pending
from tests.store.drafting import (
    NOON,
    adjustment,
    balance,
    debit,
    effect,
    follow,
    hold,
    post,
    posted,
    problems,
    summary,
)

SHARED = {
    "api_keys",
    "event_head",
    "events",
    "findings",
    "inbox",
    "leases",
    "orders",
    "outbox",
    "runs",
    "sightings",
    "storefronts",
}
"""The tables of storefronts and of bridge itself. Who adds a table puts the tenant first in all its
keys and its name under Citus in docs/scaling.md, or puts it here."""

OF_TENANTS = sorted(tables.metadata.tables.keys() - SHARED)
TENANTS = [f"tenant-{n}" for n in range(40)]
PARTS = [f"entries_{n}" for n in range(4)]

MANUAL = (Path(__file__).parents[2] / "docs" / "scaling.md").read_text()
PARTITION = "\n".join(re.findall(r"```sql\n(DO .*?)```", MANUAL, re.DOTALL))

UNIQUE_KEYS = """
    SELECT i.indexrelid::regclass::text, min(a.attname) FILTER (WHERE a.attnum = i.indkey[0])
      FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid
     WHERE i.indisunique AND i.indrelid = ANY (CAST(:tables AS regclass[]))
     GROUP BY i.indexrelid
"""
INDEXES = """
    SELECT indexname, substring(indexdef FROM ' USING .*') FROM pg_indexes
     WHERE schemaname = :schema AND tablename = ANY (:tables) ORDER BY indexname
"""
TRIGGERS = """
    SELECT relname, tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
     WHERE relnamespace = CAST(:schema AS regnamespace) AND relname = ANY (:tables)
     ORDER BY relname, tgname
"""

POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def partitioned(database: Database) -> Database:
    """A database where money has moved, partitioned as docs/scaling.md says."""
    posted(database, *(adjustment(1000, tenant_id=name) for name in TENANTS))
    posted(database, *(effect(500, tenant_id=name, order_id=n) for n, name in enumerate(TENANTS)))
    posted(database, debit(1, tenant_id=TENANTS[0], key="before"), hold(1, tenant_id=TENANTS[1]))
    with database.write() as tx:
        tx.execute(text(PARTITION))
    return database


def rows(database: Database, query: str, **values: Any) -> list[tuple[Any, ...]]:
    with database.read() as tx:
        return [tuple(row) for row in tx.execute(text(query), values)]


@POSTGRESQL
def test_every_unique_key_of_a_tenants_table_begins_with_the_tenant(database: Database) -> None:
    begins = dict(rows(database, UNIQUE_KEYS, tables=OF_TENANTS))
    assert begins.keys() >= {f"{name}_pkey" for name in OF_TENANTS} | {"entries_key"}
    assert set(begins.values()) == {"tenant_id"}


def test_the_manual_names_every_table_for_who_would_distribute_them() -> None:
    assert [name for name in tables.metadata.tables if f"`{name}`" not in MANUAL] == []


@POSTGRESQL
def test_postgresql_takes_the_tables_partitioned_by_the_tenants_hash(
    partitioned: Database,
) -> None:
    """Nothing is missing afterwards: neither rows, nor indexes, nor triggers."""
    made = rows(partitioned, "SELECT partrelid::regclass::text FROM pg_partitioned_table")
    assert sorted(name for (name,) in made) == OF_TENANTS
    spread = rows(partitioned, "SELECT tableoid::regclass::text, count(*) FROM entries GROUP BY 1")
    assert sorted(name for name, _ in spread) == PARTS
    for query in (INDEXES, TRIGGERS):
        before, after = (
            rows(partitioned, query, schema=schema, tables=OF_TENANTS)
            for schema in ("whole", "public")
        )
        assert after == before
        assert before
    assert not pending(partitioned)
    assert problems(partitioned) == []
    assert summary(post(partitioned, debit(1, tenant_id=TENANTS[0], key="before"))) == ["replayed"]


@POSTGRESQL
def test_money_moves_in_partitions_as_before(partitioned: Database) -> None:
    [taken, held] = posted(
        partitioned, debit(100, tenant_id="tenant-7"), hold(50, tenant_id="tenant-8")
    )
    posted(partitioned, follow(Kind.DEBIT_REFUND, taken, 40), follow(Kind.CAPTURE, held, 30))
    posted(
        partitioned, effect(200, tenant_id="tenant-9", order_id=9), adjustment(5, tenant_id="new")
    )
    assert summary(post(partitioned, debit(10_000, tenant_id="tenant-7"))) == [
        "insufficient_balance"
    ]
    balances = [balance(partitioned, name) for name in ("tenant-7", "tenant-8", "tenant-9", "new")]
    assert balances == [1440, 1470, 1200, 5]
    assert problems(partitioned) == []


@POSTGRESQL
def test_replicas_neither_overdraw_nor_deadlock_in_partitions(
    partitioned: Database, database_url: str
) -> None:
    def work(number: int) -> int:
        dice, database = random.Random(number), Database(database_url)
        batcher = Batcher(database, lambda: NOON)
        batcher.start()
        taken = 0
        for _ in range(20):
            names = dice.choices(TENANTS, k=20)
            answers = [batcher.submit([debit(dice.randint(1, 90), tenant_id=n)]) for n in names]
            outcomes = [outcome for answer in answers for outcome in answer.result()]
            taken -= sum(outcome.entry.amount for outcome in outcomes if outcome.entry)
        batcher.stop()
        database.close()
        return taken

    left = sum(balance(partitioned, name) for name in TENANTS)
    with ThreadPoolExecutor(3) as pool:
        taken = sum(pool.map(work, range(3)))
    assert sum(balance(partitioned, name) for name in TENANTS) == left - taken
    assert problems(partitioned) == []


@POSTGRESQL
@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET amount = amount + 1", "DELETE FROM {}", "TRUNCATE {}"]
)
def test_entries_stay_as_they_are_in_every_partition(partitioned: Database, statement: str) -> None:
    for part in ("entries", *PARTS):
        with pytest.raises(DBAPIError, match="append-only"), partitioned.write() as tx:
            tx.execute(text(statement.format(part)))
    assert problems(partitioned) == []
