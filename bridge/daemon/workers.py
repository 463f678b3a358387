"""What goes on all the time beside the scheduler: a thread that works while there is work."""

import threading
from collections.abc import Callable

import structlog

from bridge.daemon.attempts import Attempts

log = structlog.get_logger()

BROKEN_REST_S = 10.0
"""Seconds to rest after what nobody foresaw: it is told each time."""


class Worker:
    """Calls `work`, which says how much it did, again and again; after nothing it rests `idle_s`.

    Between two rounds that did something it rests `pause_s`. Not the scheduler's: a receiver that
    hangs must not take a thread that polls need.
    """

    def __init__(
        self, name: str, work: Callable[[], int], idle_s: float, pause_s: float = 0
    ) -> None:
        self._name = name
        self._work = work
        self._idle_s = idle_s
        self._pause_s = pause_s
        self._attempts = Attempts(name)
        self._stopping = threading.Event()
        # A daemon thread: what it waits for must not keep the process alive.
        self._thread = threading.Thread(target=self._go_on, name=name, daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing more; returns at once."""
        self._stopping.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the round that goes on; False where it still does then."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _go_on(self) -> None:
        while not self._stopping.is_set():
            self._stopping.wait(self._round())

    def _round(self) -> float:
        """Work once, and return for how long to rest."""
        done = 0

        def work() -> None:
            nonlocal done
            done = self._work()

        try:
            self._attempts.attempt(work)
        except Exception:  # whatever it was, the next round deserves another try
            log.exception("work failed", task=self._name)
            return BROKEN_REST_S
        return self._pause_s if done else self._idle_s
