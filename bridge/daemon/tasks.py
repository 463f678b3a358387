"""What happens by itself: polls, sweeps, watches, expiries, and the numbers on the wall."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import structlog
from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from bridge import metrics
from bridge.config import Storefront
from bridge.daemon import gauges, pruning
from bridge.daemon.attempts import Attempts
from bridge.daemon.ingester import Ingester
from bridge.daemon.workers import Worker
from bridge.domain.clock import DAY, SECOND
from bridge.domain.drift import Comparison
from bridge.domain.errors import UnavailableError
from bridge.sync import freshness, holds, reconcile
from bridge.sync.ingest import ingest
from bridge.sync.poll import poll
from bridge.sync.watch import watch
from bridge.wiring import Wiring

log = structlog.get_logger()

EXPIRE_INTERVAL_S = 5
GAUGES_INTERVAL_S = 10
WATCH_INTERVAL_S = 1
DEPOSIT_EXPIRE_INTERVAL_S = 30
PRUNE_INTERVAL_S = DAY // SECOND
RENEW_INTERVAL_S = 5
FRESHNESS_INTERVAL_S = 60
ABANDON_INTERVAL_S = 60

PUBLISH_IDLE_S = 0.5
"""Seconds after which an empty outbox is looked at again."""

PUBLISH_PAUSE_S = 0.01
"""Seconds between two batches, in which others write: on SQLite there is one writer at a time."""

SEND_IDLE_S = 1.0
"""Seconds after which a worker that found nothing to send looks again."""

RECONCILIATIONS_MAX = 8
"""On-demand reconciliations that may run or wait at once."""

# What may wait for a storefront for long has a thread each, so that the rest never waits for it.
_THREADS_PER_STOREFRONT = 3
_THREADS_BESIDE = RECONCILIATIONS_MAX + 8


class Tasks:
    """The scheduler and its tasks. Start it once, stop it once."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._stopping = threading.Event()
        self._context = wiring.context._replace(stopping=self._stopping.is_set)
        self._sources = [wiring.source(one.name) for one in wiring.config.storefronts]
        self._reconciling: set[str] = set()
        self._scheduler = _scheduler(len(wiring.config.storefronts))
        self._ingesters = {one.name: self._ingester(one) for one in wiring.config.storefronts}
        self._workers = list(_workers(wiring))
        self.summary = "starting"
        self._every(
            EXPIRE_INTERVAL_S, "expire", partial(holds.expire, self._context, wiring.batcher)
        )
        self._every(GAUGES_INTERVAL_S, "gauges", self._measure)
        self._every(
            PRUNE_INTERVAL_S, "prune", partial(pruning.prune, wiring, self._stopping.is_set)
        )
        self._every(RENEW_INTERVAL_S, "renew", partial(wiring.renewals.run, self._stopping.is_set))
        intervals_s = {one.name: one.poll_interval_s for one in wiring.config.storefronts}
        self._every(
            FRESHNESS_INTERVAL_S, "freshness", partial(freshness.look, self._context, intervals_s)
        )
        self._every(
            ABANDON_INTERVAL_S, "abandon", partial(reconcile.abandon, self._context, self._sources)
        )
        if wiring.deposits is not None:
            self._every(DEPOSIT_EXPIRE_INTERVAL_S, "expire_deposits", wiring.deposits.expire)
        for storefront in wiring.config.storefronts:
            self._follow(storefront)

    def start(self) -> None:
        """Begin; every task runs at once for the first time."""
        reconcile.abandon(self._context, self._sources, age_s=0)
        self._scheduler.start()
        for one in self._threads():
            one.start()

    def stop(self, timeout_s: float) -> bool:
        """Begin nothing more, and let runs end between two pages; False where one still goes on."""
        deadline = time.monotonic() + timeout_s
        self._stopping.set()
        for one in self._threads():
            one.stop()
        closing = threading.Thread(target=self._scheduler.shutdown, daemon=True)
        closing.start()
        closing.join(timeout_s)
        ended = [one.join(max(0.0, deadline - time.monotonic())) for one in self._threads()]
        return all(ended) and not closing.is_alive()

    def _threads(self) -> list[Ingester | Worker]:
        return [*self._ingesters.values(), *self._workers]

    def nudge(self, storefront: str) -> None:
        """Tell that a hint arrived for a storefront; returns at once."""
        self._ingesters[storefront].nudge()

    def reconcile(self, comparison: Comparison) -> str:
        """Begin a reconciliation in the background, and return its run's id.

        Raises UnavailableError where RECONCILIATIONS_MAX of them go on.
        """
        if len(self._reconciling) >= RECONCILIATIONS_MAX:
            raise UnavailableError(
                f"{RECONCILIATIONS_MAX} reconciliations go on; try again when one has ended"
            )
        run_id = reconcile.start(self._context, comparison)
        self._reconciling.add(run_id)
        task = f"reconcile:{comparison.storefront}"
        self._scheduler.add_job(self._reconcile, args=(comparison, run_id), id=f"{task}:{run_id}")
        return run_id

    def _every(
        self, interval_s: int, task: str, run: Callable[[], object], storefront: str = ""
    ) -> None:
        self._scheduler.add_job(
            Attempts(task, storefront).attempt,
            "interval",
            seconds=interval_s,
            args=(run,),
            id=f"{task}:{storefront}",
            next_run_time=datetime.now(UTC),
        )

    def _follow(self, storefront: Storefront) -> None:
        name = storefront.name
        source = self._wiring.source(name)
        polled = partial(poll, self._context, source)
        swept = partial(reconcile.sweep, self._context, source)
        self._every(storefront.poll_interval_s, "poll", polled, name)
        self._every(storefront.sweep_interval_s, "sweep", swept, name)
        if storefront.deposits.currencies:
            self._every(WATCH_INTERVAL_S, "watch", partial(watch, self._context, source), name)

    def _ingester(self, storefront: Storefront) -> Ingester:
        ingested = partial(ingest, self._context, self._wiring.source(storefront.name))
        attempts = Attempts("ingest", storefront.name)
        return Ingester(storefront.name, partial(attempts.attempt, ingested))

    def _reconcile(self, comparison: Comparison, run_id: str) -> None:
        source = self._wiring.source(comparison.storefront)
        attempts = Attempts("reconcile", comparison.storefront)
        try:
            attempts.attempt(
                partial(reconcile.reconcile, self._context, source, comparison, run_id=run_id)
            )
        finally:
            self._reconciling.discard(run_id)

    def _measure(self) -> None:
        """Set the gauges, and the line that the service manager shows."""
        endpoints = [one.endpoint for one in self._wiring.subscribers]
        with self._context.database.read() as tx:
            now = self._context.clock()
            self.summary = gauges.measure(tx, list(self._ingesters), endpoints, now)


def _workers(wiring: Wiring) -> Iterator[Worker]:
    yield Worker("publish", wiring.publisher().publish, PUBLISH_IDLE_S, PUBLISH_PAUSE_S)
    for endpoint, sender, threads in wiring.senders():
        for number in range(threads):
            yield Worker(f"send:{endpoint}:{number}", sender.work, SEND_IDLE_S)


def _scheduler(storefronts: int) -> Any:
    threads = _THREADS_BESIDE + _THREADS_PER_STOREFRONT * storefronts
    scheduler = BackgroundScheduler(
        timezone="UTC",
        executors={"default": ThreadPoolExecutor(threads)},
        job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
    )
    scheduler.add_listener(_count_error, EVENT_JOB_ERROR)
    scheduler.add_listener(_count_miss, EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)
    # It warns of every poll that comes while the last one goes on, which during a first import is
    # each one. The metric says it once.
    logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)
    return scheduler


def _count_error(event: Any) -> None:
    """Count a task's unexpected error; the scheduler has logged it with its traceback."""
    metrics.scheduler_errors_total.labels(_task(event)).inc()


def _count_miss(event: Any) -> None:
    metrics.scheduler_misses_total.labels(_task(event)).inc()
    log.debug("task skipped, the last one goes on", task=_task(event))


def _task(event: Any) -> str:
    """Return the task's kind and storefront, without the id of a single run."""
    kind, storefront = (*event.job_id.split(":"), "")[:2]
    return f"{kind}:{storefront}" if storefront else str(kind)
