"""`bridge run` as a process: how it starts, serves, is killed, starts again, and ends."""

import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import httpx
import pytest

from bridge.domain.clock import utc_now
from bridge.domain.drift import Comparison
from bridge.sandbox import SILENT, UNAUTHORIZED, Sandbox
from bridge.store.leases import Leases
from bridge.sync import reconcile
from tests.installation import (
    WEBHOOK_SECRET,
    Daemon,
    Installation,
    free_port,
    installed,
    running,
)

POLLED = 'bridge_runs_total{kind="poll",outcome="done",storefront="main"} 1.0'


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def installation(tmp_path: Path, sandbox: Sandbox, migrated_sqlite: Path) -> Installation:
    shutil.copy(migrated_sqlite, tmp_path / "bridge.db")
    return installed(tmp_path, sandbox)


def debit(daemon: Daemon, key: str, amount: int = 100) -> int:
    body = {"tenant_id": "acme", "amount": amount, "currency": "EUR", "purpose": "other"}
    with daemon.client() as client:
        answer = client.post("/v1/debits", json=body, headers={"Idempotency-Key": key})
    return answer.status_code


def leave_lease(installation: Installation, holder: str) -> None:
    """Leave the lease of a poll as a process does that was killed during it."""
    with closing(installation.wiring()) as wiring:
        Leases(wiring.database, utc_now, holder).take("poll:main", 3600)


def test_an_order_comes_by_webhook_and_is_debited_and_sigterm_ends_it_well(
    installation: Installation, sandbox: Sandbox
) -> None:
    installation.edit("[[storefronts]]", "[[storefronts]]\npoll_interval_s = 3600")
    with running(installation) as daemon:
        daemon.wait_for_metric(POLLED)
        sandbox.add_webhook(daemon.webhook_url, secret=WEBHOOK_SECRET)
        order_id = sandbox.place_order("50.00", status="pending")
        sandbox.set_status(order_id, "completed")
        assert {delivery.status for delivery in sandbox.deliver_webhooks()} == {200}
        daemon.wait_for_balance(5000)
        assert debit(daemon, "one") == 201
        assert daemon.balance() == 4900
        assert daemon.stop() == 0
        daemon_said = [line["event"] for line in daemon.log()]
        assert daemon_said[-2:] == ["stopping", "stopped"]
    assert installation.bridge("verify").returncode == 0


def test_a_deposit_is_credited_with_webhooks_off_and_polls_a_day_apart(
    tmp_path: Path, sandbox: Sandbox, migrated_sqlite: Path
) -> None:
    """The watch sees it; the tenant's page is there, too, on a listener of its own."""
    shutil.copy(migrated_sqlite, tmp_path / "bridge.db")
    page = f"127.0.0.1:{free_port()}"
    installation = installed(tmp_path, sandbox, portal=page)
    installation.edit("[[storefronts]]", "[[storefronts]]\npoll_interval_s = 86400")
    body = {"tenant_id": "acme", "amount": 10_000, "currency": "EUR"}
    with running(installation) as daemon, daemon.client() as client:
        daemon.wait_for_metric(POLLED)
        opened = client.post("/v1/deposits", json=body, headers={"Idempotency-Key": "one"}).json()
        assert opened["pay_url"].startswith(sandbox.url)
        sandbox.pay(opened["order_id"])
        daemon.wait_for_balance(10_500)
        deposit = client.get(f"/v1/deposits/{opened['id']}").json()
        assert (deposit["status"], deposit["paid"]) == ("credited", True)
        session = {"tenant_id": "acme", "can": ["deposit", "pay"]}
        link = client.post("/v1/portal-sessions", json=session).json()["url"]
        assert link.startswith(f"http://{page}/billing/enter?link=")
        assert httpx.get(link).status_code == 200
        assert httpx.get(link).status_code != 200
        assert daemon.stop() == 0


def test_killed_at_any_moment_it_keeps_everything_and_reads_on_at_once(
    installation: Installation, sandbox: Sandbox
) -> None:
    """The lease of the killed one does not keep its successor from polling."""
    installation.edit('listen = "127.0.0.1:0"\n[webhooks]', 'listen = "unix:API"\n[webhooks]')
    installation.edit("unix:API", f"unix:{installation.directory}/api.sock")
    sandbox.place_order("50.00")
    with running(installation) as daemon:
        daemon.wait_for_balance(5000)
        assert debit(daemon, "one") == 201
        daemon.process.send_signal(signal.SIGKILL)
        daemon.process.wait()
    leave_lease(
        installation, holder=f"{socket.gethostname()} unix:{installation.directory}/api.sock"
    )
    sandbox.place_order("25.00")
    with running(installation) as daemon:
        daemon.wait_for_metric(POLLED)
        daemon.wait_for_balance(7400)
        assert debit(daemon, "one") == 201, "the debit of before is known by its key"
        assert daemon.balance() == 7400
        assert daemon.stop() == 0
    assert installation.bridge("verify").returncode == 0


def test_a_run_that_a_killed_process_left_open_is_closed_by_the_next(
    installation: Installation,
) -> None:
    with closing(installation.wiring()) as wiring:
        run_id = reconcile.start(wiring.context, Comparison("main", 0, 1))
    with running(installation) as daemon, daemon.client() as client:
        run = client.get(f"/v1/reconciliations/{run_id}").json()
        assert (run["status"], run["failure"]) == (
            "failed",
            "the process ended before the run did; start it again",
        )


def test_a_reconciliation_asked_for_runs_in_the_background(
    installation: Installation, sandbox: Sandbox
) -> None:
    with running(installation) as daemon, daemon.client() as client:
        daemon.wait_for_metric(POLLED)
        order_id = sandbox.place_order("50.00")
        ask = {"storefront": "main", "order_id": order_id}
        asked = client.post("/v1/reconciliations", json=ask)
        assert asked.status_code == 202
        place = asked.headers["Location"]
        daemon.wait_until(lambda: client.get(place).json()["status"] == "done")
        assert client.get(place).json()["findings"][0]["kind"] == "paid_not_credited"
        assert daemon.balance() == 5000


def test_more_connections_than_the_webhook_listener_takes_are_refused_and_the_api_goes_on(
    installation: Installation,
) -> None:
    installation.edit("[webhooks]", "[webhooks]\nconnections_max = 2")
    with running(installation) as daemon, daemon.client() as client, ExitStack() as stack:
        host, port = daemon.webhook_address.split(":")
        first, _, third = (
            stack.enter_context(socket.create_connection((host, int(port)))) for _ in range(3)
        )
        assert third.makefile("rb").read().startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert client.get("/readyz").status_code == 200
        assert 'bridge_requests_total{route="none",status="503"} 1.0' in client.get("/metrics").text
        first.sendall(b"GET /livez HTTP/1.1\r\nHost: bridge\r\nConnection: close\r\n\r\n")
        assert first.makefile("rb").read().startswith(b"HTTP/1.1 200 OK\r\n")

        def taken_again() -> bool:
            with suppress(httpx.TransportError):
                return httpx.get(f"http://{daemon.webhook_address}/livez").status_code == 200
            return False

        daemon.wait_until(taken_again)


def test_both_listeners_can_be_unix_sockets(
    tmp_path: Path, sandbox: Sandbox, migrated_sqlite: Path
) -> None:
    """A file that a killed process left is taken over; none is left in the end."""
    api, webhooks = tmp_path / "api.sock", tmp_path / "webhooks.sock"
    installation = installed(tmp_path, sandbox, api=f"unix:{api}", webhooks=f"unix:{webhooks}")
    shutil.copy(migrated_sqlite, tmp_path / "bridge.db")
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(api))
    with running(installation) as daemon:
        with daemon.client() as client:
            assert client.get("/readyz").json()["status"] == "ok"
        assert webhooks.is_socket()
        assert daemon.stop() == 0
    assert not api.exists()
    assert not webhooks.exists()


def test_a_request_that_is_being_answered_is_answered_before_the_end(
    installation: Installation, sandbox: Sandbox
) -> None:
    sandbox.place_order("50.00")
    with running(installation) as daemon:
        daemon.wait_for_balance(5000)
        body = b'{"tenant_id":"acme","amount":100,"currency":"EUR","purpose":"other"}'
        host, _, port = daemon.api_address.rpartition(":")
        token = installation.key("debit")
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(
                b"POST /v1/debits HTTP/1.1\r\nHost: bridge\r\nExpect: 100-continue\r\n"
                b"Authorization: Bearer " + token.encode() + b"\r\nIdempotency-Key: late\r\n"
                b"Content-Type: application/json\r\n"
                b"Content-Length: " + str(len(body)).encode() + b"\r\n\r\n"
            )
            assert connection.recv(4096).startswith(b"HTTP/1.1 100 ")
            daemon.process.send_signal(signal.SIGTERM)
            daemon.wait_for("STOPPING=1")
            connection.sendall(body)
            assert connection.recv(4096).startswith(b"HTTP/1.1 201 ")
        assert daemon.process.wait(30) == 0


def test_the_watchdog_is_told_while_all_is_well(installation: Installation) -> None:
    with running(installation, WATCHDOG_USEC="200000") as daemon:
        daemon.wait_for("WATCHDOG=1")
        daemon.wait_for("STATUS=1 storefronts (0 failing, 0 stopped)")
        assert daemon.stop() == 0


def test_a_storefront_that_is_away_is_told_once_and_hinders_nobody(
    installation: Installation, sandbox: Sandbox
) -> None:
    installation.edit("[[storefronts]]", "[[storefronts]]\npoll_interval_s = 1")
    sandbox.faults.switch_on(UNAUTHORIZED)
    with running(installation) as daemon:
        failed = 'bridge_runs_total{kind="poll",outcome="failed",storefront="main"}'
        daemon.wait_for_metric(f"{failed} 3.0")
        with daemon.client() as client:
            assert client.get("/readyz").status_code == 200
        sandbox.faults.switch_off()
        daemon.wait_for_event("works again")
        assert daemon.stop() == 0
        polls = [line for line in daemon.log() if line.get("task") == "poll"]
    assert [line["event"] for line in polls] == ["failing", "works again"]
    assert "consumer key" in polls[0]["why"]


def test_a_storefront_that_does_not_answer_does_not_keep_it_from_ending(
    installation: Installation, sandbox: Sandbox
) -> None:
    sandbox.faults.switch_on(SILENT)
    with running(installation) as daemon:
        daemon.wait_until(lambda: sandbox.requests)
        assert daemon.stop() == 0
    assert installation.bridge("verify").returncode == 0


def test_a_second_daemon_at_the_same_address_is_told_to_try_again(
    installation: Installation,
) -> None:
    with running(installation) as daemon:
        installation.edit('listen = "127.0.0.1:0"\n[webhooks]', 'listen = "TAKEN"\n[webhooks]')
        installation.edit("TAKEN", daemon.api_address)
        second = installation.bridge("run")
    assert second.returncode == 75
    assert f"error: another program listens on {daemon.api_address}" in second.stderr


def test_a_wrong_configuration_ends_it_with_78_and_all_mistakes(
    installation: Installation,
) -> None:
    installation.edit('"key"', '"nowhere"')
    installation.edit('name = "main"', 'name = "Main"\nsurprise = 1')
    refused = installation.bridge("run")
    assert refused.returncode == 78
    for place in ("name", "surprise", "consumer_key_file"):
        assert f"storefronts[0].{place}: " in refused.stderr


def test_a_database_that_is_away_ends_it_with_75(installation: Installation) -> None:
    installation.edit("sqlite:///bridge.db", "postgresql://nobody@127.0.0.1:1/bridge")
    refused = installation.bridge("run")
    assert refused.returncode == 75
    assert "error: the database is unavailable" in refused.stderr


def test_it_migrates_on_start_unless_told_not_to(tmp_path: Path, sandbox: Sandbox) -> None:
    installation = installed(tmp_path, sandbox)
    refused = installation.bridge("run", "--no-migrate")
    assert refused.returncode == 78
    assert "run: bridge migrate" in refused.stderr
