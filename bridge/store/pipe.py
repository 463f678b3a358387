"""PostgreSQL asked from an event loop: questions in a row, each answer handed to a function.

The driver's own way of waiting in a loop needs a task, and registers the socket anew for every
wait: more work than a debit. Here the socket stays registered, and one question is one write.
"""

import asyncio
import contextlib
import re
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import count
from typing import Any

from psycopg import AsyncConnection, Error, IntegrityError, InterfaceError, errors, pq
from psycopg.adapt import Transformer

Rows = list[tuple[Any, ...]]
Answer = Callable[[Rows | Exception], None]
Connect = Callable[[], Awaitable[AsyncConnection[Any]]]

LOOK_INTERVAL_S = 1
"""Seconds between two looks at whether the server is gone."""

_GOOD = frozenset({pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK})


class Pipe:
    """A connection in autocommit, with the driver's statements prepared by name."""

    def __init__(self, connect: Connect, statements: Mapping[str, str]) -> None:
        self._connect = connect
        self._statements = statements
        self._opening: asyncio.Task[None] | None = None
        self._connection: AsyncConnection[Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._socket = -1
        self._next_look: asyncio.TimerHandle | None = None
        self._waiting: deque[Answer] = deque()
        self._found: Rows | Exception = []

    def opened(self) -> bool:
        """Tell whether it can be asked; where not, begin to connect."""
        if self._connection is None and (self._opening is None or self._opening.done()):
            self._opening = asyncio.get_running_loop().create_task(self._open())
        return self._connection is not None

    def ask(self, name: str, parameters: Sequence[str | None], answer: Answer) -> None:
        """Execute a statement, and answer in the loop: with rows, or with what went wrong.

        Questions are executed in the order they are asked, each in a database transaction of its
        own, and need not wait for one another. A question that failed may have been executed.
        """
        connection = self._connection
        if connection is None:
            answer(InterfaceError("the connection is closed"))
            return
        self._waiting.append(answer)
        try:
            said = [None if p is None else p.encode() for p in parameters]
            connection.pgconn.send_query_prepared(name.encode(), said)
            connection.pgconn.pipeline_sync()
        except Error as error:
            self._fail(error)
        self._flush()

    def close(self) -> None:
        """Give up the connection; an open question is answered with an error."""
        if self._opening is not None:
            self._opening.cancel()
        self._fail(InterfaceError("the connection was closed"))

    async def _open(self) -> None:
        with contextlib.suppress(Error, OSError):  # the usual way meets it too, and tells
            connection = await self._connect()
            try:
                for name, statement in self._statements.items():
                    await connection.execute(f"PREPARE {name} AS {_numbered(statement)}".encode())
            except BaseException:
                connection.pgconn.finish()
                raise
            connection.pgconn.nonblocking = 1
            connection.pgconn.enter_pipeline_mode()
            self._loop = asyncio.get_running_loop()
            # Kept, since the driver has no number for a socket whose other end has gone.
            self._socket = connection.pgconn.socket
            self._loop.add_reader(self._socket, self._read)
            self._connection = connection
            self._next_look = self._loop.call_later(LOOK_INTERVAL_S, self._look)

    def _look(self) -> None:
        """Read though nobody says that there is something to read.

        uvloop says so once where a socket has an error, and never again (libuv: uv__poll_io). So
        of a server that dies with our question unread we would read the last words, and then wait
        for ever.
        """
        self._read()
        if self._connection is not None and self._loop is not None:
            self._next_look = self._loop.call_later(LOOK_INTERVAL_S, self._look)

    def _flush(self) -> None:
        """Send what the kernel takes now, and the rest when it takes more."""
        if self._connection is None or self._loop is None:
            return
        pgconn = self._connection.pgconn
        try:
            if pgconn.flush():
                self._loop.add_writer(self._socket, self._flush)
            else:
                self._loop.remove_writer(self._socket)
        except Error as error:
            self._fail(error)

    def _read(self) -> None:
        """Take what arrived, and tell each answer that is complete."""
        connection = self._connection
        if connection is None:
            return
        pgconn = connection.pgconn
        try:
            pgconn.consume_input()
            ended = False
            while self._connection is connection and self._waiting and not pgconn.is_busy():
                result = pgconn.get_result()
                if result is None and ended:
                    raise InterfaceError("there is no answer to a question")
                ended = result is None
                if result is not None:
                    self._take(result, connection)
        except Error as error:
            self._fail(error)

    def _take(self, result: pq.abc.PGresult, connection: AsyncConnection[Any]) -> None:
        """Take a part of an answer: what was found, or that it is complete."""
        if result.status == pq.ExecStatus.PIPELINE_SYNC:
            found, self._found = self._found, []
            self._finish(found)
        else:
            self._found = _rows(result, connection)

    def _finish(self, answer: Rows | Exception) -> None:
        # What is wrong may be the server, e.g. one that became a standby; not where a key was used.
        if isinstance(answer, Exception) and not isinstance(answer, IntegrityError):
            self._fail(answer)
        else:
            self._waiting.popleft()(answer)

    def _fail(self, error: Exception) -> None:
        connection, self._connection = self._connection, None
        if self._next_look is not None:
            self._next_look.cancel()
        if connection is not None:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.remove_reader(self._socket)
                self._loop.remove_writer(self._socket)
            connection.pgconn.finish()
        waiting, self._waiting, self._found = self._waiting, deque(), []
        for answer in waiting:
            answer(error)


def _numbered(statement: str) -> str:
    """Return a driver's statement as PostgreSQL prepares it."""
    numbers = count(1)
    return re.sub("%s", lambda _: f"${next(numbers)}", statement)


def _rows(result: pq.abc.PGresult, connection: AsyncConnection[Any]) -> Rows | Exception:
    if result.status not in _GOOD:
        return errors.error_from_result(result)
    loader = Transformer(connection)
    loader.set_pgresult(result)
    return loader.load_rows(0, result.ntuples, tuple)
