"""Requests share database transactions: of what waits, half is posted in one commit.

There is no timer: a lone caller is served at once, and a crowd is batched by the time the last
commit took, in two halves that take turns: behind one that is being written, the other is taken
and decided once it has come. Both happen in the event loop that serves the requests, and so does
the answering; only waiting is done elsewhere. Python runs one thread at a time, and two that both
want to run cost it more than the work (docs/decisions/0016).
"""

import asyncio
import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import islice
from typing import NamedTuple, TypeVar

import structlog
from prometheus_client import Counter

from bridge import metrics
from bridge.domain.clock import Clock, Instant
from bridge.domain.entry import Draft, Kind, Outcome
from bridge.domain.errors import BacklogFullError, StoppingError, UnavailableError
from bridge.domain.wallet import WalletId
from bridge.store import ledger, renewals
from bridge.store.database import Database
from bridge.store.memory import Memory
from bridge.store.plan import Plan

log = structlog.get_logger()

BATCH_SIZE_MAX = 500
"""A batch with this many drafts takes no further call."""

BACKLOG_MAX = 10_000
"""Calls that may wait."""

T = TypeVar("T")
Result = list[Outcome] | Exception
"""One outcome per draft of a call, or why there are none."""


class _Call(NamedTuple):
    """Drafts to be posted in order, and who waits for their outcomes."""

    drafts: Sequence[Draft]
    answer: Callable[[Result], None]


@dataclass(eq=False)
class _Batch:
    """Calls that share a commit, and what becomes of them.

    It is `decided` while all of it is expected to be written as memory has it, and `asked` once
    that was tried in the event loop. If something is `left`, the thread is still to post it, the
    usual way, by which `late` came.
    """

    calls: Sequence[_Call]
    drafts: Sequence[Draft]
    now: Instant
    plan: Plan = field(default_factory=Plan)
    started: float = field(default_factory=time.perf_counter)
    decided: bool = False
    moved: set[WalletId] = field(default_factory=set)
    asked: bool = False
    left: bool = False
    late: list[Outcome] = field(default_factory=list)
    results: Sequence[Result] = ()


class Batcher:
    """Posts what the API asks for: start it, hand in drafts, stop it."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._memory = Memory(database)
        self._calls: deque[_Call] = deque()
        self._lock = threading.Lock()
        self._open = False
        self._under_way: list[_Batch] = []  # one, or two
        self._about = 0  # calls that were under way, or waited, when the last batch was finished
        self._batches: queue.SimpleQueue[_Batch | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="batcher")
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Begin to work, in the event loop that serves the requests; without it, in the thread."""
        self._loop = loop
        self._open = True
        metrics.backlog.set_function(lambda: self.backlog)
        self._thread.start()
        if loop is not None:
            loop.call_soon_threadsafe(self._memory.can_ask)

    def stop(self) -> None:
        """Take nothing more, post what waits, and return when it is committed and answered.

        Not to be called in the event loop, which has to go on meanwhile.
        """
        with self._lock:
            self._open = False
            self._end_if_done()
        self._thread.join()

    @property
    def alive(self) -> bool:
        """Tell whether the writer works."""
        return self._thread.is_alive()

    @property
    def backlog(self) -> int:
        """How many calls wait."""
        return len(self._calls)

    def hand_in(self, drafts: Sequence[Draft], answer: Callable[[Result], None]) -> None:
        """Hand in drafts to be posted in order with whatever else waits; returns at once.

        Raises BacklogFullError where too many wait, StoppingError after `stop`. The result is
        UnavailableError where the database is away.
        """
        with self._lock:
            if len(self._calls) >= BACKLOG_MAX:
                raise BacklogFullError(
                    "too many requests wait; retry later with the same Idempotency-Key"
                )
            if not self._open:
                raise StoppingError("bridge is stopping; retry with the same Idempotency-Key")
            self._calls.append(_Call(drafts, answer))
            due = self._due()
        if due:
            self._begin_soon()

    def submit(self, drafts: Sequence[Draft]) -> Future[list[Outcome]]:
        """Hand in drafts, for threads that can wait: the future has, or raises, the result."""
        future: Future[list[Outcome]] = Future()

        def answer(result: Result) -> None:
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

        self.hand_in(drafts, answer)
        return future

    def _begin_soon(self) -> None:
        # To wake an event loop from within takes the kernel longer than a debit takes us.
        with contextlib.suppress(RuntimeError):
            if asyncio.get_running_loop() is self._loop:
                self._loop.call_soon(self._begin)
                return
        self._run_soon(self._begin)

    def _run_soon(self, function: Callable[[], None]) -> None:
        if self._loop is None:
            function()
        else:
            self._loop.call_soon_threadsafe(function)

    def _begin(self) -> None:
        """Take what is due, decide what memory can, and begin to write."""
        batch = self._take()
        if batch is None:
            return
        if self._loop is not None and self._memory.can_ask():
            self._memory.ask_recall(batch.drafts, partial(self._ask_write, batch))
            return
        batch.plan = self._memory.plan(batch.drafts, batch.now)
        self._batches.put(batch)

    def _take(self) -> _Batch | None:
        """Take half of the calls that are about, so that two halves take turns.

        One is written while the other is answered, and comes back, and is read and decided.
        """
        with self._lock:
            if not self._due():
                return None
            calls: list[_Call] = []
            drafts: list[Draft] = []
            half = self._half()
            while self._calls and len(drafts) < BATCH_SIZE_MAX and len(calls) < half:
                call = self._calls.popleft()
                calls.append(call)
                drafts += call.drafts
            batch = _Batch(calls, drafts, self._clock())
            self._under_way.append(batch)
        return batch

    def _due(self) -> bool:
        """Tell whether to begin: with all that waits, or with a half behind one that is decided.

        What is not decided is not overtaken, so that a tenant's calls are posted as they came.
        """
        if not self._under_way:
            return bool(self._calls)
        [first, *others] = self._under_way
        return first.decided and not others and len(self._calls) >= self._half()

    def _half(self) -> int:
        return (max(self._about, self._present()) + 1) // 2

    def _present(self) -> int:
        return sum([len(batch.calls) for batch in self._under_way]) + len(self._calls)

    def _end_if_done(self) -> None:
        if not (self._open or self._calls or self._under_way):
            self._batches.put(None)

    def _ask_write(self, batch: _Batch) -> None:
        batch.plan = self._memory.plan(batch.drafts, batch.now)
        batch.decided = None not in batch.plan.outcomes
        self._memory.ask_write(batch.plan, partial(self._asked, batch))
        if self._calls:
            self._begin()

    def _asked(self, batch: _Batch, moved: set[WalletId]) -> None:
        """Go on without a thread, unless something is left for the usual way."""
        batch.moved, batch.asked = moved, True
        outcomes = list(filter(None, batch.plan.outcomes_if(moved)))
        batch.decided = len(outcomes) == len(batch.drafts)
        if batch.decided:
            batch.results = _apportioned(outcomes, batch.calls)
            self._finish(batch)
        else:
            batch.left = True
            self._hand_over()

    def _hand_over(self) -> None:
        """Let the thread post what is left of a batch, but not before what came before it."""
        if self._under_way and (first := self._under_way[0]).left:
            first.left = False
            self._batches.put(first)

    def _work(self) -> None:
        while (batch := self._batches.get()) is not None:
            if not batch.asked:
                batch.moved = self._memory.write(batch.plan)
            batch.results = self._results(batch)
            self._run_soon(partial(self._finish, batch))
        self._run_soon(self._memory.hang_up)

    def _finish(self, batch: _Batch) -> None:
        """Remember, go on with what waits, and answer while that is written."""
        self._memory.forget(batch.plan, batch.moved)
        self._memory.learn(batch.late)
        with self._lock:
            self._about = self._present()
            self._under_way.remove(batch)
            self._end_if_done()
        self._hand_over()
        if self._calls:
            self._begin()
        for call, result in zip(batch.calls, batch.results, strict=True):
            try:
                call.answer(result)
            except Exception:
                log.exception("nobody took the answer", drafts=len(call.drafts))
        _measure(batch)

    def _results(self, batch: _Batch) -> list[Result]:
        """Put together what memory could tell, and the rest, posted the usual way."""
        parts = _apportioned(batch.plan.outcomes_if(batch.moved), batch.calls)
        rest = [
            [draft for draft, known in zip(call.drafts, part, strict=True) if known is None]
            for call, part in zip(batch.calls, parts, strict=True)
        ]
        late = self._post(rest, batch) if any(rest) else [[] for _ in rest]
        return [_whole(part, result) for part, result in zip(parts, late, strict=True)]

    def _post(self, asked: Sequence[Sequence[Draft]], batch: _Batch) -> list[Result]:
        """Post the drafts of all calls together, or, where that fails, call by call."""
        try:
            outcomes = iter(self._commit([draft for drafts in asked for draft in drafts], batch))
        except UnavailableError as error:
            return [error if drafts else [] for drafts in asked]
        except Exception as error:  # noqa: BLE001 - one bad draft must not spoil its neighbours
            log.warning("batch failed, posting call by call", calls=len(asked), error=str(error))
            return [self._post_apart(drafts, batch) for drafts in asked]
        return [[next(outcomes) for _ in drafts] for drafts in asked]

    def _post_apart(self, drafts: Sequence[Draft], batch: _Batch) -> Result:
        try:
            return self._commit(drafts, batch) if drafts else []
        except Exception as error:
            log.exception("call failed", drafts=len(drafts))
            return error

    def _commit(self, drafts: Sequence[Draft], batch: _Batch) -> list[Outcome]:
        with self._database.write() as tx:
            outcomes = ledger.post(tx, drafts, batch.now)
            settled = renewals.settle(tx, outcomes, batch.now)
        batch.late += outcomes + settled
        return outcomes


def _apportioned(outcomes: Iterable[T], calls: Iterable[_Call]) -> list[list[T]]:
    rest = iter(outcomes)
    return [list(islice(rest, len(call.drafts))) for call in calls]


def _whole(part: Sequence[Outcome | None], late: Result) -> Result:
    if isinstance(late, Exception):
        return late
    rest = iter(late)
    return [outcome or next(rest) for outcome in part]


def _measure(batch: _Batch) -> None:
    metrics.batch_size.observe(len(batch.drafts))
    metrics.batch_seconds.observe(time.perf_counter() - batch.started)
    seen: dict[tuple[Kind, str], int] = {}
    for call, result in zip(batch.calls, batch.results, strict=True):
        if isinstance(result, list):
            for draft, outcome in zip(call.drafts, result, strict=True):
                what = draft.kind, outcome.status
                seen[what] = seen.get(what, 0) + 1
    for what, number in seen.items():
        _meter(*what).inc(number)


@cache
def _meter(kind: Kind, status: str) -> Counter:
    return metrics.drafts_total.labels(kind.value, status)
