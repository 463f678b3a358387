"""PostgreSQL asked in an event loop: what fails there is told, and not met twice."""

import asyncio
from collections.abc import Callable

import psycopg
import pytest

from bridge.store.database import Database
from bridge.store.pipe import Pipe, Rows

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

STATEMENTS = {
    "ratio": "SELECT 6 / CAST($1 AS int)",
    "tenant": "INSERT INTO tenants VALUES ($1, '', '{}', 0)",
}


async def opened(pipe: Pipe) -> None:
    while not pipe.opened():  # noqa: ASYNC110 - it tells nobody when it is
        await asyncio.sleep(0.001)


async def asked(pipe: Pipe, name: str, parameter: str) -> Rows | Exception:
    answered: asyncio.Future[Rows | Exception] = asyncio.get_running_loop().create_future()
    pipe.ask(name, [parameter], answered.set_result)
    return await answered


@pytest.fixture
def run(database: Database) -> Callable[[str, list[str]], list[object]]:
    """Ask one question after the other, and tell after each whether the connection is kept."""

    async def ask(name: str, parameters: list[str]) -> list[object]:
        pipe = database.pipe(STATEMENTS)
        assert pipe is not None
        found: list[object] = []
        for parameter in parameters:
            await opened(pipe)
            answer = await asked(pipe, name, parameter)
            found += [type(answer) if isinstance(answer, Exception) else answer, pipe.opened()]
        pipe.close()
        return found

    return lambda name, parameters: asyncio.run(ask(name, parameters))


def test_after_an_error_another_connection_is_made(
    run: Callable[[str, list[str]], list[object]],
) -> None:
    """The server may have become a standby, and the primary be elsewhere."""
    assert run("ratio", ["3", "0", "2"]) == [
        *([(2,)], True),
        *(psycopg.errors.DivisionByZero, False),
        *([(3,)], True),
    ]


def test_a_key_that_is_used_already_costs_no_connection(
    run: Callable[[str, list[str]], list[object]],
) -> None:
    assert run("tenant", ["acme", "acme"]) == [[], True, psycopg.errors.UniqueViolation, True]
