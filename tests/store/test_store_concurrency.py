"""Many writers at once: nothing is overdrawn, lost, doubled or stuck."""

import contextlib
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest

from bridge.domain.entry import Draft, EffectDraft, Outcome
from bridge.store import inbox, orders, reports
from bridge.store.batcher import Batcher
from bridge.store.database import Database
from bridge.store.inbox import Hint
from bridge.store.orders import OvertakenError, Seen
from tests.store.drafting import (
    NOON,
    adjustment,
    balance,
    debit,
    effect,
    entries,
    hold,
    post,
    posted,
    problems,
    summary,
)

WRITERS = 6

T = TypeVar("T")


@pytest.fixture
def databases(database_url: str) -> Iterator[list[Database]]:
    """As many replicas would open them."""
    opened = [Database(database_url) for _ in range(WRITERS)]
    yield opened
    for database in opened:
        database.close()


def together(databases: list[Database], work: Callable[[Database, int], T]) -> list[T]:
    """Let every database's own thread work, all beginning at the same moment."""
    start = threading.Barrier(len(databases))

    def begin(number: int) -> T:
        start.wait()
        return work(databases[number], number)

    with ThreadPoolExecutor(len(databases)) as pool:
        return list(pool.map(begin, range(len(databases))))


def test_many_writers_never_overdraw_and_every_unit_is_accounted_for(
    databases: list[Database],
) -> None:
    tenants = [f"t{n}" for n in range(4)]
    posted(databases[0], *(adjustment(1000, tenant_id=tenant) for tenant in tenants))

    def work(database: Database, number: int) -> int:
        dice, taken = random.Random(number), 0
        for _ in range(25):
            drafts = [debit(dice.randint(1, 30), tenant_id=dice.choice(tenants)) for _ in range(4)]
            outcomes = post(database, *drafts)
            taken -= sum(outcome.entry.amount for outcome in outcomes if outcome.entry)
        return taken

    taken = together(databases, work)
    left = [balance(databases[0], tenant) for tenant in tenants]
    assert sum(taken) + sum(left) == 4000
    assert all(
        entry.balance_after >= 0 for tenant in tenants for entry in entries(databases[0], tenant)
    )
    assert min(left) < 30, "the writers should have fought for the last units"
    assert problems(databases[0]) == []


def test_the_same_key_from_many_threads_posts_once(databases: list[Database]) -> None:
    posted(databases[0], adjustment(100_000))
    asked = [debit(10) for _ in range(20)]
    outcomes = together(databases, lambda database, _: [post(database, d)[0] for d in asked])
    for same in zip(*outcomes, strict=True):
        assert sorted(summary(same)) == ["posted"] + ["replayed"] * (WRITERS - 1)
        assert len({outcome.entry for outcome in same}) == 1
    assert balance(databases[0]) == 100_000 - 20 * 10
    assert problems(databases[0]) == []


def test_the_same_key_in_two_currencies_at_once_is_posted_once(databases: list[Database]) -> None:
    """The wallets differ, so no lock keeps them apart: the unique key does."""
    posted(databases[0], adjustment(10_000), adjustment(10_000, currency="USD"))

    def work(database: Database, number: int) -> list[Outcome]:
        currency = ("EUR", "USD")[number % 2]
        asked = [debit(1, key=f"once-{n}", currency=currency) for n in range(20)]
        batcher = Batcher(database, lambda: NOON)
        batcher.start()
        answers = [batcher.submit([each]) for each in asked]
        batcher.stop()
        return [answer.result()[0] for answer in answers]

    outcomes = together(databases[:2], work)
    for pair in zip(*outcomes, strict=True):
        assert sorted(summary(pair)) == ["idempotency_key_reused", "posted"]
    assert problems(databases[0]) == []


def test_wallets_in_any_order_old_and_new_never_lock_each_other_out(
    databases: list[Database],
) -> None:
    """UnavailableError would be raised where the database ended a deadlock."""

    def work(database: Database, number: int) -> None:
        dice = random.Random(number)
        for step in range(20):
            # A few tenants more at each step: some exist, others are being made right now.
            tenants = dice.sample([f"t{n}" for n in range(4 + step)], 4)
            drafts: list[Draft | EffectDraft] = [
                effect(dice.randint(0, 90), tenant_id=tenants[0], order_id=dice.randint(1, 5)),
                debit(1, tenant_id=tenants[1]),
                adjustment(5, tenant_id=tenants[2]),
                hold(1, tenant_id=tenants[3]),
                effect(7, tenant_id=tenants[3], currency="USD", order_id=dice.randint(1, 5)),
            ]
            post(database, *drafts)

    together(databases, work)
    assert problems(databases[0]) == []


def test_orders_in_any_order_old_and_new_never_lock_each_other_out(
    databases: list[Database],
) -> None:
    def work(database: Database, number: int) -> None:
        dice = random.Random(number)
        for step in range(20):
            ids = dice.sample(range(4 + 2 * step), 4)
            while True:
                with contextlib.suppress(OvertakenError), database.write() as tx:
                    seen = orders.lock(tx, "main", ids)
                    changed = [o._replace(sightings=o.sightings + 1) for o in seen.values()]
                    orders.add(tx, [Seen("main", i, sightings=1) for i in ids if i not in seen])
                    orders.save(tx, changed, [])
                    break

    together(databases, work)
    with databases[0].read() as tx:
        seen = orders.known(tx, "main", range(100))
    assert sum(order.sightings for order in seen.values()) == WRITERS * 20 * 4


def test_hints_in_any_order_never_lock_each_other_out(databases: list[Database]) -> None:
    def work(database: Database, number: int) -> None:
        dice = random.Random(number)
        for _ in range(20):
            hints = [Hint("main", n, NOON, NOON, "webhook") for n in dice.sample(range(9), 6)]
            with database.write() as tx:
                inbox.put(tx, hints)
            with database.write() as tx:
                inbox.done(tx, inbox.claim(tx, "main", NOON, 5))

    together(databases, work)


def test_a_reader_sees_one_state_while_others_write(databases: list[Database]) -> None:
    reader, writer = databases[:2]
    posted(writer, adjustment(100))
    with reader.read() as tx:
        before = reports.wallet(tx, "acme", "EUR")
        posted(writer, debit(40), adjustment(1, tenant_id="new"))
        assert reports.wallet(tx, "acme", "EUR") == before
        assert len(list(reports.statement(tx, "acme", "EUR"))) == before.version
        assert [t.tenant_id for t in reports.tenants(tx, "", 10)] == ["acme"]
    assert balance(reader) == 60
