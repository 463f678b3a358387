"""Following hints promptly: a thread per storefront that sleeps until a webhook nudges it."""

import threading
from collections.abc import Callable

import structlog

log = structlog.get_logger()

INGEST_INTERVAL_S = 5
"""Seconds after which due hints are looked for without a nudge: those that come back later."""

DEBOUNCE_S = 0.35
"""Seconds between a nudge and the ingest: a little more than hints wait for their like."""


class Ingester:
    """Calls `ingest` soon after a nudge, and every INGEST_INTERVAL_S."""

    def __init__(self, storefront: str, ingest: Callable[[], None]) -> None:
        self._ingest = ingest
        self._nudged = threading.Event()
        self._stopping = threading.Event()
        # A daemon thread: one that waits for a slow storefront must not keep the process alive.
        self._thread = threading.Thread(target=self._work, name=f"ingest:{storefront}", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def nudge(self) -> None:
        """Tell that a hint arrived; returns at once."""
        self._nudged.set()

    def stop(self) -> None:
        """Begin nothing more; returns at once."""
        self._stopping.set()
        self._nudged.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the ingest that goes on; False where it still does then."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                self._ingest()
            except Exception:  # whatever it was, the next hints deserve another try
                log.exception("ingest failed")
            if self._nudged.wait(INGEST_INTERVAL_S):
                # First, so that a hint that arrives during the wait is followed after it.
                self._nudged.clear()
                self._stopping.wait(DEBOUNCE_S)
