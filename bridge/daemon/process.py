"""The process: begin in order, say so, beat, and end in the opposite order."""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack
from typing import NamedTuple

import structlog
import uvloop
from starlette.types import ASGIApp

from bridge import __version__, logs, systemd
from bridge.api.app import internal_app, webhook_app
from bridge.api.pages.app import portal_app
from bridge.api.services import Services
from bridge.config import Config, Listen
from bridge.daemon import listeners
from bridge.daemon.tasks import Tasks
from bridge.domain.errors import UnavailableError
from bridge.store import checkpoints, migrations
from bridge.wiring import Wiring

log = structlog.get_logger()

BEAT_MAX_S = 5.0
"""The longest pause between two looks at whether all is well, in seconds."""

RUN_GRACE_S = 5.0
"""Seconds for runs to end once requests are drained; a run left half-way is simply done again."""

SWITCH_INTERVAL_S = 0.0002
"""How long a thread may keep the interpreter from another that waits for it, in seconds.

The batcher lets go of it at every statement; to get it back from a busy event loop would take
Python's 5 ms each time, longer than the commit itself.
"""

_START_POLL_S = 0.01


def run(config: Config, *, migrate: bool) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal ends the process at once.

    Raises ConfigurationError and UnavailableError where it cannot start.
    """
    as_json = None if config.log.format == "auto" else config.log.format == "json"
    logs.configure(json=as_json, level=config.log.level)
    with ExitStack() as stack:
        wiring = stack.enter_context(contextlib.closing(Wiring(config, holder=_holder(config))))
        if migrate:
            migrations.migrate(wiring.database)
        wiring.require_schema()
        stack.enter_context(checkpoints.kept_up(wiring.database))
        served = [
            Served(name, app, stack.enter_context(_bound(listen)), connections_max)
            for name, app, listen, connections_max in _listeners(config)
        ]
        daemon = _Daemon(wiring)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(daemon.serve(served))
    log.info("stopped")
    if daemon.left_behind:
        # A thread waits for a slow storefront and would keep the process alive. What it does is
        # done again; what was committed stays.
        os._exit(0)


class Served(NamedTuple):
    """An application and the socket it is reached at, by how many at once."""

    name: str
    app: Callable[[Services], ASGIApp]
    listener: socket.socket
    connections_max: int | None


def _listeners(
    config: Config,
) -> Iterator[tuple[str, Callable[[Services], ASGIApp], Listen, int | None]]:
    webhooks, portal = config.webhooks, config.portal
    yield "api", internal_app, config.api.listen, None
    yield "webhooks", webhook_app, webhooks.listen, webhooks.connections_max
    if portal.public_url:
        yield "portal", portal_app, portal.listen, portal.connections_max


def _holder(config: Config) -> str:
    """Name the daemon by its address: no two daemons of a machine have the same at one time.

    So the one that is started after a crash takes over the leases at once.
    """
    listen = config.api.listen
    return f"{socket.gethostname()} {listen}" if listen.path or listen.port else ""


@contextlib.contextmanager
def _bound(listen: Listen) -> Iterator[socket.socket]:
    with listeners.bind(listen) as listener:
        try:
            yield listener
        finally:
            listeners.release(listen)


class _Daemon:
    """What runs between start and end. `left_behind`: a run went on after its grace."""

    def __init__(self, wiring: Wiring) -> None:
        self.left_behind = False
        self._wiring = wiring
        self._tasks = Tasks(wiring)
        self._stop = asyncio.Event()
        self._servers: list[listeners.Server] = []

    async def serve(self, served: Sequence[Served]) -> None:
        """Serve these applications until a signal comes, then drain."""
        self._handle_signals()
        services = self._wiring.services(
            reconcile=self._tasks.reconcile, nudge=self._tasks.nudge, ready=self._ailments
        )
        async with AsyncExitStack() as stack:
            self._wiring.batcher.start(asyncio.get_running_loop())
            stack.push_async_callback(asyncio.to_thread, self._wiring.batcher.stop)
            self._wiring.balances.can_ask()  # begin to connect
            stack.callback(self._wiring.balances.close)
            await asyncio.to_thread(self._tasks.start)
            stack.push_async_callback(self._end_tasks)
            for one in served:
                await self._listen(stack, one.app(services), one)
            # What start-up left in memory stays there: the collector need not look at it again.
            gc.freeze()
            sys.setswitchinterval(SWITCH_INTERVAL_S)
            addresses = {one.name: str(listeners.bound_to(one.listener)) for one in served}
            log.info("serving", version=__version__, **addresses)
            systemd.ready("serving")
            await self._beat_until_stopped()
            systemd.stopping()
            log.info("stopping")

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, number)

    def _signalled(self, number: int) -> None:
        if self._stop.is_set():
            os._exit(128 + number)
        self._stop.set()

    async def _listen(self, stack: AsyncExitStack, app: ASGIApp, served: Served) -> None:
        """Serve an application from now on until the stack is unwound."""
        drain_timeout_s = self._wiring.config.daemon.drain_timeout_s
        server = listeners.server(app, drain_timeout_s, served.connections_max)
        serving = asyncio.create_task(server.serve(sockets=[served.listener]))
        serving.add_done_callback(lambda _: self._stop.set())

        async def drain() -> None:
            self._stop_listening()
            await serving

        self._servers.append(server)
        stack.push_async_callback(drain)
        while not (server.started or serving.done()):  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(_START_POLL_S)

    def _stop_listening(self) -> None:
        """Let all servers drain at once, not one after the other."""
        for server in self._servers:
            server.should_exit = True

    async def _beat_until_stopped(self) -> None:
        """Tell the service manager how it goes; it restarts a daemon that falls silent.

        A database that is away needs no restart: requests are answered 503 until it is back.
        """
        interval_s = min(BEAT_MAX_S, systemd.watchdog_interval_s() or BEAT_MAX_S)
        while not self._stop.is_set():
            ailments = await asyncio.to_thread(self._ailments)
            if self._wiring.batcher.alive:
                systemd.watchdog()
            systemd.status("; ".join(ailments) or self._tasks.summary)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), interval_s)

    def _ailments(self) -> list[str]:
        """Say why requests cannot be served now."""
        ailments = []
        if self._stop.is_set():
            ailments.append("bridge is stopping")
        if not self._wiring.batcher.alive:
            ailments.append("the batcher has died")
        try:
            self._wiring.database.ping()
        except UnavailableError as error:
            ailments.append(str(error))
        return ailments

    async def _end_tasks(self) -> None:
        self.left_behind = not await asyncio.to_thread(self._tasks.stop, RUN_GRACE_S)
