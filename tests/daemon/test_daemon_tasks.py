"""What happens by itself, piece by piece."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from bridge.config import load
from bridge.daemon import pruning
from bridge.daemon.attempts import Attempts
from bridge.daemon.ingester import INGEST_INTERVAL_S, Ingester
from bridge.daemon.tasks import RECONCILIATIONS_MAX, Tasks
from bridge.domain.clock import DAY, utc_now
from bridge.domain.deposit import Asked
from bridge.domain.drift import Comparison
from bridge.domain.errors import LeaseHeldError, UnavailableError
from bridge.domain.event import EventType, Happened
from bridge.sandbox import Request, Sandbox
from bridge.store import attempts, deposits, events, lanes, portal, runs
from bridge.store.attempts import Attempt
from bridge.store.outbox import Told
from bridge.store.portal import Session
from bridge.wiring import Wiring
from tests.installation import installed

ENDPOINT = """
[events]
kept_days = 7
[[events.endpoints]]
name = "core"
url = "https://core.example.com/events"
secret_file = "core_secret"
"""


class Counter:
    """Counts its calls and fails those it is told to."""

    def __init__(self, *failing: int) -> None:
        self.calls = 0
        self._failing = failing
        self._called = threading.Condition()

    def __call__(self) -> None:
        with self._called:
            self.calls += 1
            self._called.notify_all()
        if self.calls in self._failing:
            raise UnavailableError("the storefront is away")

    def wait_for(self, calls: int, timeout_s: float) -> bool:
        with self._called:
            return self._called.wait_for(lambda: self.calls >= calls, timeout_s)


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
def ingester(counter: Counter) -> Iterator[Ingester]:
    ingester = Ingester("main", counter)
    ingester.start()
    yield ingester
    ingester.stop()
    assert ingester.join(INGEST_INTERVAL_S)


def test_a_nudge_is_followed_long_before_the_next_regular_look(
    ingester: Ingester, counter: Counter
) -> None:
    assert counter.wait_for(1, 1)
    ingester.nudge()
    assert counter.wait_for(2, INGEST_INTERVAL_S / 2)


def test_an_ingest_that_fails_unforeseen_is_not_the_last_one() -> None:
    def fail() -> None:
        counter()
        raise KeyError("unforeseen")

    counter = Counter()
    ingester = Ingester("main", fail)
    with capture_logs() as logs:
        ingester.start()
        assert counter.wait_for(1, 1)
        ingester.nudge()
        assert counter.wait_for(2, INGEST_INTERVAL_S / 2)
        ingester.stop()
        assert ingester.join(INGEST_INTERVAL_S)
    assert {line["event"] for line in logs} == {"ingest failed"}


def test_failing_is_told_when_it_begins_and_when_it_ends_and_not_between() -> None:
    flaky = Counter(2, 3, 4)
    attempts = Attempts("poll", "main")
    with capture_logs() as logs:
        for _ in range(6):
            attempts.attempt(flaky)
    assert [(line["event"], line.get("why")) for line in logs] == [
        ("failing", "the storefront is away"),
        ("works again", None),
    ]


def test_a_run_that_another_replica_does_is_no_failure() -> None:
    def elsewhere() -> None:
        raise LeaseHeldError("held")

    with capture_logs() as logs:
        Attempts("poll", "main").attempt(elsewhere)
    assert [line["log_level"] for line in logs] == ["debug"]


def test_only_so_many_reconciliations_wait_at_once(tmp_path: Path, migrated_sqlite: Path) -> None:
    shutil.copy(migrated_sqlite, tmp_path / "bridge.db")
    with Sandbox() as sandbox:
        installation = installed(tmp_path, sandbox)
    with closing(installation.wiring()) as wiring:
        tasks = Tasks(wiring)
        for _ in range(RECONCILIATIONS_MAX):
            assert tasks.reconcile(Comparison("main", 0, 1)).startswith("run_")
        with pytest.raises(UnavailableError, match="try again when one has ended"):
            tasks.reconcile(Comparison("main", 0, 1))


def test_stopping_ends_runs_between_two_pages_and_says_so(
    tmp_path: Path, migrated_sqlite: Path
) -> None:
    shutil.copy(migrated_sqlite, tmp_path / "bridge.db")
    with Sandbox() as sandbox, ThreadPoolExecutor(1) as pool:
        installation = installed(tmp_path, sandbox)
        installation.edit("[[storefronts]]", "[[storefronts]]\npage_size_max = 1")
        for _ in range(200):
            sandbox.place_order("1.00")
        with closing(installation.wiring()) as wiring:
            tasks = Tasks(wiring)
            stopped: SimpleQueue[Future[bool]] = SimpleQueue()

            def stop_at_the_first_request(_request: Request) -> None:
                sandbox.on_request = lambda _request: None
                stopped.put(pool.submit(tasks.stop, 20))

            sandbox.on_request = stop_at_the_first_request
            with capture_logs() as logs:
                tasks.start()
                assert stopped.get(timeout=10).result()
            with wiring.database.read() as tx:
                sweeps = [run for run in runs.recent(tx, 10) if run.kind == "sweep"]
    assert {run.failure for run in sweeps} <= {"reconcile:main was abandoned: bridge is stopping"}
    assert 0 < len(sandbox.requests) < 100
    assert not [line for line in logs if line["log_level"] != "debug"]


def test_deposits_and_visits_end_in_time(tmp_path: Path, migrated_sqlite: Path) -> None:
    """A deposit that nobody paid takes its order with it; an old link is forgotten."""
    shutil.copy(migrated_sqlite, tmp_path / "bridge.db")
    with Sandbox() as sandbox:
        installation = installed(tmp_path, sandbox, portal="127.0.0.1:8852")
        with closing(installation.wiring()) as wiring:
            assert wiring.deposits is not None
            asked = Asked("acme", "api:core", "one", amount=1000, currency="EUR")
            deposit, _ = wiring.deposits.open(asked, create_tenant=True)
            now = wiring.clock()
            visit = Session("acme", "ses1", "", "", "", now, now, now)
            with wiring.database.write() as tx:
                portal.add(tx, visit)
        later = Wiring(load(installation.config), clock=lambda: utc_now() + 2 * DAY)
        with closing(later) as wiring:
            tasks = Tasks(wiring)
            tasks.start()
            # The watch may see the cancelled order before the deposit is closed as expired.
            wait_until(lambda: fares(wiring, deposit.deposit_id) in {"expired", "cancelled"})
            wait_until(lambda: not visits(wiring))
            assert tasks.stop(10)
        [status] = {sandbox.order_json(n)["status"] for n in sandbox.order_ids()}
        assert status == "cancelled"


def test_old_events_are_forgotten_but_none_that_is_still_to_be_told(
    tmp_path: Path, migrated_sqlite: Path
) -> None:
    shutil.copy(migrated_sqlite, tmp_path / "bridge.db")
    with Sandbox() as sandbox:
        installation = installed(tmp_path, sandbox)
    with installation.config.open("a") as config:
        config.write(ENDPOINT)
    now = utc_now()
    old, new = now - 8 * DAY, now - 6 * DAY
    told = [
        Happened(EventType.ORDER_HELD, tenant, at, {})
        for tenant, at in (("", old), ("acme", old), ("", old), ("", new))
    ]
    with closing(installation.wiring()) as wiring:
        with wiring.database.write() as tx:
            events.publish(tx, [Told(old, facts=told[:3])], 0, old)
            events.publish(tx, [Told(new, facts=told[3:])], 3, new)
            lanes.extend(tx, "core", ["order.held"], range(2, 3), now)
            lanes.extend(tx, "gone", ["order.held"], range(1, 2), now)
            tried = [Attempt("", 1, "core", old, "refused", 1, "")]
            attempts.add(tx, [*tried, Attempt("", 4, "core", new, "refused", 1, "")])
        pruning.prune(wiring, lambda: False)
        assert kept(wiring) == [2, 3, 4]
        with wiring.database.write() as tx:
            assert [standing.endpoint for standing in lanes.standings(tx)] == ["core"]
            [lane] = lanes.claim(tx, "core", now, now + 1, 9)
            lanes.advance(tx, lane, 2, now)
        pruning.prune(wiring, lambda: False)
        assert kept(wiring) == [4]
        with wiring.database.read() as tx:
            assert not attempts.of_event(tx, "", 1, 10)
            assert attempts.of_event(tx, "", 4, 10)


def kept(wiring: Wiring) -> list[int]:
    with wiring.database.read() as tx:
        return [event.seq for event in events.after(tx, 0, 10)]


def fares(wiring: Wiring, deposit_id: str) -> str:
    with wiring.database.read() as tx:
        return deposits.get(tx, deposit_id).status


def visits(wiring: Wiring) -> int:
    with wiring.database.read() as tx:
        return len(tx.execute(select(portal.SESSIONS)).all())


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
