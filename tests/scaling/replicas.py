"""Several daemons of bridge beside one storefront and one database."""

import contextlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from bridge.sandbox import Sandbox
from tests.installation import WEBHOOK_SECRET, Daemon, Installation, installed, running


def replica(
    directory: Path, sandbox: Sandbox, database_url: str, *, poll_interval_s: int = 1
) -> Installation:
    """Install a replica in a directory that is made for it."""
    directory.mkdir()
    installation = installed(directory, sandbox, database_url=database_url)
    interval = f"poll_interval_s = {poll_interval_s}"
    installation.edit("[[storefronts]]", f"[[storefronts]]\n{interval}")
    return installation


@contextlib.contextmanager
def replicas(installations: list[Installation], sandbox: Sandbox) -> Iterator[list[Daemon]]:
    """Run them, each with a webhook that tells of changed orders; in the end they are killed.

    Those that live to the end have met nothing that they did not foresee.
    """
    with ExitStack() as stack:
        daemons = [stack.enter_context(running(one)) for one in installations]
        for daemon in daemons:
            sandbox.add_webhook(daemon.webhook_url, "order.updated", WEBHOOK_SECRET)
        yield daemons
        for daemon in filter(alive, daemons):
            assert not [line for line in daemon.log() if line["level"] == "error"]


def alive(daemon: Daemon) -> bool:
    return daemon.process.poll() is None
