"""Stalls of the whole machine, as virtual ones have them: nobody's figures."""

import contextlib
import threading
import time
from collections.abc import Iterator

from bench.figures import Figures

STALLS = "stalls s"
STALL_MIN_S = 0.5
"""How much later than asked for a sleeper must wake to be told of; busy cores delay it less."""

_SLEEP_S = 0.1


@contextlib.contextmanager
def watched(figures: Figures) -> Iterator[None]:
    """Remember, while the block lasts, how long the machine stood still, each time it did."""
    ended = threading.Event()

    def watch() -> None:
        before = time.monotonic()
        while not ended.wait(_SLEEP_S):
            now = time.monotonic()
            if (late := now - before - _SLEEP_S) > STALL_MIN_S:
                figures.add(STALLS, late)
            before = now

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
