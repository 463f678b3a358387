"""Requests share database transactions: one writer posts whatever waits in one commit.

There is no timer: a lone caller is served at once, and a crowd is batched by the time the last
commit took.
"""

import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import NamedTuple

import structlog

from bridge import metrics
from bridge.domain.clock import Clock
from bridge.domain.entry import Draft, Outcome
from bridge.domain.errors import BacklogFullError, StoppingError, UnavailableError
from bridge.store import ledger
from bridge.store.database import Database

log = structlog.get_logger()

BATCH_SIZE_MAX = 500
"""A batch with this many drafts takes no further call."""

BACKLOG_MAX = 10_000
"""Calls that may wait."""


class _Call(NamedTuple):
    """Drafts that stand or fall together, and who waits for their outcomes."""

    drafts: Sequence[Draft]
    answer: Future[list[Outcome]]


class Batcher:
    """The one thread that posts what the API asks for: start it, submit to it, stop it."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._door = threading.Lock()
        self._open = False
        self._thread = threading.Thread(target=self._work, name="batcher")

    def start(self) -> None:
        """Begin to work."""
        self._open = True
        self._thread.start()

    def stop(self) -> None:
        """Take nothing more, post what waits, and return when it is committed."""
        with self._door:
            self._open = False
            self._calls.put(None)
        self._thread.join()

    @property
    def alive(self) -> bool:
        """Tell whether the writer works."""
        return self._thread.is_alive()

    @property
    def backlog(self) -> int:
        """How many calls wait."""
        return self._calls.qsize()

    def submit(self, drafts: Sequence[Draft]) -> Future[list[Outcome]]:
        """Hand in drafts to be posted in order in one commit; the future has one outcome each.

        Raises BacklogFullError at once where too many wait, StoppingError after `stop`. The
        future raises UnavailableError where the database is away.
        """
        if self._calls.qsize() >= BACKLOG_MAX:
            raise BacklogFullError(
                "too many requests wait; retry later with the same Idempotency-Key"
            )
        call = _Call(drafts, Future())
        # The lock keeps a call from slipping in behind the last one that `stop` waits for.
        with self._door:
            if not self._open:
                raise StoppingError("bridge is stopping; retry with the same Idempotency-Key")
            self._calls.put(call)
        return call.answer

    def _work(self) -> None:
        last = False
        while not last:
            batch, last = self._take()
            if batch:
                metrics.backlog.set(self._calls.qsize())
                self._post(batch)

    def _take(self) -> tuple[list[_Call], bool]:
        """Wait for a call, then take what else is there; True with the last batch."""
        batch: list[_Call] = []
        call = self._calls.get()
        drafts = 0
        while call is not None:
            # A call whose caller has gone is left out; from here on the caller cannot cancel it.
            if call.answer.set_running_or_notify_cancel():
                batch.append(call)
                drafts += len(call.drafts)
            if drafts >= BATCH_SIZE_MAX:
                return batch, False
            try:
                call = self._calls.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _post(self, batch: Sequence[_Call]) -> None:
        try:
            outcomes = iter(self._commit([draft for call in batch for draft in call.drafts]))
        except UnavailableError as error:
            for call in batch:
                call.answer.set_exception(error)
        except Exception as error:  # noqa: BLE001 - one bad draft must not spoil its neighbours
            self._post_apart(batch, error)
        else:
            for call in batch:
                call.answer.set_result([next(outcomes) for _ in call.drafts])

    def _post_apart(self, batch: Sequence[_Call], error: Exception) -> None:
        log.warning(
            "batch failed, posting its calls one by one", calls=len(batch), error=str(error)
        )
        for call in batch:
            try:
                call.answer.set_result(self._commit(call.drafts))
            except Exception as single:
                log.exception("call failed", drafts=len(call.drafts))
                call.answer.set_exception(single)

    def _commit(self, drafts: Sequence[Draft]) -> list[Outcome]:
        started = time.perf_counter()
        with self._database.write() as tx:
            outcomes = ledger.post(tx, drafts, self._clock())
        metrics.batch_size.observe(len(drafts))
        metrics.batch_seconds.observe(time.perf_counter() - started)
        for draft, outcome in zip(drafts, outcomes, strict=True):
            metrics.drafts_total.labels(draft.kind.value, outcome.status).inc()
        return outcomes
