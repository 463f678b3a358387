"""Commands about the service as a whole, and what all commands have in common."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from bridge.cli import app
from bridge.cli.common import Commands
from bridge.config import load
from bridge.domain.errors import StorefrontStoppedError
from bridge.sandbox import Sandbox
from bridge.sync.reconcile import sweep
from bridge.wiring import Wiring
from tests.cli.terminal import Terminal
from tests.installation import installed


def test_status_asks_for_attention_by_its_exit_status(terminal: Terminal) -> None:
    never = terminal.type("status")
    assert never.status == 1
    assert "main: was never read; is bridge running?" in never.out
    terminal.type("poll")
    assert terminal.type("status").status == 0
    terminal.sandbox.place_order("50.00", tenant="not a tenant")
    terminal.type("poll")
    held = terminal.type("status", "--json")
    assert held.status == 1
    [main] = held.json()["storefronts"]
    assert main["orders"] == {"held": 1}
    assert main["concerns"] == ["1 orders held; see: bridge held --storefront main"]


def test_status_tells_of_a_sweep_that_refused_to_reverse_many_orders(terminal: Terminal) -> None:
    placed = [terminal.sandbox.place_order("10.00") for _ in range(6)]
    terminal.type("poll")
    for order_id in placed:
        terminal.sandbox.delete_forever(order_id)
    with (
        closing(Wiring(load(terminal.installation.config))) as wiring,
        pytest.raises(StorefrontStoppedError),
    ):
        sweep(wiring.context, wiring.source("main"))
    said = terminal.type("status")
    assert said.status == 1
    assert "main: the last sweep failed: 6 of 6 credited orders are gone" in said.out
    assert "bridge reconcile --storefront main --accept-vanished" in said.out
    terminal.type("reconcile", "--accept-vanished")
    assert terminal.type("status").status == 0


def test_verify_proves_the_books_or_names_what_is_wrong(terminal: Terminal) -> None:
    terminal.sandbox.place_order("50.00")
    terminal.type("poll")
    clean = terminal.type("verify")
    assert (clean.status, clean.out) == (
        0,
        "storefront:main: -€50.00\n1 wallets, 1 entries: all right\n",
    )
    with closing(terminal.installation.wiring()) as wiring, wiring.database.write() as tx:
        tx.exec_driver_sql("UPDATE wallets SET balance = 9999")
    forged = terminal.type("verify", "--json")
    assert forged.status == 1
    assert forged.json()["problems"]


def test_a_new_key_alone_is_printed_to_standard_output_and_never_again(terminal: Terminal) -> None:
    made = terminal.type("keys", "create", "core", "--scope", "read", "--scope", "debit")
    token = made.out.strip()
    assert made.status == 0
    assert token.startswith("bridge_")
    assert "it is shown only now" in made.err
    listed = terminal.type("keys", "list", "--json")
    assert token not in listed.out
    [key] = listed.json()["data"]
    assert (key["name"], key["scopes"], key["revoked_at"]) == ("core", ["debit", "read"], None)
    assert terminal.type("keys", "revoke", key["key_id"]).status == 0
    assert terminal.type("keys", "list", "--json").json()["data"][0]["revoked_at"]


def test_keys_with_unknown_scopes_or_ids_are_refused(terminal: Terminal) -> None:
    assert terminal.type("keys", "create", "core", "--scope", "root").status == 2
    assert terminal.type("keys", "create", "core").status == 2
    assert terminal.type("keys", "revoke", "00000000").status == 1


def test_check_config_asks_storefronts_when_told(terminal: Terminal) -> None:
    assert terminal.type("check-config").out == (
        "the configuration has no mistakes; storefronts: main\n"
    )
    online = terminal.type("check-config", "--online")
    assert online.status == 0
    assert "storefront main: answers, and its key may read orders" in online.out
    assert "storefront main: has no webhooks" in online.out
    key = terminal.installation.directory / "key"
    key.write_text("ck_wrong\n")
    wrong = terminal.type("check-config", "--online", "--json")
    assert wrong.status == 78
    assert "consumer key" in wrong.json()["online"][0]["error"]


def test_check_config_tells_of_a_webhook_that_woocommerce_disabled(terminal: Terminal) -> None:
    terminal.sandbox.add_webhook("http://127.0.0.1:1/webhooks/woocommerce/main").status = "disabled"
    said = terminal.type("check-config", "--online")
    assert "webhook 1 (order.updated) is disabled; set it to Active in WooCommerce" in said.out


def test_commands_want_a_migrated_database_and_migrate_makes_one(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    terminal = Terminal(installed(tmp_path, sandbox), sandbox)
    unready = terminal.type("status")
    assert (unready.status, unready.out) == (78, "")
    assert "run: bridge migrate" in unready.err
    assert terminal.type("migrate").status == 0
    assert terminal.type("verify").status == 0


def test_options_may_stand_before_the_command_too(terminal: Terminal) -> None:
    words = ["--config", str(terminal.installation.config), "--json", "verify"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0
    assert '"entries": 0' in result.stdout


def test_the_configuration_may_be_named_by_the_environment(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRIDGE_CONFIG", str(terminal.installation.config))
    assert CliRunner().invoke(app, ["verify"]).exit_code == 0


def test_mistakes_in_the_configuration_end_every_command_with_78(terminal: Terminal) -> None:
    terminal.installation.edit('name = "main"', 'name = "Main"\nsurprise = 1')
    for command in (("status",), ("poll",), ("check-config",), ("balance", "acme")):
        said = terminal.type(*command)
        assert (said.status, said.out) == (78, "")
        assert "has 2 mistakes:" in said.err


def test_an_error_nobody_foresaw_is_one_line_unless_asked_for_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken = typer.Typer(cls=Commands, pretty_exceptions_enable=False)

    @broken.callback()
    def before() -> None:
        pass

    @broken.command()
    def fail() -> None:
        raise KeyError("wallet")

    said = CliRunner().invoke(broken, ["fail"])
    assert (said.exit_code, said.stdout) == (1, "")
    assert said.stderr == (
        "error: bridge made a mistake (KeyError: 'wallet'); run it again with BRIDGE_DEBUG=1 "
        "and report what it prints\n"
    )
    monkeypatch.setenv("BRIDGE_DEBUG", "1")
    assert isinstance(CliRunner().invoke(broken, ["fail"]).exception, KeyError)


def test_help_and_version_are_quick_because_nothing_heavy_is_imported() -> None:
    script = (
        "import sys, bridge.cli\n"
        "heavy = {'sqlalchemy', 'fastapi', 'uvicorn', 'requests', 'apscheduler', 'babel'}\n"
        "assert not heavy & sys.modules.keys()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_every_command_of_the_contract_is_there() -> None:
    said = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).stdout
    contract = (
        "run demo migrate check-config status poll reconcile explain balance statement adjust "
        "verify keys"
    )
    for command in contract.split():
        assert f" {command} " in said


def test_data_can_be_piped_into_a_program_that_stops_reading(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    installation = installed(tmp_path, sandbox)
    assert installation.bridge("migrate").returncode == 0
    command = f"{' '.join(installation.command('verify', '--json'))} | true"
    done = subprocess.run(command, shell=True, check=False, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
