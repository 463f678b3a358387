"""SQLite written from an event loop, one piece of work at a time; a thread does the waiting.

To write is computing, which the event loop does itself. To commit is to wait for the disk; and
where somebody else writes, that is to be waited for.
"""

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue

from bridge.store.pen import Pen

Work = Callable[[Pen], None]
Answer = Callable[[Exception | None], None]


class Scribe:
    """Does pieces of work with a pen, each in a database transaction of its own."""

    def __init__(self, pen: Pen) -> None:
        self._pen = pen
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: deque[tuple[Work, Answer]] = deque()
        self._busy = False
        self._left: SimpleQueue[tuple[Callable[[], None], Answer] | None] = SimpleQueue()

    def open(self) -> None:
        """Begin to work in this event loop, unless that was done."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            args = (self._loop,)
            threading.Thread(target=self._wait, args=args, name="scribe", daemon=True).start()

    def ask(self, work: Work, answer: Answer) -> None:
        """Do work behind all that was asked before, and answer in the loop once it is committed.

        With None, or with what went wrong: then nothing was written, and the answer may come
        before those to earlier work.
        """
        self._waiting.append((work, answer))
        self._write()

    def close(self) -> None:
        """Do nothing more."""
        self._left.put(None)

    def _write(self) -> None:
        while self._waiting and not self._busy:
            work, answer = self._waiting.popleft()
            left = self._pen.commit
            try:
                self._pen.begin()
                work(self._pen)
            except sqlite3.OperationalError:  # mostly since somebody else writes
                self._pen.give_up()
                left = partial(self._do_patiently, work)
            except Exception as error:  # noqa: BLE001 - whatever it is, who asked is told
                self._pen.give_up()
                answer(error)
                continue
            self._busy = True
            self._left.put((left, answer))

    def _do_patiently(self, work: Work) -> None:
        self._pen.begin(patiently=True)
        work(self._pen)
        self._pen.commit()

    def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        while (rest := self._left.get()) is not None:
            left, answer = rest
            failed = None
            try:
                left()
            except Exception as error:  # noqa: BLE001 - as above
                self._pen.give_up()
                failed = error
            loop.call_soon_threadsafe(self._done, answer, failed)
        self._pen.close()

    def _done(self, answer: Answer, error: Exception | None) -> None:
        """Let the disk work on what is next while the last is answered."""
        self._busy = False
        self._write()
        answer(error)
