"""PostgreSQL asked in an event loop: what fails there is told, and not met twice."""

import asyncio
import select
import socket
import threading
from collections.abc import Callable, Iterator

import psycopg
import pytest
import uvloop
from psycopg import AsyncConnection

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


LAST_WORDS = b"N\0\0\0\x1eSWARNING\0C57P02\0MGoodbye\0\0"
"""A NoticeResponse, as PostgreSQL sends it to its callers before it ends at once."""


class Relay:
    """Stands between a pipe and PostgreSQL, and dies when it is told to."""

    def __init__(self, database: Database) -> None:
        [directory] = [database.url.query["host"]]
        self._address = f"{directory}/.s.PGSQL.{database.url.port or 5432}"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = (
            f"host=127.0.0.1 port={self._listener.getsockname()[1]} sslmode=disable"
            f" gssencmode=disable user={database.url.username} dbname={database.url.database}"
        )
        self.dying = threading.Event()
        self.thread = threading.Thread(target=self._pass_on)

    def _pass_on(self) -> None:
        with self._listener, socket.socket(socket.AF_UNIX) as server:
            server.connect(self._address)
            caller, _ = self._listener.accept()
            with caller:
                others = {caller: server, server: caller}
                while found := select.select(others, [], [], 60)[0]:
                    if self.dying.is_set():  # and leaves unread what there is
                        caller.sendall(LAST_WORDS)
                        return
                    for one in found:
                        others[one].sendall(one.recv(65536))


@pytest.fixture
def relay(database: Database) -> Iterator[Relay]:
    relay = Relay(database)
    relay.thread.start()
    yield relay
    relay.thread.join()


def test_a_server_that_dies_with_a_question_unread_is_noticed(relay: Relay) -> None:
    """uvloop says once that there is something to read, and forgets the socket."""

    async def ask() -> Rows | Exception:
        pipe = Pipe(lambda: AsyncConnection.connect(relay.url, autocommit=True), STATEMENTS)
        await opened(pipe)
        relay.dying.set()
        return await asyncio.wait_for(asked(pipe, "ratio", "3"), 30)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert isinstance(runner.run(ask()), psycopg.OperationalError)


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


def test_questions_asked_in_a_row_are_answered_in_order_and_stand_or_fall_alone(
    database: Database,
) -> None:
    async def ask() -> list[object]:
        pipe = database.pipe(STATEMENTS)
        assert pipe is not None
        await opened(pipe)
        asking = (asked(pipe, "tenant", name) for name in ("acme", "acme", "beta", "acme"))
        answers = await asyncio.gather(*asking, asked(pipe, "ratio", "3"))
        pipe.close()
        return [type(one) if isinstance(one, Exception) else one for one in answers]

    used = psycopg.errors.UniqueViolation
    assert asyncio.run(ask()) == [[], used, [], used, [(2,)]]


def test_an_error_is_the_answer_to_all_that_was_asked_behind_it(database: Database) -> None:
    """The connection is given up; who asked finds out what was executed."""

    async def ask() -> list[object]:
        pipe = database.pipe(STATEMENTS)
        assert pipe is not None
        await opened(pipe)
        answers = await asyncio.gather(*(asked(pipe, "ratio", ratio) for ratio in "302"))
        await opened(pipe)
        answers.append(await asked(pipe, "ratio", "6"))
        pipe.close()
        return [type(one) if isinstance(one, Exception) else one for one in answers]

    divided = psycopg.errors.DivisionByZero
    assert asyncio.run(ask()) == [[(2,)], divided, divided, [(1,)]]
