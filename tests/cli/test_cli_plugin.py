"""The command that writes the companion plugin."""

import stat
from pathlib import Path

import pytest

from bridge.domain.signing import derived
from bridge.sandbox import Sandbox
from tests.cli.terminal import Terminal
from tests.installation import installed

KEYS = {"signing_key": "n" * 40, "former_key": "f" * 40}
SECOND_STOREFRONT = """
[[storefronts]]
name = "other"
url = "{url}"
consumer_key_file = "key"
consumer_secret_file = "secret"
"""


@pytest.fixture
def terminal(tmp_path: Path, sandbox: Sandbox) -> Terminal:
    """A terminal on an installation that has no database yet: none is needed."""
    return Terminal(installed(tmp_path, sandbox), sandbox)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "bridge-deposits.php"


def sign(terminal: Terminal) -> None:
    for name, key in KEYS.items():
        path = terminal.installation.directory / name
        path.touch(mode=0o600)
        path.write_text(f"{key}\n")
    with terminal.installation.config.open("a") as config:
        config.write('[signing]\nkey_file = ["signing_key", "former_key"]\n')


def written_keys(storefront: str) -> str:
    keys = derived(KEYS.values(), f"deposit-link/{storefront}")
    return f"const LINK_KEYS = array( '{keys[0].hex()}', '{keys[1].hex()}' );"


def test_the_plugin_is_written_with_this_storefronts_keys_and_closed_to_others(
    terminal: Terminal, target: Path
) -> None:
    sign(terminal)
    target.write_text("what was there before")
    said = terminal.type("plugin", str(target.parent))
    assert (said.status, said.out) == (0, "")
    assert "wp-content/plugins/" in said.err
    assert written_keys("main") in target.read_text()
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert not any(key in target.read_text() or key in said.err for key in KEYS.values())


def test_among_several_storefronts_one_is_named(terminal: Terminal, target: Path) -> None:
    with terminal.installation.config.open("a") as config:
        config.write(SECOND_STOREFRONT.format(url=terminal.sandbox.url))
    sign(terminal)
    for words in ((), ("--storefront", "nobody")):
        unnamed = terminal.type("plugin", str(target.parent), *words)
        assert unnamed.status == 2
        assert "name it by --storefront: main, other" in unnamed.err
    assert terminal.type("plugin", str(target.parent), "--storefront", "other").status == 0
    assert written_keys("other") in target.read_text()


def test_without_a_signing_key_nothing_is_written(terminal: Terminal, target: Path) -> None:
    said = terminal.type("plugin", str(target.parent))
    assert said.status == 78
    assert "[signing] key_file" in said.err
    assert not target.exists()


def test_the_directory_has_to_be_there(terminal: Terminal, tmp_path: Path) -> None:
    sign(terminal)
    assert terminal.type("plugin", str(tmp_path / "nowhere")).status == 2
