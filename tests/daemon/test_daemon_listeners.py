"""Listening for the public: who says nothing does not stay."""

import asyncio

import pytest
from starlette.responses import PlainTextResponse

from bridge.config import Listen
from bridge.daemon import listeners

APP = PlainTextResponse("ok")


def test_a_connection_that_says_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """So peers that are gone without a word never use up the connections there may be."""
    monkeypatch.setattr(listeners, "KEEP_ALIVE_S", 0.05)

    async def said_to_the_silent() -> bytes:
        with listeners.bind(Listen("127.0.0.1", 0)) as listener:
            listener.listen()
            server = listeners.server(APP, 1, connections_max=1)
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            at = listeners.bound_to(listener)
            try:
                async with asyncio.timeout(10):
                    reader, writer = await asyncio.open_connection(at.host, at.port)
                    said = await reader.read()
                    writer.close()
                    return said
            finally:
                server.should_exit = True
                await serving

    assert asyncio.run(said_to_the_silent()) == b""
