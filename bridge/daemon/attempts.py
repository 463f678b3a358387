"""Trying a task again and again: measured each time, told only when it begins or ends to fail."""

import time
from collections.abc import Callable

import structlog

from bridge import metrics
from bridge.domain.errors import BridgeError, LeaseHeldError, StoppingError

log = structlog.get_logger()


class Attempts:
    """The tries of one task; with a storefront, each is a run that the metrics count."""

    def __init__(self, task: str, storefront: str = "") -> None:
        self._task = task
        self._storefront = storefront
        self._failing = False

    def attempt(self, run: Callable[[], object]) -> None:
        """Run; what bridge can explain is told here, other errors are raised."""
        started = time.perf_counter()
        outcome = "failed"
        try:
            run()
        except LeaseHeldError:
            outcome = "elsewhere"
            log.debug("run is another process's", task=self._task, storefront=self._storefront)
        except StoppingError:
            outcome = "abandoned"
        except BridgeError as error:
            self._begin(error)
        else:
            outcome = "done"
            self._end()
        finally:
            self._measure(outcome, time.perf_counter() - started)

    def _measure(self, outcome: str, seconds: float) -> None:
        if self._storefront:
            metrics.runs_total.labels(self._storefront, self._task, outcome).inc()
            metrics.run_seconds.labels(self._task).observe(seconds)

    def _begin(self, error: BridgeError) -> None:
        if not self._failing:
            self._failing = True
            log.warning("failing", task=self._task, storefront=self._storefront, why=str(error))

    def _end(self) -> None:
        if self._failing:
            self._failing = False
            log.info("works again", task=self._task, storefront=self._storefront)
