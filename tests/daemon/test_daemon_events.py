"""A whole daemon tells what happens, makes the renewals that are due, and loses nothing."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bridge.domain.clock import HOUR, SECOND, isoformat, utc_now
from bridge.sandbox import Sandbox
from tests.installation import Daemon, Installation, installed, running
from tests.notify.receiver import AWAY, OK, SECRET, Answer, Event, Hang, Receiver, receiving
from tests.notify.relay import Post, relaying

ENDPOINT = """
[alerts]
below = {{ EUR = 600 }}
[[events.endpoints]]
name = "core"
url = "{url}"
secret_file = "core_secret"
allow_private = true
workers = 2
"""
EMAIL = """
[email]
host = "{host}"
port = {port}
tls = "none"
sender = "billing@example.com"
"""
RENEWAL = {
    "tenant_id": "acme",
    "amount": 1900,
    "currency": "EUR",
    "interval": {"unit": "month", "count": 1},
}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def installation(tmp_path: Path, migrated_sqlite: Path, receiver: Receiver) -> Installation:
    shutil.copy(migrated_sqlite, tmp_path / "bridge.db")
    with Sandbox() as sandbox:
        installation = installed(tmp_path, sandbox)
    text = installation.config.read_text().partition("[[storefronts]]")[0]
    installation.config.write_text(text + ENDPOINT.format(url=receiver.url))
    secret = tmp_path / "core_secret"
    secret.touch(mode=0o600)
    secret.write_text(f"{SECRET}\n")
    return installation


def post(daemon: Daemon, path: str, key: str, **body: Any) -> int:
    body = {"tenant_id": "acme", "currency": "EUR", **body}
    with daemon.client() as client:
        return client.post(path, json=body, headers={"Idempotency-Key": key}).status_code


def fund(daemon: Daemon, amount: int) -> None:
    why = {"reason": "for the test", "actor": "test"}
    assert post(daemon, "/v1/adjustments", f"fund/{amount}", amount=amount, **why) == 201


def types(receiver: Receiver) -> list[str]:
    """What was taken, each event once however often it came."""
    return list({event["id"]: event["type"] for event in receiver.taken}.values())


def refusing(answer: Answer) -> Callable[[Event], Answer]:
    """An answer to debits; all other events are taken."""
    return lambda event: answer if event["type"] == "wallet.debited" else OK


def test_a_debit_and_the_low_balance_it_leaves_are_told_to_the_core(
    installation: Installation, receiver: Receiver
) -> None:
    """The receiver verifies each with the public package, and finds it again by the API."""
    with running(installation) as daemon:
        fund(daemon, 2400)
        assert post(daemon, "/v1/debits", "one", amount=1900, purpose="other") == 201
        daemon.wait_until(lambda: len(receiver.taken) == 3)
        credited, debited, low = receiver.taken
        assert types(receiver) == ["wallet.credited", "wallet.debited", "balance.low"]
        assert (debited["tenant_id"], debited["data"]["balance_after"]) == ("acme", 500)
        assert (low["data"]["available"], low["data"]["threshold"]) == (500, 600)
        with daemon.client() as client:
            page = client.get("/v1/events", params={"after": credited["id"]}).json()
            assert page["data"] == [debited, low]
            daemon.wait_until(lambda: state(client, debited) == "delivered")
            delivered = 'bridge_deliveries_total{endpoint="core",outcome="delivered"} 3.0'
            daemon.wait_for_metric(delivered)
            for gauge in ("lanes_behind", "dead_letters"):
                daemon.wait_for_metric(f'bridge_{gauge}{{endpoint="core"}} 0.0')
        assert daemon.stop() == 0
    assert installation.bridge("status").returncode == 0


def state(client: Any, event: Event) -> str:
    [lane] = client.get(f"/v1/events/{event['id']}").json()["lanes"]
    assert lane["endpoint"] == "core"
    return str(lane["state"])


def test_a_renewal_that_is_due_is_paid_by_the_daemon_and_one_that_is_short_by_the_next_deposit(
    installation: Installation, receiver: Receiver
) -> None:
    due_at = isoformat(utc_now() - HOUR)
    with running(installation) as daemon, daemon.client() as client:
        fund(daemon, 2000)
        for reference in ("sub-1", "sub-2"):
            put = client.put(f"/v1/renewals/{reference}", json={**RENEWAL, "next_due_at": due_at})
            assert put.status_code == 201, put.text
        daemon.wait_until(
            lambda: {"renewal.paid", "renewal.payment_failed"} <= set(types(receiver))
        )
        assert daemon.balance() == 100
        [failed] = [e for e in receiver.taken if e["type"] == "renewal.payment_failed"]
        assert (failed["data"]["reference"], failed["data"]["shortfall"]) == ("sub-2", 1800)
        fund(daemon, 1850)
        assert daemon.balance() == 50, "it was paid in the very commit that brought the money"
        daemon.wait_until(lambda: types(receiver).count("renewal.paid") == 2)
        daemon.wait_for("renewals on time; 0 dead letters")
        assert daemon.stop() == 0
    assert installation.bridge("verify").returncode == 0


def test_a_tenant_gets_a_letter_in_its_language_before_its_money_is_gone(
    installation: Installation,
) -> None:
    post_office = Post()
    with relaying(post_office) as relay:
        with installation.config.open("a") as config:
            config.write(EMAIL.format(host=relay.host, port=relay.port))
        with running(installation) as daemon, daemon.client() as client:
            fund(daemon, 2400)
            wish = {"email": "billing@acme.example", "language": "de"}
            assert client.put("/v1/tenants/acme/notices", json=wish).status_code == 200
            assert post(daemon, "/v1/debits", "one", amount=1900, purpose="other") == 201
            daemon.wait_until(lambda: post_office.letters)
            assert daemon.stop() == 0
    [letter] = post_office.letters
    text = letter.get_body(("plain",))
    assert text is not None
    assert letter["To"] == "billing@acme.example"
    assert "5,00\N{NO-BREAK SPACE}€" in text.get_content()


@pytest.mark.parametrize("answer", [AWAY, Hang()])
def test_sigterm_ends_it_while_an_endpoint_is_away_and_the_next_one_tells_the_rest(
    installation: Installation, receiver: Receiver, answer: Answer
) -> None:
    receiver.answer = refusing(answer)
    with running(installation) as daemon:
        fund(daemon, 2400)
        assert post(daemon, "/v1/debits", "one", amount=1900, purpose="other") == 201
        daemon.wait_until(lambda: any(e["type"] == "wallet.debited" for e in receiver.asked))
        assert daemon.stop() == 0
    assert types(receiver) == ["wallet.credited"]
    assert installation.bridge("verify").returncode == 0
    receiver.answer = lambda _: OK
    expire_claims(installation)
    with running(installation) as daemon:
        told = ["wallet.credited", "wallet.debited", "balance.low"]
        daemon.wait_until(lambda: types(receiver) == told)
        assert daemon.stop() == 0


def expire_claims(installation: Installation) -> None:
    """Let time pass: what the last daemon claimed, or let rest, is due again."""
    with closing(installation.wiring()) as wiring, wiring.database.write() as tx:
        tx.exec_driver_sql(f"UPDATE lanes SET claimed_until = 0, due_at = {utc_now() - SECOND}")
