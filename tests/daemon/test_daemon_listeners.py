"""Listening: who says nothing does not stay with the public, and a crowd is let in soon."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
import uvloop
from starlette.responses import PlainTextResponse

from bridge.config import Listen
from bridge.daemon import listeners

APP = PlainTextResponse("ok")


def test_a_connection_that_says_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """So peers that are gone without a word never use up the connections there may be."""
    monkeypatch.setattr(listeners, "KEEP_ALIVE_S", 0.05)

    async def said_to_the_silent() -> bytes:
        async with serving(connections_max=1) as (_, at):
            reader, writer = await asyncio.open_connection(at.host, at.port)
            said = await reader.read()
            writer.close()
            return said

    assert asyncio.run(said_to_the_silent()) == b""


def test_a_crowd_is_let_in_within_a_few_turns_of_the_event_loop() -> None:
    """However long a turn takes, the last of them does not wait for as many turns as they are."""
    crowd = 128

    async def turns_until_all_are_in() -> int:
        async with serving() as (server, at):
            with contextlib.ExitStack() as callers:
                for _ in range(crowd):  # without the event loop: the kernel keeps them waiting
                    callers.enter_context(socket.create_connection((at.host, at.port)))
                turns = 0
                while len(server.server_state.connections) < crowd:
                    await asyncio.sleep(0)
                    turns += 1
                return turns

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(turns_until_all_are_in()) <= 16


@contextlib.asynccontextmanager
async def serving(
    connections_max: int | None = None,
) -> AsyncIterator[tuple[listeners.Server, Listen]]:
    """Serve while the block runs, for ten seconds at most."""
    with listeners.bind(Listen("127.0.0.1", 0)) as listener:
        listener.listen()
        server = listeners.server(APP, 1, connections_max)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            async with asyncio.timeout(10):
                while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                    await asyncio.sleep(0)
                yield server, listeners.bound_to(listener)
        finally:
            server.should_exit = True
            await task
