"""Several replicas on one database: some are killed, the database is restarted, money is kept."""

import signal
from contextlib import closing
from pathlib import Path

import pytest

from bridge.sandbox import Sandbox, slow
from bridge.store.database import Database
from bridge.store.migrations import migrate
from bridge.sync.context import LEASE_S
from tests.installation import Daemon
from tests.scaling.cluster import PostgreSQL
from tests.scaling.load import HOT, Load
from tests.scaling.replicas import alive, replica, replicas


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_one_of_two_replicas_is_killed_and_nothing_acknowledged_is_lost_or_doubled(
    tmp_path: Path, sandbox: Sandbox, database: Database, database_url: str
) -> None:
    """It leaves no lease behind, because it hardly polls; the long proof does not spare that."""
    mortal = replica(tmp_path / "one", sandbox, database_url, poll_interval_s=3600)
    survivor = replica(tmp_path / "two", sandbox, database_url)
    with replicas([mortal, survivor], sandbox) as daemons:
        with Load(daemons, sandbox, database) as load:
            load.wait_for_more(200)
            daemons[0].process.kill()
            load.wait_for_more(200)
        load.audit()


@pytest.mark.long
@pytest.mark.timeout(900)
def test_two_of_four_replicas_are_killed_and_the_database_is_restarted_twice(
    tmp_path: Path, instances: Path, sandbox: Sandbox
) -> None:
    """One is killed while it polls: the others go on with that when its lease has expired."""
    with (
        PostgreSQL(instances / "a") as server,
        closing(Database(server.url)) as database,
    ):
        migrate(database)
        installations = [replica(tmp_path / name, sandbox, server.url) for name in "abcd"]
        with replicas(installations, sandbox) as daemons:
            with Load(daemons, sandbox, database) as load:
                load.wait_for_more(1000)
                kill_the_one_that_polls(daemons, sandbox, server)
                load.wait_for_more(1000)
                for how in (signal.SIGINT, signal.SIGQUIT):
                    server.stop(how)
                    server.start()
                    load.wait_for_more(1000)
                next(filter(alive, daemons)).process.kill()
                load.wait_for_more(1000)
            load.deposit(HOT, 1, told=False)
            load.audit(credited_within_s=LEASE_S + 60)
        assert installations[0].bridge("verify").returncode == 0


def kill_the_one_that_polls(daemons: list[Daemon], sandbox: Sandbox, server: PostgreSQL) -> None:
    """Kill a replica in the middle of a poll, so that it leaves its lease behind."""
    processes = {daemon.process.pid: daemon.process for daemon in daemons}
    sandbox.faults.switch_on(slow(0.5))
    while True:
        if pid := poller(server):
            processes[pid].send_signal(signal.SIGSTOP)
            if poller(server) == pid:
                return processes[pid].kill()
            processes[pid].send_signal(signal.SIGCONT)


def poller(server: PostgreSQL) -> int | None:
    """The id of the process that holds the lease of the poll."""
    holders = server.execute(
        "SELECT split_part(holder, ':', 2) FROM leases WHERE name = 'poll:main'"
    )
    return int(holders[0][0]) if holders else None
