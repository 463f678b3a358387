"""SQLite written from an event loop: rows in a row, each answer handed to a function.

It is to SQLite what `pipe` is to PostgreSQL. A thread does the waiting, for the disk and for other
writers; the driver lets the interpreter go while it executes a statement.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any

from bridge.store.pen import Pen

Answer = Callable[[Exception | None], None]


class Scribe:
    """A pen that writes by one statement, in a thread."""

    def __init__(self, pen: Pen, statement: str) -> None:
        self._pen = pen
        self._statement = statement
        self._open = False
        self._asked: SimpleQueue[tuple[Sequence[Any], Answer] | None] = SimpleQueue()

    def open(self) -> None:
        """Begin to work for this event loop, unless that was done."""
        if not self._open:
            self._open = True
            args = (asyncio.get_running_loop(),)
            threading.Thread(target=self._work, args=args, name="scribe", daemon=True).start()

    def ask(self, parameters: Sequence[Any], answer: Answer) -> None:
        """Execute the statement behind all that was asked before, and answer in the loop.

        With None once it is committed, or with what went wrong: then nothing was written.
        """
        self._asked.put((parameters, answer))

    def close(self) -> None:
        """Do nothing more."""
        self._asked.put(None)

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        while (asked := self._asked.get()) is not None:
            parameters, answer = asked
            failed = None
            try:
                self._pen.write(self._statement, parameters)
            except Exception as error:  # noqa: BLE001 - whatever it is, who asked is told
                failed = error
            loop.call_soon_threadsafe(answer, failed)
        self._pen.close()
