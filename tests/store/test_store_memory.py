"""What is decided from memory comes out as if the ledger had locked and looked each time."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from itertools import count
from pathlib import Path
from shutil import copy
from typing import NamedTuple

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from bridge.domain.clock import Clock
from bridge.domain.entry import Draft, EntryId, Kind, Outcome
from bridge.domain.errors import UnavailableError
from bridge.domain.wallet import Wallet, WalletId
from bridge.store import ledger, reports, tables
from bridge.store import memory as remembering
from bridge.store.batcher import Batcher
from bridge.store.database import Connection, Database
from bridge.store.memory import Memory
from bridge.store.pen import Pen
from bridge.store.pipe import Answer, Pipe, Rows
from bridge.store.plan import Plan
from tests.store.drafting import (
    NOON,
    adjustment,
    balance,
    debit,
    draft,
    entries,
    hold,
    post,
    posted,
    problems,
    summary,
)
from tests.store.test_store_bulk import TEXTS
from tests.store.writing import Guided

WAIT_S = 30
"""How long a test waits for what must come."""

POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
WALLETS = tables.table(tables.Wallet)
ACME = WalletId("acme", "EUR")
BETA = WalletId("beta", "EUR")


@pytest.fixture
def memory(database: Database) -> Memory:
    """A memory of two wallets with 100 each."""
    memory = Memory(database)
    memory.learn(post(database, adjustment(100), adjustment(100, tenant_id="beta")))
    return memory


@pytest.fixture(params=["event loop", "thread"])
def way(request: pytest.FixtureRequest) -> str:
    """Where a batcher works: in an event loop, as in the daemon, or in its thread alone."""
    return str(request.param)


@pytest.fixture
def batcher(database: Database, clock: Clock, way: str) -> Iterator[Batcher]:
    """A batcher that remembers two wallets with 100 each."""
    with working(database, clock, way) as batcher:
        ask(batcher, adjustment(100), adjustment(100, tenant_id="beta"))
        yield batcher


@pytest.fixture
def reference(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Database]:
    """A second database, where the ledger works alone; which kind it is makes no difference."""
    database = Database(f"sqlite:///{copy(migrated_sqlite, tmp_path / 'reference.db')}")
    yield database
    database.close()


@contextlib.contextmanager
def working(database: Database, clock: Clock, way: str) -> Iterator[Batcher]:
    batcher = Batcher(database, clock)
    with running() if way == "event loop" else contextlib.nullcontext() as loop:
        batcher.start(loop)
        if loop is not None:
            until_opened(database, batcher, loop)
        try:
            yield batcher
        finally:
            batcher.stop()


def until_opened(database: Database, batcher: Batcher, loop: asyncio.AbstractEventLoop) -> None:
    """Wait until PostgreSQL is asked in the event loop; the first batch need not wait for that."""

    async def opened() -> bool:
        return batcher._memory.can_ask()

    while not database.is_sqlite and not asyncio.run_coroutine_threadsafe(opened(), loop).result():
        time.sleep(0.001)


@contextlib.contextmanager
def running() -> Iterator[asyncio.AbstractEventLoop]:
    """Run an event loop in a thread of its own."""
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            yield loop
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()


def ask(batcher: Batcher, *drafts: Draft) -> list[Outcome]:
    """Hand drafts in as one call, which is a batch of its own."""
    return batcher.submit(drafts).result(WAIT_S)


def written(memory: Memory, *drafts: Draft) -> tuple[Plan, set[WalletId]]:
    """Write what memory decides."""
    plan = memory.plan(drafts, NOON)
    return plan, memory.write(plan)


def wallets(tx: Connection, tenants: Iterable[str]) -> list[Wallet]:
    query = select(WALLETS).where(WALLETS.c.tenant_id.in_(tenants))
    rows = tx.execute(query.order_by(WALLETS.c.tenant_id, WALLETS.c.currency))
    return list(map(Wallet._make, rows))


class Step(NamedTuple):
    """Calls, handed in together if of one currency; or their drafts, posted by somebody else."""

    foreign: bool
    calls: list[list[Draft]]

    @property
    def drafts(self) -> list[Draft]:
        return [draft for call in self.calls for draft in call]

    def post(self, database: Database, batcher: Batcher) -> list[Outcome]:
        if self.foreign:
            return post(database, *self.drafts)
        if len({draft.currency for draft in self.drafts}) > 1:
            # Calls of a tenant that wait together keep their order in each currency only.
            return [outcome for call in self.calls for outcome in ask(batcher, *call)]
        waiting = [batcher.submit(call) for call in self.calls]
        return [outcome for future in waiting for outcome in future.result(WAIT_S)]

    def of(self, number: int) -> "Step":
        """The same for tenants of another name."""
        calls = [
            [draft._replace(tenant_id=f"{draft.tenant_id}-{number}") for draft in call]
            for call in self.calls
        ]
        return self._replace(calls=calls)


# Mostly debits of a few wallets under a few keys, so that drafts meet each other.
ASKED = {
    "tenant_id": st.sampled_from(["acme", "acme", "acme", "beta", "nobody"]),
    "currency": st.sampled_from(["EUR", "EUR", "EUR", "USD"]),
    "key": st.sampled_from([None, None, None, None, "k1", "k2", "k3"]),
}
DEBITS = st.builds(debit, st.integers(1, 60), **ASKED)
OTHERS = st.one_of(
    st.builds(hold, st.integers(1, 40), **ASKED),
    st.builds(
        draft,
        st.sampled_from([Kind.CAPTURE, Kind.VOID, Kind.EXPIRE, Kind.DEBIT_REFUND]),
        st.none() | st.integers(1, 40),
        related_version=st.integers(1, 9),
        **ASKED,
    ),
    st.builds(adjustment, st.integers(-40, 150).filter(bool), opens_wallet=st.just(False), **ASKED),
)
CALLS = st.lists(DEBITS, min_size=1, max_size=8) | st.lists(DEBITS | OTHERS, max_size=8)
STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from([False, False, False, True]),
        st.lists(CALLS, min_size=1, max_size=3),
    ),
    min_size=1,
    max_size=7,
)
FUNDS = [adjustment(100), adjustment(200, currency="USD"), adjustment(100, tenant_id="beta")]


def test_outcomes_and_wallets_are_those_of_the_ledger_alone_draft_by_draft(
    database: Database, reference: Database, clock: Clock, way: str
) -> None:
    numbers = count(1)
    with working(database, clock, way) as batcher:

        @settings(max_examples=80)
        @given(STEPS)
        def compare(steps: list[Step]) -> None:
            number = next(numbers)  # what was posted stays, so each example has its own tenants
            steps = [step.of(number) for step in (Step(False, [FUNDS]), *steps)]
            drafts = [draft for step in steps for draft in step.drafts]
            names = {draft.tenant_id for draft in drafts}
            with reference.write() as tx:
                expected = [ledger.post(tx, [draft], NOON)[0] for draft in drafts]
                left = wallets(tx, names)
            outcomes = [outcome for step in steps for outcome in step.post(database, batcher)]
            assert outcomes == expected
            with database.read() as tx:
                assert wallets(tx, names) == left

        compare()
    assert problems(database) == []


def test_a_remembered_wallet_is_written_at_once(database: Database, memory: Memory) -> None:
    plan, moved = written(memory, debit(30), debit(20))
    assert moved == {ACME}
    outcomes = [outcome for outcome in plan.outcomes_if(moved) if outcome]
    assert [outcome.entry for outcome in outcomes] == entries(database)[1:]
    assert balance(database) == 50
    assert problems(database) == []


def test_what_debits_say_is_written_as_it_was_decided(database: Database, memory: Memory) -> None:
    said = [
        debit(1, key=f"{n} {text}", reference=text, description=text)
        for n, text in enumerate(TEXTS)
    ]
    plan, moved = written(memory, *said, debit(1, tenant_id="beta"))
    assert moved == {ACME, BETA}
    decided = [outcome.entry for outcome in plan.outcomes if outcome]
    assert decided == entries(database)[1:] + entries(database, "beta")[1:]
    assert problems(database) == []


def test_a_digest_of_any_size_is_written(database: Database, batcher: Batcher) -> None:
    [outcome] = ask(batcher, debit(30)._replace(digest=b"short"))
    assert outcome.entry == entries(database)[-1]
    assert outcome.entry.request_digest == b"short"


def test_what_was_written_is_remembered_in_turn(database: Database, memory: Memory) -> None:
    for _ in range(3):
        plan, moved = written(memory, debit(30))
        assert moved == {ACME}
        memory.forget(plan, moved)
    assert memory.plan([debit(30)], NOON).moves == [], "10 are left"
    assert balance(database) == 10
    assert problems(database) == []


def test_a_wallet_that_somebody_else_moved_is_not_written(
    database: Database, memory: Memory
) -> None:
    posted(database, debit(1))
    plan, moved = written(memory, debit(30), debit(30, tenant_id="beta"))
    # SQLite writes all or none; whatever was not written goes the usual way.
    assert moved == (set() if database.is_sqlite else {BETA})
    assert [bool(outcome) for outcome in plan.outcomes_if(moved)] == [False, BETA in moved]
    assert (balance(database), balance(database, "beta")) == (99, 70 if BETA in moved else 100)
    memory.forget(plan, moved)
    assert memory.plan([debit(30)], NOON).moves == [], "what was wrong is forgotten"
    assert problems(database) == []


def test_a_wallet_that_somebody_else_moved_goes_the_usual_way(
    database: Database, batcher: Batcher
) -> None:
    posted(database, debit(1))
    asked = [debit(30), debit(30, tenant_id="beta"), debit(69)]
    assert summary(ask(batcher, *asked)) == ["posted"] * 3
    assert [entry.version for entry in entries(database)] == [1, 2, 3, 4]
    assert (balance(database), balance(database, "beta")) == (0, 70)
    assert problems(database) == []


def test_a_wallet_that_somebody_else_emptied_is_not_overdrawn(
    database: Database, batcher: Batcher
) -> None:
    posted(database, debit(100))
    assert summary(ask(batcher, debit(1))) == ["insufficient_balance"]
    assert balance(database) == 0


def test_what_somebody_else_holds_is_not_taken(database: Database, batcher: Batcher) -> None:
    posted(database, hold(80))
    assert summary(ask(batcher, debit(30), debit(20))) == ["insufficient_balance", "posted"]
    assert problems(database) == []


def test_a_decline_is_never_given_from_memory(database: Database, batcher: Batcher) -> None:
    renewal = debit(150)
    assert summary(ask(batcher, renewal)) == ["insufficient_balance"]
    posted(database, adjustment(50))
    assert summary(ask(batcher, renewal)) == ["posted"]
    assert balance(database) == 0


def test_only_debits_are_decided_from_memory(memory: Memory) -> None:
    for other in (hold(1), adjustment(1), draft(Kind.VOID, None, related_version=1)):
        plan = memory.plan([debit(1), other, debit(1, tenant_id="beta")], NOON)
        assert [bool(outcome) for outcome in plan.outcomes] == [False, False, True]


@pytest.mark.parametrize("foreign", [False, True])
def test_a_key_that_was_used_before_posts_nothing_more(
    database: Database, batcher: Batcher, foreign: bool
) -> None:
    renewal = debit(30, key="renewal-7")
    [first] = post(database, renewal) if foreign else ask(batcher, renewal)
    again = [renewal, debit(31, key="renewal-7"), debit(5)]
    outcomes = ask(batcher, *again)
    assert summary(outcomes) == ["replayed", "idempotency_key_reused", "posted"]
    assert outcomes[0].entry == first.entry
    assert balance(database) == 100 - 30 - 5
    assert problems(database) == []


def test_a_key_that_was_used_on_another_wallet_of_the_tenant_posts_nothing_more(
    database: Database, batcher: Batcher
) -> None:
    posted(database, adjustment(100, currency="USD"), debit(30, currency="USD", key="renewal-7"))
    assert summary(ask(batcher, debit(30, key="renewal-7"))) == ["idempotency_key_reused"]
    assert balance(database) == 100


def test_a_key_belongs_to_the_first_of_a_call_whichever_wallet_is_remembered(
    database: Database, batcher: Batcher
) -> None:
    posted(database, adjustment(100, currency="USD"))
    asked = [debit(30, currency="USD", key="renewal-7"), debit(30, key="renewal-7")]
    assert summary(ask(batcher, *asked)) == ["posted", "idempotency_key_reused"]
    assert (balance(database, currency="USD"), balance(database)) == (70, 100)


def test_drafts_on_one_wallet_keep_their_order(database: Database, batcher: Batcher) -> None:
    asked = [debit(60), debit(10, tenant_id="beta"), hold(30), debit(20), debit(10), hold(1)]
    decided = ["posted", "posted", "posted", "insufficient_balance", "posted"]
    assert summary(ask(batcher, *asked)) == [*decided, "insufficient_balance"]
    kept = [asked[0].key, asked[2].key, asked[4].key]
    assert [entry.idempotency_key for entry in entries(database)[1:]] == kept
    assert problems(database) == []


def test_drafts_of_many_wallets_come_back_in_the_order_they_were_asked(
    database: Database, batcher: Batcher
) -> None:
    names = [f"t{n}" for n in range(20)]
    ask(batcher, *(adjustment(9, tenant_id=name) for name in names[::2]))
    posted(database, *(adjustment(9, tenant_id=name) for name in names[1::2]))
    asked = [debit(n, tenant_id=name) for n in (1, 2, 3) for name in reversed(names)]
    outcomes = ask(batcher, *asked)
    keys = [outcome.entry and outcome.entry.idempotency_key for outcome in outcomes]
    assert keys == [one.key for one in asked]
    assert {balance(database, name) for name in names} == {9 - 1 - 2 - 3}
    assert problems(database) == []


def test_memory_is_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembering, "WALLETS_MAX", 3)
    memory, names = Memory(database), [f"t{n}" for n in range(10)]

    def remembered() -> int:
        plan = memory.plan([debit(1, tenant_id=name) for name in names], NOON)
        return len(plan.moves)

    for name in names:
        plan = memory.plan([], NOON)
        memory.forget(plan, memory.write(plan))
        memory.learn(post(database, adjustment(5, tenant_id=name)))
        assert 0 < remembered() <= 3


def test_a_batcher_serves_more_wallets_than_are_remembered(
    database: Database, batcher: Batcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembering, "WALLETS_MAX", 3)
    names = [f"t{n}" for n in range(7)]
    ask(batcher, *(adjustment(5, tenant_id=name) for name in names))
    for _ in range(3):
        for name in names:
            assert summary(ask(batcher, debit(1, tenant_id=name))) == ["posted"]
    assert {balance(database, name) for name in names} == {2}
    assert problems(database) == []


def test_after_another_writer_was_in_the_way_wallets_and_entries_are_still_written_as_one(
    database: Database, batcher: Batcher
) -> None:
    renewal = debit(5, key="renewal-7")
    assert summary(ask(batcher, renewal)) == ["posted"]
    with contextlib.closing(Database(database.url.render_as_string(hide_password=False))) as other:
        with other.write() as tx:
            ledger.post(tx, [debit(10)], NOON)
            waiting = batcher.submit([debit(20)])
            time.sleep(0.05)
        assert summary(waiting.result(WAIT_S)) == ["posted"]
    assert summary(ask(batcher, renewal)) == ["replayed"]
    assert summary(ask(batcher, debit(30), renewal)) == ["posted", "replayed"]
    assert balance(database) == 100 - 5 - 10 - 20 - 30
    assert problems(database) == []


def test_replicas_that_debit_the_same_wallets_at_once_lose_and_double_nothing(
    database_url: str, clock: Clock, way: str
) -> None:
    with contextlib.ExitStack() as stack:
        databases = [stack.enter_context(contextlib.closing(Database(database_url))) for _ in "ab"]
        replicas = [stack.enter_context(working(each, clock, way)) for each in databases]
        ask(replicas[0], adjustment(100), adjustment(100, tenant_id="beta"))
        calls = [[debit(1, key=f"{n}"), debit(2, tenant_id="beta", key=f"{n}")] for n in range(40)]
        waiting = [replica.submit(call) for call in calls for replica in replicas]
        outcomes = [outcome for future in waiting for outcome in future.result(WAIT_S)]
        found = sorted(summary(outcomes))
        assert found == ["posted"] * 80 + ["replayed"] * 80
        assert (balance(databases[0]), balance(databases[0], "beta")) == (60, 20)
        assert problems(databases[0]) == []


def test_a_wallet_that_was_set_back_to_a_backup_is_not_overwritten(
    database: Database, batcher: Batcher
) -> None:
    lost, *_ = ask(batcher, debit(30), debit(20, tenant_id="beta"))
    assert lost.entry
    with database.write() as tx:
        forget(tx, EntryId("acme", "EUR", 2))
    [outcome] = ask(batcher, debit(5))
    assert outcome.entry
    assert (outcome.entry.version, outcome.entry.balance_after) == (2, 95)
    assert problems(database) == []


def forget(tx: Connection, last: EntryId) -> None:
    """Set a wallet back by an entry, as one who restores a backup does, past all triggers."""
    before = reports.entry(tx, last._replace(version=last.version - 1))
    triggers = {"sqlite": "entries_no_delete", "postgresql": "entries_append_only ON entries"}
    tx.execute(text(f"DROP TRIGGER {triggers[tx.dialect.name]}"))
    here = {"tenant_id": last.tenant_id, "currency": last.currency}
    tx.execute(tables.table(tables.Entry).delete().filter_by(**here, version=last.version))
    tx.execute(WALLETS.update().filter_by(**here).values(before.wallet._asdict()))


def test_a_wallet_that_was_changed_by_hand_is_not_overwritten(
    database: Database, batcher: Batcher
) -> None:
    other = b"\xff" * 32
    with database.write() as tx:
        tx.execute(WALLETS.update().filter_by(tenant_id="acme").values(balance=40, hash=other))
    declined, outcome = ask(batcher, debit(50), debit(30))
    assert summary([declined]) == ["insufficient_balance"]
    assert outcome.entry
    assert outcome.entry == outcome.entry.sealed(other), "it follows what the database says"
    assert balance(database) == 10


class Cut(Pipe):
    """A pipe whose answers may get lost."""

    def __init__(self, whole: Pipe, sever: Callable[[], None]) -> None:
        vars(self).update(vars(whole))
        self._sever = sever

    def ask(self, name: str, parameters: Sequence[str | None], answer: Answer) -> None:
        def lose(rows: Rows | Exception) -> None:
            try:
                self._sever()
            except UnavailableError as error:
                rows = error
            answer(rows)

        super().ask(name, parameters, lose)


class Severed(Database):
    """A database of which a commit fails, or its answer gets lost, once, when it is told to.

    In the event loop PostgreSQL's answer gets lost.
    """

    severed = False
    early = False

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        with self._severing(), super().write() as tx:
            yield tx

    def pipe(self, statements: Mapping[str, str]) -> Pipe | None:
        pipe = super().pipe(statements)
        return pipe and Cut(pipe, self._sever)

    def pen(self, *setup: str) -> Pen | None:
        pen = super().pen(*setup)
        return pen and Guided(pen, self._severing)

    @contextlib.contextmanager
    def _severing(self) -> Iterator[None]:
        if self.early:
            self._sever()
        yield
        self._sever()

    def _sever(self) -> None:
        if self.severed:
            self.severed = False
            raise UnavailableError("the connection was lost")


@pytest.mark.parametrize("early", [True, False], ids=["failed", "answer lost"])
def test_a_commit_that_failed_or_whose_answer_was_lost_is_made_once(
    database_url: str, clock: Clock, way: str, early: bool
) -> None:
    database = Severed(database_url)
    database.early = early
    with contextlib.closing(database), working(database, clock, way) as batcher:
        ask(batcher, adjustment(100))
        database.severed = True
        outcomes = ask(batcher, debit(30), debit(20))
        assert [outcome.entry for outcome in outcomes] == entries(database)[1:]
        assert summary(ask(batcher, debit(40))) == ["posted"]
        assert balance(database) == 10
        assert problems(database) == []


class Shut(Database):
    """A database that lets nobody lock and look, when it is told to."""

    shut = False

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        if self.shut:
            raise UnavailableError("the database is shut")
        with super().write() as tx:
            yield tx


@pytest.fixture
def shut(database_url: str) -> Iterator[Shut]:
    """A shut database with two wallets."""
    database = Shut(database_url)
    posted(database, adjustment(100), adjustment(100, tenant_id="beta"))
    database.shut = True
    yield database
    database.close()


def test_debits_need_not_lock_and_look_even_where_nothing_is_remembered(
    shut: Shut, clock: Clock
) -> None:
    with working(shut, clock, "event loop") as batcher:
        for drafts in ([debit(10), debit(20)], [debit(30), debit(40, tenant_id="beta")]):
            assert summary(ask(batcher, *drafts)) == ["posted", "posted"]
    assert (balance(shut), balance(shut, "beta")) == (40, 60)
    assert problems(shut) == []


def test_all_but_posted_debits_must_lock_and_look(shut: Shut, clock: Clock) -> None:
    with working(shut, clock, "event loop") as batcher:
        ask(batcher, debit(1, key="renewal-7"))
        for asked in (debit(100), hold(1), debit(1, key="renewal-7"), debit(1, tenant_id="new")):
            with pytest.raises(UnavailableError):
                ask(batcher, asked)
    assert balance(shut) == 99


def test_a_call_of_which_a_part_could_not_be_posted_is_completed_by_a_retry(
    shut: Shut, clock: Clock
) -> None:
    asked = [debit(30), hold(20, tenant_id="beta")]
    with working(shut, clock, "event loop") as batcher:
        with pytest.raises(UnavailableError):
            ask(batcher, *asked)
        shut.shut = False
        assert summary(ask(batcher, *asked)) == ["replayed", "posted"]
        assert summary(ask(batcher, *asked)) == ["replayed", "replayed"]
    assert balance(shut) == 70
    assert problems(shut) == []


@POSTGRESQL
def test_a_server_that_closes_all_connections_loses_nothing(
    database: Database, batcher: Batcher
) -> None:
    for number in range(3):
        assert summary(ask(batcher, debit(10, key=f"before-{number}"))) == ["posted"]
        assert terminated(database)
        outcomes = ask(batcher, debit(10, key=f"before-{number}"), debit(1, key=f"after-{number}"))
        assert summary(outcomes) == ["replayed", "posted"]
    assert balance(database) == 100 - 3 * 10 - 3
    assert problems(database) == []


@POSTGRESQL
def test_a_server_that_ends_a_statement_half_way_loses_nothing(
    database: Database, batcher: Batcher
) -> None:
    with database.write() as stranger:
        stranger.execute(select(WALLETS).filter_by(tenant_id="acme").with_for_update())
        waiting = batcher.submit([debit(30), debit(20, tenant_id="beta")])
        assert terminated(database, "wait_event_type = 'Lock'") == 1
    assert summary(waiting.result(WAIT_S)) == ["posted", "posted"]
    assert (balance(database), balance(database, "beta")) == (70, 80)
    assert problems(database) == []


def terminated(database: Database, which: str = "pid <> pg_backend_pid()") -> int:
    """Close connections to the database from the server's side, as soon as there are such."""
    url = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    query = (
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        f" WHERE datname = current_database() AND {which}"
    )
    with psycopg.connect(url, autocommit=True) as admin:
        for _ in range(WAIT_S * 100):
            if found := admin.execute(query.encode()).fetchall():
                return len(found)
            time.sleep(0.01)
    return 0


class Watched(Pipe):
    """A pipe that tells how many questions were open at a time, at most."""

    def __init__(self, whole: Pipe) -> None:
        vars(self).update(vars(whole))
        self.open = self.open_at_most = 0

    def ask(self, name: str, parameters: Sequence[str | None], answer: Answer) -> None:
        def end(rows: Rows | Exception) -> None:
            self.open -= 1
            answer(rows)

        self.open += 1
        self.open_at_most = max(self.open_at_most, self.open)
        super().ask(name, parameters, end)


class Transparent(Database):
    """A database whose pipe is watched."""

    watched: Watched

    def pipe(self, statements: Mapping[str, str]) -> Pipe | None:
        pipe = super().pipe(statements)
        assert pipe is not None
        self.watched = Watched(pipe)
        return self.watched


@POSTGRESQL
def test_while_one_half_is_written_the_other_is_decided_and_sent(
    database_url: str, clock: Clock
) -> None:
    database = Transparent(database_url)
    with contextlib.closing(database), working(database, clock, "event loop") as batcher:
        ask(batcher, adjustment(100))

        async def submitted() -> list[Future[list[Outcome]]]:
            return [batcher.submit([debit(1)]) for _ in range(100)]

        # In the loop, so that none is begun before all are there.
        assert batcher._loop
        waiting = asyncio.run_coroutine_threadsafe(submitted(), batcher._loop).result(WAIT_S)
        assert {summary(future.result(WAIT_S))[0] for future in waiting} == {"posted"}
        assert database.watched.open_at_most == 2
        assert balance(database) == 0
        assert problems(database) == []


def test_what_must_lock_and_look_is_not_overtaken_by_what_need_not(
    database: Database, batcher: Batcher
) -> None:
    for _ in range(5):
        waiting = [batcher.submit([asked]) for asked in (hold(80), debit(50), debit(10))]
        found = [summary(future.result(WAIT_S))[0] for future in waiting]
        assert found == ["posted", "insufficient_balance", "posted"]
        posted(database, draft(Kind.VOID, None, related_version=held(database)), adjustment(10))


def held(database: Database) -> int:
    """Return the version of the last hold."""
    return max(entry.version for entry in entries(database) if entry.kind == Kind.HOLD)


def test_what_was_decided_behind_a_batch_that_failed_is_decided_again_after_it(
    database: Database, batcher: Batcher
) -> None:
    for _ in range(5):
        posted(database, debit(20))
        waiting = [batcher.submit([debit(60)]) for _ in range(3)]
        found = [summary(future.result(WAIT_S))[0] for future in waiting]
        assert found == ["posted", "insufficient_balance", "insufficient_balance"]
        posted(database, adjustment(80))
    assert problems(database) == []


def test_what_need_not_be_written_waits_for_what_came_before_it(
    database: Database, batcher: Batcher
) -> None:
    posted(database, debit(1, key="renewal-7"))
    for _ in range(5):
        waiting = [batcher.submit(asked) for asked in ([debit(70)], [hold(30)])]
        found = [summary(future.result(WAIT_S))[0] for future in waiting]
        assert found == ["posted", "insufficient_balance"]
        posted(database, adjustment(70))
    repeated = [debit(1, key="renewal-7"), debit(70)]
    waiting = [batcher.submit(asked) for asked in (repeated, [hold(30)])]
    assert [summary(future.result(WAIT_S))[-1] for future in waiting] == [
        *("posted", "insufficient_balance")
    ]
    assert problems(database) == []
