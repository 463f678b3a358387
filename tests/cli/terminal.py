"""A terminal to type commands into, which run in this process."""

import json
from typing import Any, NamedTuple

from typer.testing import CliRunner

from bridge.cli import app
from bridge.sandbox import Sandbox
from tests.installation import Installation


class Said(NamedTuple):
    """What a command answered."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


class Terminal(NamedTuple):
    """Where commands are typed."""

    installation: Installation
    sandbox: Sandbox

    def move_to(self, sandbox: Sandbox) -> None:
        """Let another storefront answer in the place of this one."""
        self.installation.edit(self.sandbox.url, sandbox.url)
        (self.installation.directory / "key").write_text(f"{sandbox.consumer_key}\n")
        (self.installation.directory / "secret").write_text(f"{sandbox.consumer_secret}\n")

    def type(self, *words: str) -> Said:
        """Run a command with this installation's configuration."""
        result = CliRunner().invoke(app, [*words, "--config", str(self.installation.config)])
        return Said(result.exit_code, result.stdout, result.stderr)
