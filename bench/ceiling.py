"""The ceiling: one debit per commit with nothing before the database, as fast as that goes.

A debit is three statements: the insert of the idempotency key, where a repeated one raises; the
conditional update of the wallet; the insert of an entry that carries the balance after it.
"""

import random
import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from bench.checks import Books, read
from bench.load import AMOUNT, FUNDS, TENANTS, Load, Sample, beginning
from bench.postgres import Cluster
from bench.sqlite import Files

PGBENCH = "pgbench"
LOOP = "bare loop"

_KEY = "tenant_id, idempotency_key"
_THREADS_MAX = 2
_FUNDED = f"""
INSERT INTO entries SELECT tenant_id, 0, 'funds', {FUNDS}, {FUNDS}, 0 FROM wallets
"""


class Pgbench:
    """Debits in one call of a server-side function, by pgbench with prepared statements."""

    name = PGBENCH

    _SCHEMA = f"""
    CREATE TABLE wallets (
      tenant_id int PRIMARY KEY, balance bigint NOT NULL, version bigint NOT NULL
    ) WITH (fillfactor = 50);
    CREATE TABLE idempotency_keys (
      tenant_id int NOT NULL, idempotency_key text NOT NULL,
      PRIMARY KEY (tenant_id, idempotency_key)
    );
    CREATE TABLE entries (
      tenant_id int NOT NULL, version bigint NOT NULL, idempotency_key text NOT NULL,
      amount bigint NOT NULL, balance_after bigint NOT NULL, recorded_at bigint NOT NULL,
      PRIMARY KEY (tenant_id, version)
    );
    CREATE FUNCTION debit(tenant int, debited bigint, key text, now bigint) RETURNS bigint
    LANGUAGE plpgsql AS $$
    DECLARE after wallets;
    BEGIN
      INSERT INTO idempotency_keys VALUES (tenant, key);
      UPDATE wallets SET balance = balance - debited, version = version + 1
        WHERE tenant_id = tenant AND balance >= debited RETURNING * INTO after;
      IF NOT FOUND THEN RAISE EXCEPTION 'insufficient balance'; END IF;
      INSERT INTO entries VALUES (tenant, after.version, key, -debited, after.balance, now);
      RETURN after.balance;
    END $$;
    INSERT INTO wallets SELECT n, {FUNDS}, 0 FROM generate_series(1, {TENANTS}) AS n;
    {_FUNDED};
    """

    def __init__(self, cluster: Cluster, database: str, directory: Path) -> None:
        self._cluster = cluster
        self._database = database
        self._script = directory / "pgbench.sql"
        cluster.rows(database, self._SCHEMA)
        cluster.rows(database, "VACUUM ANALYZE")

    def run(self, load: Load, clients: int, seconds: int) -> Sample:
        """Debit over this many connections."""
        began = time.time_ns() // 1000
        self._script.write_text(
            "\\set number :number + 1\n"
            f"\\set tenant random(1, {load.tenants})\n"
            f"\\set key {began} * 1000 + :number * 1000 + :client_id\n"
            f"SELECT debit(:tenant, {AMOUNT}, :key::text, {began});\n"
        )
        threads = min(clients, _THREADS_MAX)
        said = self._cluster.run(
            *("pgbench", "--no-vacuum", "--protocol=prepared", f"--client={clients}"),
            *(f"--jobs={threads}", f"--time={seconds}", "--define=number=0"),
            *(f"--file={self._script}", self._cluster.url(self._database)),
        )
        return parse(said)

    def books(self) -> Books:
        """Add up the ledger."""
        return read(lambda query: self._cluster.rows(self._database, query), _KEY)


def parse(said: str) -> Sample:
    """Read what pgbench prints: what was committed, and the rate without the connecting."""
    committed = re.search(r"^number of transactions actually processed: (\d+)", said, re.MULTILINE)
    rate = re.search(r"^tps = ([0-9.]+) \(without initial connection time\)", said, re.MULTILINE)
    if committed is None or rate is None:
        raise ValueError(f"pgbench did not say how it went: {said}")
    return Sample(debits=int(committed[1]), seconds=int(committed[1]) / float(rate[1]))


class Loop:
    """Debits in a loop on one SQLite connection: BEGIN IMMEDIATE, three statements, COMMIT."""

    name = LOOP

    _SCHEMA = f"""
    CREATE TABLE wallets (
      tenant_id INTEGER PRIMARY KEY, balance INTEGER NOT NULL, version INTEGER NOT NULL
    );
    CREATE TABLE idempotency_keys (
      tenant_id INTEGER NOT NULL, idempotency_key TEXT NOT NULL,
      PRIMARY KEY (idempotency_key, tenant_id)
    );
    CREATE TABLE entries (
      tenant_id INTEGER NOT NULL, version INTEGER NOT NULL, idempotency_key TEXT NOT NULL,
      amount INTEGER NOT NULL, balance_after INTEGER NOT NULL, recorded_at INTEGER NOT NULL,
      PRIMARY KEY (tenant_id, version)
    );
    INSERT INTO wallets WITH RECURSIVE numbers(n) AS
      (VALUES (1) UNION ALL SELECT n + 1 FROM numbers WHERE n < {TENANTS})
      SELECT n, {FUNDS}, 0 FROM numbers;
    {_FUNDED};
    """
    _KEYED = "INSERT INTO idempotency_keys VALUES (?, ?)"
    _UPDATE = (
        "UPDATE wallets SET balance = balance - ?, version = version + 1"
        " WHERE tenant_id = ? AND balance >= ? RETURNING version, balance"
    )
    _INSERT = "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)"

    def __init__(self, files: Files, database: str) -> None:
        self._files = files
        self._database = database
        with closing(self._connection()) as connection:
            connection.executescript(self._SCHEMA)

    def run(self, load: Load, clients: int, seconds: int) -> Sample:
        """Debit on one connection; SQLite has one writer at a time, so more gain nothing."""
        if clients != 1:
            raise ValueError("the bare loop is one client")
        with closing(self._connection()) as connection:
            begins, debits = beginning(), 0
            started = now = time.perf_counter()
            while now < started + seconds:
                debits += 1
                key = f"{begins}-{debits:09d}"
                self._debit(connection, 1 + random.randrange(load.tenants), key)
                now = time.perf_counter()
        return Sample(debits, now - started)

    def books(self) -> Books:
        """Add up the ledger."""
        return read(lambda query: self._files.rows(self._database, query), _KEY)

    def _debit(self, connection: sqlite3.Connection, tenant: int, key: str) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(self._KEYED, (tenant, key))
        updated = connection.execute(self._UPDATE, (AMOUNT, tenant, AMOUNT)).fetchall()
        [(version, after)] = updated
        entry = (tenant, version, key, -AMOUNT, after, time.time_ns() // 1000)
        connection.execute(self._INSERT, entry)
        connection.execute("COMMIT")

    def _connection(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._files.path(self._database), isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        return connection
