"""Turns: one thread of this process writes at a time, in the order in which they came.

SQLite has one writer. Who finds another one there sleeps for longer and longer between two looks
(sqlite3_busy_timeout), and whoever comes meanwhile passes by. Other processes are still waited for
that way; but who waits for another thread is woken.
"""

import threading
from collections import deque


class Turns:
    """A lock that is handed on: who waits longest has it next."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Lock] = deque()

    def take(self, timeout_s: float) -> bool:
        """Wait for a turn; False where it did not come in time."""
        with self._lock:
            if not self._taken:
                self._taken = True
                return True
            if timeout_s <= 0:
                return False
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        if mine.acquire(timeout=timeout_s):
            return True
        with self._lock:
            if mine not in self._waiting:  # it came just now
                return True
            self._waiting.remove(mine)
            return False

    def end(self) -> None:
        """End the turn that was taken, in any thread."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False
