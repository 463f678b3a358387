"""The companion plugin, run by PHP on stubs of WordPress, with links that bridge has sealed."""

import json
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from bridge.billing.tills import Till
from bridge.cli.plugin import source
from bridge.domain.clock import DAY, SECOND
from bridge.domain.deposit import Mode, Terms
from bridge.domain.signing import derived
from tests.depositing import KEYS, deposit, sealed

PHP = shutil.which("php")
SHIPPED = Path(str(files("bridge").joinpath("plugin", "bridge-deposits.php")))
RUNNER = Path(__file__).with_name("plugin_test.php")
PROMISES = re.findall(r"^\t'(.+?)' +=> function", RUNNER.read_text(), re.MULTILINE)
EXPIRES = 1_000_000_600 * SECOND
RETURN = "https://core.example/back?lang=de"

pytestmark = pytest.mark.skipif(PHP is None, reason="php is not installed: apt install php-cli")


def php(*words: str | Path, said: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PHP or "php", *words],
        input=said,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """The plugin as `bridge plugin` writes it, with the present and a former key."""
    path = tmp_path / "bridge-deposits.php"
    path.write_text(source(derived(["new", "old"], "deposit-link/main")))
    return path


def link(
    secret: str = "new", *, storefront: str = "main", return_url: str = RETURN, **fields: Any
) -> str:
    """The seal in a link to a deposit's cart, as billing makes it."""
    till = Till(
        name=storefront,
        url="https://store.example",
        tag_key="_tenant_id",
        terms=Terms(Mode.CHECKOUT, DAY, {}),
        tag_keys=KEYS,
        link_keys=derived([secret], f"deposit-link/{storefront}"),
        checkout=lambda: pytest.fail("a link needs no order"),
    )
    made = deposit(mode=Mode.CHECKOUT, expires_at=EXPIRES)._replace(**fields)
    return till.link(made, till.form(made, return_url)).partition("/?bridge_deposit=")[2]


def links() -> dict[str, str]:
    """The links that plugin_test.php follows, by name, and the tag of the first."""
    good = link()
    content = good.partition(".")[0]
    return {
        "tag": sealed(deposit()),
        "checkout": good,
        "cart": link(mode=Mode.CART),
        "former_key": link("old"),
        "cents": link(amount=5001),
        "markup": link(tenant_id="<b>acme"),
        "no_return": link(return_url=""),
        "foreign": link(storefront="other"),
        "tampered": f"A{good[1:]}",
        "swapped": f"{content}.{link(amount=100).partition('.')[2]}",
        "cut": good[:-1],
        "no_mac": f"{content}.",
    }


@pytest.mark.parametrize("promise", PROMISES)
def test_the_plugin_keeps_its_promise(written: Path, promise: str) -> None:
    """Each promise is a function of plugin_test.php."""
    kept = php(RUNNER, written, promise, said=json.dumps(links()))
    assert (kept.returncode, kept.stdout, kept.stderr) == (0, "", "")


def test_every_promise_is_found() -> None:
    assert len(PROMISES) == RUNNER.read_text().count("=> function ( $links )")


def test_php_takes_the_plugin_as_shipped_and_as_written(written: Path) -> None:
    for path in (SHIPPED, written):
        checked = php("-l", path)
        assert checked.returncode == 0, checked.stdout


def test_without_wordpress_the_plugin_does_and_says_nothing(written: Path) -> None:
    alone = php(written)
    assert (alone.returncode, alone.stdout) == (0, "")


def test_as_shipped_it_opens_nothing() -> None:
    kept = php(RUNNER, SHIPPED, "a former key opens links still", said=json.dumps(links()))
    assert "403 is not 'https://store.example/checkout/'" in kept.stdout + kept.stderr
