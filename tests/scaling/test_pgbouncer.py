"""Two replicas behind PgBouncer in transaction mode, which has fewer connections than they."""

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from bridge.sandbox import Sandbox
from bridge.store.database import Database
from tests.installation import Daemon
from tests.scaling.cluster import PgBouncer, PostgreSQL
from tests.scaling.load import Load
from tests.scaling.replicas import replica, replicas

CONNECTIONS = 3


@pytest.mark.skipif(
    shutil.which("pgbouncer") is None, reason="pgbouncer is not on PATH (Debian's pgbouncer)"
)
def test_everything_goes_through_a_pool_in_transaction_mode(
    tmp_path: Path, instances: Path, sandbox: Sandbox
) -> None:
    """The migration, debits and deposits under load, holds, a reconciliation and the audit."""
    with (
        PostgreSQL(instances / "pg") as server,
        PgBouncer(instances / "pool", server, CONNECTIONS) as pool,
        closing(Database(pool.url, pooler=True)) as database,
    ):
        installations = [replica(tmp_path / name, sandbox, pool.url) for name in ("one", "two")]
        for installation in installations:
            installation.edit("[api]", "pooler = true\n[api]")
        assert installations[0].bridge("migrate").returncode == 0
        with replicas(installations, sandbox) as daemons:
            with Load(daemons, sandbox, database) as load:
                load.wait_for_more(300)
            hold_and_reconcile(daemons, sandbox)
            load.audit()
        assert installations[1].bridge("verify").returncode == 0


def hold_and_reconcile(daemons: list[Daemon], sandbox: Sandbox) -> None:
    one, other = daemons
    order_id = sandbox.place_order("50.00")
    one.wait_for_balance(5000)
    body = {"tenant_id": "acme", "amount": 2000, "currency": "EUR"}
    with one.client() as here, other.client() as there:
        hold = here.post("/v1/holds", json=body, headers={"Idempotency-Key": "hold"}).json()
        capture = f"/v1/holds/{hold['id']}/capture"
        there.post(capture, json={}, headers={"Idempotency-Key": "capture"}).raise_for_status()
        sandbox.delete_forever(order_id)
        run = there.post("/v1/reconciliations", json={"storefront": "main"})
        other.wait_until(lambda: here.get(run.headers["Location"]).json()["status"] == "done")
    assert one.balance() == -2000
