"""A primary that dies, and its standby that takes over: with synchronous replication, whole."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from bridge.sandbox import Sandbox
from bridge.store.database import Database
from bridge.store.migrations import migrate
from tests.installation import Daemon
from tests.scaling.cluster import PostgreSQL
from tests.scaling.load import Caller, Debit, Load
from tests.scaling.replicas import replica, replicas

FIRST, SECOND = Debit("first", "acme", 100), Debit("second", "acme", 100)


class Pair:
    """A primary, the standby that follows it, and the URL of whichever takes writes."""

    def __init__(self, primary: PostgreSQL, standby: PostgreSQL) -> None:
        self.primary = primary
        self.standby = standby
        self.url = f"{primary.url}&host={standby.directory}&target_session_attrs=read-write"


@pytest.fixture
def pair(instances: Path) -> Iterator[Pair]:
    """A pair that acknowledges nothing that is not on both disks; its database is migrated."""
    with (
        PostgreSQL(instances / "a") as primary,
        PostgreSQL(instances / "b", follows=primary) as standby,
    ):
        primary.require_standby()
        pair = Pair(primary, standby)
        with closing(Database(pair.url)) as database:
            migrate(database)
        yield pair


@pytest.fixture
def daemon(tmp_path: Path, sandbox: Sandbox, pair: Pair) -> Iterator[Daemon]:
    """A replica on the pair, where acme has 50.00 EUR."""
    sandbox.place_order("50.00")
    with replicas([replica(tmp_path / "one", sandbox, pair.url)], sandbox) as [daemon]:
        daemon.wait_for_balance(5000)
        yield daemon


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_primary_dies_under_load_and_its_standby_has_all_that_was_acknowledged(
    tmp_path: Path, sandbox: Sandbox, pair: Pair
) -> None:
    """The replicas find the new primary by themselves."""
    installations = [replica(tmp_path / name, sandbox, pair.url) for name in ("one", "two")]
    with closing(Database(pair.url)) as database, replicas(installations, sandbox) as daemons:
        with Load(daemons, sandbox, database) as load:
            load.wait_for_more(1000)
            pair.primary.kill()
            pair.standby.promote()
            load.wait_for_more(1000)
        load.audit()
    assert installations[0].bridge("verify").returncode == 0


def test_nothing_is_acknowledged_while_the_standby_is_away_and_all_of_it_afterwards(
    pair: Pair, daemon: Daemon
) -> None:
    """The price of synchronous replication: with a single standby, its absence stops debits."""
    pair.standby.stop()
    with daemon.client() as client, pytest.raises(httpx.ReadTimeout):
        client.post("/v1/debits", json=FIRST.body(), headers=FIRST.headers(), timeout=1)
    assert daemon.balance() == 5000
    pair.standby.start()
    with Caller([daemon]) as caller:
        assert caller.debit(FIRST)[0]
    assert daemon.balance() == 4900


def test_without_synchronous_replication_a_failover_loses_what_was_acknowledged(
    pair: Pair, daemon: Daemon
) -> None:
    """What it is paid for: here an entry's id comes to name another entry."""
    pair.primary.release_standby()
    pair.standby.stop()
    with Caller([daemon]) as caller:
        _, lost = caller.debit(FIRST)
        pair.primary.kill()
        pair.standby.start()
        pair.standby.promote()
        _, other = caller.debit(SECOND)
    assert lost["id"] == other["id"]
    assert lost["hash"] != other["hash"]
    assert daemon.balance() == 4900
