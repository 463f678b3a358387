"""`bridge demo`: what a newcomer sees, and that nothing is left behind."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.installation import free_port

END_TIMEOUT_S = 60


def demo(*options: str) -> list[str]:
    return [sys.executable, "-m", "bridge", "demo", "--port", str(free_port()), *options]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What one round of the demo printed, and the directory it kept.

    The shell it is typed in is set up for another bridge, which is left alone.
    """
    kept = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        demo("--once", "--pause", "0", "--keep", str(kept)),
        capture_output=True,
        text=True,
        check=False,
        timeout=END_TIMEOUT_S,
        env=os.environ
        | {"LC_MONETARY": "en_US", "BRIDGE_DATABASE__URL": "sqlite:////real/money.db"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, kept


def test_orders_become_balances_that_are_refunded_and_debited(played: tuple[str, Path]) -> None:
    shown, _ = played
    for scene in (
        "globex has €120.00 now (by the first poll)",
        "by bank transfer: not paid yet, nothing is credited",
        "acme has €50.00 now",
        "renews the plan of acme for €19.00",
        "acme has €31.00 now (entry acme.EUR.2)",
        "€10.00 refunded",
        "acme has €21.00 now",
        "declined (insufficient_balance)",
        "paid by card and completed",
        "initech has €21.00 now",
        "leaves acme's renewals to bridge: €19.00 a month, due in 10 days",
        "leaves globex's renewals to bridge: €19.00 a month, due now",
        "globex has €101.00 now (renewed by bridge)",
        "reads its events: ",
    ):
        assert scene in shown


def test_four_curl_lines_can_be_pasted(played: tuple[str, Path]) -> None:
    shown, _ = played
    lines = [shlex.split(line) for line in shown.splitlines() if line.startswith("curl ")]
    assert len(lines) == 4
    for words in lines:
        assert any(word.startswith("Authorization: Bearer bridge_") for word in words)
        assert words[-1].startswith("http://127.0.0.1:")
    debit = lines[1]
    assert json.loads(debit[debit.index("-d") + 1])["amount"] == 500


def test_what_was_told_can_be_listed_where_the_demo_is_kept(played: tuple[str, Path]) -> None:
    """The command stands there to be pasted, as the curl lines do."""
    shown, kept = played
    [line] = [line for line in shown.splitlines() if " events list " in line]
    done = subprocess.run(
        [*shlex.split(line), "--json", "--limit", "200"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    types = {event["type"] for event in json.loads(done.stdout)["data"]}
    assert {"wallet.credited", "wallet.debited", "wallet.reversed", "renewal.paid"} <= types
    assert str(kept) in line


def test_it_shows_the_way_into_a_tenants_page(played: tuple[str, Path]) -> None:
    shown, _ = played
    assert re.search(r"http://127\.0\.0\.1:[0-9]+/billing/enter\?link=\S+   of acme", shown)


def test_what_is_kept_is_an_installation_whose_books_are_right(
    played: tuple[str, Path],
) -> None:
    _, kept = played
    command = [sys.executable, "-m", "bridge", "verify", "--json", "--config"]
    done = subprocess.run(
        [*command, str(kept / "config.toml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    audit = json.loads(done.stdout)
    assert (audit["wallets"], audit["problems"]) == (3, [])


def test_it_does_not_play_in_a_directory_with_something_in_it(played: tuple[str, Path]) -> None:
    _, kept = played
    done = subprocess.run(
        demo("--once", "--keep", str(kept)), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "is not empty" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_what_it_started(tmp_path: Path, number: signal.Signals) -> None:
    """Also where a shell started it in the background, with SIGINT ignored."""
    command = ["env", "--ignore-signal=INT"]
    command += demo("--pause", "60", "--keep", str(tmp_path / "kept"))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "by the first poll" in line:
                break
        process.send_signal(number)
        rest = process.stdout.read()
        assert process.wait(END_TIMEOUT_S) == 0
    assert rest.splitlines()[-1].startswith("Stopped.")
    log = (tmp_path / "kept" / "bridge.log").read_text()
    assert json.loads(log.splitlines()[-1])["event"] == "stopped"
