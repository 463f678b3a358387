"""Requests share commits, and nothing else: not their failures, not their order."""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import psycopg
import pytest

from bridge import metrics
from bridge.domain.clock import Clock, Instant
from bridge.domain.entry import Draft, Outcome
from bridge.domain.errors import BacklogFullError, StoppingError, UnavailableError
from bridge.store import batcher as batching
from bridge.store import database as databases
from bridge.store import ledger
from bridge.store.batcher import Batcher, Result
from bridge.store.database import Connection, Database
from bridge.store.pen import Pen
from tests.store.drafting import (
    NOON,
    adjustment,
    balance,
    debit,
    entries,
    hold,
    post,
    posted,
    problems,
    summary,
)
from tests.store.writing import Guided

WAIT_S = 30
"""How long a test waits for what must come."""

T = TypeVar("T")

UNREADABLE = "\ud800"
"""Half a surrogate pair: text that no database can store."""


class Gate(Database):
    """A database that counts its commits, and lets writers in only while the gate is open."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.open = threading.Event()
        self.open.set()
        self.reached = threading.Event()
        self.commits = 0
        self.writers: set[str] = set()

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        with self._passed(), super().write() as tx:
            yield tx

    def pen(self, *setup: str) -> Pen | None:
        pen = super().pen(*setup)
        return pen and Guided(pen, self._passed)

    @contextlib.contextmanager
    def _passed(self) -> Iterator[None]:
        self.reached.set()
        assert self.open.wait(WAIT_S)
        yield
        self.commits += 1
        self.writers.add(threading.current_thread().name)


@pytest.fixture
def gate(database_url: str) -> Iterator[Gate]:
    gate = Gate(database_url)
    posted(gate, adjustment(1000))
    gate.commits = 0
    gate.writers.clear()
    yield gate
    gate.close()


@pytest.fixture
def batcher(gate: Gate, clock: Clock) -> Iterator[Batcher]:
    batcher = Batcher(gate, clock)
    batcher.start()
    yield batcher
    gate.open.set()
    batcher.stop()


def held_up(gate: Gate, batcher: Batcher) -> Future[list[Outcome]]:
    """Submit a call that waits at the closed gate, so that all later ones pile up behind it."""
    gate.open.clear()
    gate.reached.clear()
    first = batcher.submit([debit(1)])
    assert gate.reached.wait(WAIT_S)
    return first


def answers(futures: Sequence[Future[list[Outcome]]]) -> list[str]:
    return [summary(future.result(WAIT_S))[0] for future in futures]


def test_a_lone_call_is_served_at_once(gate: Gate, batcher: Batcher) -> None:
    [outcome] = batcher.submit([debit(100)]).result(WAIT_S)
    assert outcome.entry is not None
    assert (outcome.status, outcome.entry.balance_after) == ("posted", 900)
    assert gate.commits == 1


def test_a_crowd_shares_two_commits(gate: Gate, batcher: Batcher) -> None:
    waiting = [held_up(gate, batcher)] + [batcher.submit([debit(1)]) for _ in range(300)]
    gate.open.set()
    assert answers(waiting) == ["posted"] * 301
    assert gate.commits == 1 + 2
    assert balance(gate) == 1000 - 301


def test_a_batch_that_is_large_enough_takes_no_further_call(gate: Gate, batcher: Batcher) -> None:
    waiting = [held_up(gate, batcher)]
    waiting += [batcher.submit([debit(1)] * 2) for _ in range(batching.BATCH_SIZE_MAX)]
    gate.open.set()
    answers(waiting)
    assert gate.commits == 1 + 2


def test_every_call_gets_its_own_outcomes_in_the_order_it_asked(
    gate: Gate, batcher: Batcher
) -> None:
    held_up(gate, batcher)
    calls = [[debit(n), debit(5000), hold(n), debit(n, key="same")] for n in range(1, 40)]
    waiting = [batcher.submit(call) for call in calls]
    gate.open.set()
    for n, (call, future) in enumerate(zip(calls, waiting, strict=True), 1):
        outcomes = future.result(WAIT_S)
        keys = [outcome.entry and outcome.entry.idempotency_key for outcome in outcomes]
        if n == 1:
            assert keys == [call[0].key, None, call[2].key, "same"]
            assert summary(outcomes) == ["posted", "insufficient_balance", "posted", "posted"]
        elif outcomes[0].entry:
            assert outcomes[0].entry.amount == -n
            assert summary(outcomes)[3] == "idempotency_key_reused"
    versions = [entry.version for entry in entries(gate)]
    assert versions == list(range(1, len(versions) + 1))


def test_a_hot_wallet_gives_exactly_what_it_has(gate: Gate, batcher: Batcher) -> None:
    with ThreadPoolExecutor(16) as crowd:
        waiting = list(crowd.map(lambda _: batcher.submit([debit(7)]), range(400)))
    assert answers(waiting).count("posted") == 1000 // 7
    assert balance(gate) == 1000 % 7
    assert gate.commits < 400
    assert problems(gate) == []


def test_a_call_that_cannot_be_stored_does_not_spoil_its_neighbours(
    gate: Gate, batcher: Batcher
) -> None:
    waiting = [held_up(gate, batcher)]
    waiting += [batcher.submit([debit(1)]) for _ in range(5)]
    poisoned = batcher.submit([debit(1), debit(1, description=UNREADABLE)])
    waiting += [batcher.submit([debit(1)]) for _ in range(5)]
    gate.open.set()
    assert answers(waiting) == ["posted"] * 11
    with pytest.raises(UnicodeEncodeError):
        poisoned.result(WAIT_S)
    assert balance(gate) == 1000 - 11, "the poisoned call stands or falls as a whole"
    assert answers([batcher.submit([debit(1)])]) == ["posted"]
    assert problems(gate) == []


def test_too_many_calls_are_refused_at_once(
    gate: Gate, batcher: Batcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "BACKLOG_MAX", 3)
    waiting = [held_up(gate, batcher)] + [batcher.submit([debit(1)]) for _ in range(3)]
    assert batcher.backlog == 3
    with pytest.raises(BacklogFullError, match="retry later with the same Idempotency-Key"):
        batcher.submit([debit(1)])
    gate.open.set()
    assert answers(waiting) == ["posted"] * 4
    assert answers([batcher.submit([debit(1)])]) == ["posted"]


def test_stop_posts_what_waits_and_takes_nothing_more(gate: Gate, clock: Clock) -> None:
    batcher = Batcher(gate, clock)
    batcher.start()
    waiting = [held_up(gate, batcher)] + [batcher.submit([debit(1)]) for _ in range(700)]
    stopping = threading.Thread(target=batcher.stop)
    stopping.start()
    gate.open.set()
    stopping.join(WAIT_S)
    assert all(future.done() for future in waiting)
    assert answers(waiting) == ["posted"] * 701
    assert not batcher.alive
    with pytest.raises(UnavailableError, match="stopping; retry with the same"):
        batcher.submit([debit(1)])


def test_calls_fail_while_the_database_is_away_and_succeed_under_the_same_key_afterwards(
    database_url: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "LOCK_WAIT_S", 1)
    database = Database(database_url)
    posted(database, adjustment(1000))
    batcher = Batcher(database, clock)
    batcher.start()
    asked = debit(30, key="renewal-7")
    with away(database):
        with pytest.raises(UnavailableError, match="the database"):
            batcher.submit([asked]).result(WAIT_S)
        assert batcher.alive
    assert answers([batcher.submit([asked]), batcher.submit([asked])]) == ["posted", "replayed"]
    batcher.stop()
    assert balance(database) == 970
    database.close()


@contextlib.contextmanager
def away(database: Database) -> Iterator[None]:
    """Keep everybody out: a stranger's lock on the file, or a server that lets nobody in."""
    if database.is_sqlite:
        stranger = sqlite3.connect(str(database.url.database), isolation_level=None)
        stranger.execute("BEGIN EXCLUSIVE")
        yield
        stranger.close()
        return
    server = database.url.set(drivername="postgresql", database="postgres")
    url, name = server.render_as_string(hide_password=False), database.url.database
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
        )
        yield
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())


def test_batches_and_outcomes_are_measured(gate: Gate, batcher: Batcher) -> None:
    def measured() -> list[float]:
        names = ("bridge_batch_size_count", "bridge_batch_size_sum", "bridge_batch_seconds_count")
        figures = [metrics.registry.get_sample_value(name) for name in names]
        figures += [
            metrics.registry.get_sample_value(
                "bridge_drafts_total", {"kind": "debit", "outcome": outcome}
            )
            for outcome in ("posted", "declined")
        ]
        return [figure or 0 for figure in figures]

    before = measured()
    batcher.submit([debit(1), debit(5000), debit(1)]).result(WAIT_S)
    batcher.stop()
    assert [now - then for now, then in zip(measured(), before, strict=True)] == [1, 3, 1, 2, 1]


def test_what_was_declined_can_be_asked_again(gate: Gate, batcher: Batcher) -> None:
    renewal: Draft = debit(1500, key="renewal-7")
    assert answers([batcher.submit([renewal])]) == ["insufficient_balance"]
    post(gate, adjustment(500), now=NOON)
    assert answers([batcher.submit([renewal])]) == ["posted"]


def serve(gate: Gate, clock: Clock, work: Callable[[Batcher], Awaitable[T]]) -> T:
    """Run a batcher in an event loop, as the daemon does."""

    async def serving() -> T:
        batcher = Batcher(gate, clock)
        batcher.start(asyncio.get_running_loop())
        try:
            return await work(batcher)
        finally:
            await asyncio.to_thread(batcher.stop)

    return asyncio.run(serving())


async def results(batcher: Batcher, *calls: Sequence[Draft]) -> list[Result]:
    """Hand calls in at one moment of the event loop, and wait for what becomes of them."""
    loop = asyncio.get_running_loop()
    waiting: list[asyncio.Future[Result]] = [loop.create_future() for _ in calls]
    for call, future in zip(calls, waiting, strict=True):
        batcher.hand_in(call, future.set_result)
    return await asyncio.wait_for(asyncio.gather(*waiting), WAIT_S)


def words(found: Sequence[Result]) -> list[str]:
    return [type(one).__name__ if isinstance(one, Exception) else summary(one)[0] for one in found]


def batches() -> float:
    return metrics.registry.get_sample_value("bridge_batch_size_count") or 0


def test_nothing_but_waiting_for_the_database_leaves_the_thread_of_the_event_loop(
    gate: Gate,
) -> None:
    seen = set[int]()

    def clock() -> Instant:
        seen.add(threading.get_ident())
        return NOON

    async def work(batcher: Batcher) -> None:
        loop = asyncio.get_running_loop()
        for call in ([debit(1)], [debit(2)], [hold(3), debit(4)], [debit(5000)]):
            answered = loop.create_future()

            def answer(result: Result, answered: asyncio.Future[Result] = answered) -> None:
                seen.add(threading.get_ident())
                answered.set_result(result)

            await asyncio.to_thread(batcher.hand_in, call, answer)
            assert len(words([await asyncio.wait_for(answered, WAIT_S)])) == 1

    serve(gate, clock, work)
    assert seen == {threading.get_ident()}
    waiting = {"batcher", "scribe"} if gate.is_sqlite else {"batcher"}
    assert gate.writers == waiting, "whoever waits for the database waits elsewhere"


def test_what_is_handed_in_at_one_moment_of_the_event_loop_is_two_batches(
    gate: Gate, clock: Clock
) -> None:
    async def work(batcher: Batcher) -> None:
        for _ in range(3):
            before = batches()
            assert (
                words(await results(batcher, *([debit(1)] for _ in range(40)))) == ["posted"] * 40
            )
            assert batches() == before + 2, "two halves, which take turns where there are more"

    serve(gate, clock, work)
    assert balance(gate) == 1000 - 120
    assert problems(gate) == []


def test_stop_drains_while_the_event_loop_goes_on(gate: Gate, clock: Clock) -> None:
    async def work(batcher: Batcher) -> None:
        answered = list[Result]()
        for _ in range(700):
            batcher.hand_in([debit(1)], answered.append)
        await asyncio.wait_for(asyncio.to_thread(batcher.stop), WAIT_S)
        assert words(answered) == ["posted"] * 700, "all were answered before it returned"
        assert not batcher.alive
        with pytest.raises(StoppingError):
            batcher.hand_in([debit(1)], answered.append)

    serve(gate, clock, work)
    assert balance(gate) == 300
    assert problems(gate) == []


def test_an_answer_that_fails_does_not_keep_the_others_from_theirs(
    gate: Gate, clock: Clock
) -> None:
    def fail(_result: Result) -> None:
        raise ZeroDivisionError

    async def work(batcher: Batcher) -> None:
        for _ in range(2):
            batcher.hand_in([debit(1)], fail)
            assert words(await results(batcher, [debit(1)], [debit(1)])) == ["posted"] * 2

    serve(gate, clock, work)
    assert balance(gate) == 1000 - 6


def test_a_caller_that_went_away_while_waiting_is_debited_and_holds_nobody_up(
    gate: Gate, batcher: Batcher
) -> None:
    taken = held_up(gate, batcher)
    gone = batcher.submit([debit(500, key="renewal-7")])
    stays = batcher.submit([debit(2)])
    assert gone.cancel()
    gate.open.set()
    assert answers([taken, stays]) == ["posted", "posted"]
    assert answers([batcher.submit([debit(500, key="renewal-7")])]) == ["replayed"]
    assert balance(gate) == 1000 - 503


@pytest.mark.parametrize("remembered", [True, False])
def test_a_call_that_makes_no_sense_does_not_spoil_its_neighbours(
    gate: Gate, clock: Clock, remembered: bool
) -> None:
    async def work(batcher: Batcher) -> None:
        if remembered:
            await results(batcher, [debit(1)])
        found = await results(batcher, [debit(1)], [debit(0)], [debit(2)])
        assert words(found) == ["posted", "ValueError", "posted"]

    serve(gate, clock, work)
    assert [entry.amount for entry in entries(gate)[-2:]] == [-1, -2]
    assert problems(gate) == []


def test_a_call_without_drafts_has_no_outcomes(gate: Gate, clock: Clock) -> None:
    async def work(batcher: Batcher) -> None:
        assert await results(batcher, []) == [[]]
        assert words(await results(batcher, [debit(1)])) == ["posted"]

    serve(gate, clock, work)


def test_while_a_writer_elsewhere_is_waited_for_the_event_loop_goes_on(
    gate: Gate, clock: Clock
) -> None:
    """Here the event loop itself lets the other writer go."""

    async def work(batcher: Batcher) -> None:
        await results(batcher, [debit(1)])
        stranger = Database(gate.url.render_as_string(hide_password=False))
        with contextlib.closing(stranger), stranger.write() as tx:
            ledger.post(tx, [debit(2)], NOON)
            waiting = asyncio.create_task(results(batcher, [debit(4)]))
            await asyncio.sleep(0.05)
            assert not waiting.done()
        assert words(await waiting) == ["posted"]

    serve(gate, clock, work)
    assert balance(gate) == 1000 - 7
    assert problems(gate) == []
