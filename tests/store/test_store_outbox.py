"""The outbox: word of what happened is there if and only if it happened, in the order it did."""

import contextlib
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from bridge.domain.clock import Clock
from bridge.domain.entry import Draft, Kind
from bridge.domain.event import EventType, Happened
from bridge.store import ledger, outbox
from bridge.store.batcher import Batcher
from bridge.store.database import Database
from bridge.store.memory import Memory
from bridge.store.outbox import Span, Told
from tests.store.drafting import (
    NOON,
    adjustment,
    debit,
    effect,
    entries,
    follow,
    hold,
    post,
    posted,
    summary,
)
from tests.store.test_store_memory import working
from tests.telling import published, publisher, waiting

POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
CREDITED = EventType.WALLET_CREDITED
FACT = Happened(EventType.ORDER_HELD, "acme", NOON, {"order_id": 7, "because": "süß \x00 🦊"})


class UndoneError(Exception):
    """Raised to leave nothing behind."""


def span(
    first: int,
    last: int,
    said: EventType = EventType.WALLET_DEBITED,
    *,
    tenant_id: str = "acme",
    currency: str = "EUR",
) -> Span:
    return Span(tenant_id, currency, said, first, last)


@pytest.fixture
def remembering(database: Database) -> Memory:
    """A memory of two wallets, each with one entry of 100, of which word was taken."""
    memory = Memory(database)
    memory.learn(post(database, adjustment(100), adjustment(100, tenant_id="beta")))
    forget(database)
    return memory


@pytest.fixture(params=["event loop", "thread"])
def batcher(request: pytest.FixtureRequest, database: Database, clock: Clock) -> Iterator[Batcher]:
    """A batcher, as the daemon runs it and as others do."""
    with working(database, clock, request.param) as batcher:
        yield batcher


def forget(database: Database) -> None:
    with database.write() as tx:
        outbox.drop(tx, outbox.take(tx, 10_000).ids)


def ask(batcher: Batcher, *drafts: Draft) -> list[str]:
    return summary(batcher.submit(drafts).result(30))


# Word of entries


def test_a_commit_leaves_one_row_that_names_the_new_entries_of_each_wallet(
    database: Database,
) -> None:
    posted(database, adjustment(100), adjustment(5), adjustment(100, currency="USD"))
    posted(database, debit(1), adjustment(2), adjustment(-2), debit(3, currency="USD"))
    with database.read() as tx:
        taken = outbox.take(tx, 100)
    assert taken.told == [
        Told(NOON, [span(1, 2, CREDITED), span(1, 1, CREDITED, currency="USD")]),
        Told(
            NOON,
            [span(3, 3), span(4, 4, CREDITED), span(5, 5), span(2, 2, currency="USD")],
        ),
    ]


def test_every_kind_of_draft_leaves_word(database: Database) -> None:
    _, taken, held = posted(database, adjustment(100), debit(30), hold(20))
    posted(database, follow(Kind.DEBIT_REFUND, taken, 10), follow(Kind.CAPTURE, held, 5))
    posted(database, effect(50), effect(20, order_id=2))
    posted(database, effect(0))
    assert waiting(database) == [
        *(span(1, 1, CREDITED), span(2, 2), span(3, 3, EventType.HOLD_PLACED)),
        *(span(4, 4, CREDITED), span(5, 5, EventType.HOLD_CAPTURED)),
        *(span(6, 7, CREDITED), span(8, 8, EventType.WALLET_REVERSED)),
    ]


def test_what_is_undone_leaves_no_word(database: Database) -> None:
    with contextlib.suppress(UndoneError), database.write() as tx:
        ledger.post(tx, [adjustment(100)], NOON)
        outbox.add(tx, [FACT])
        raise UndoneError
    assert waiting(database) == []


def test_what_is_declined_or_replayed_leaves_no_word(database: Database) -> None:
    once = adjustment(100)
    posted(database, once)
    forget(database)
    assert summary(post(database, once, debit(101), effect(0))) == [
        *("replayed", "insufficient_balance", "replayed")
    ]
    assert waiting(database) == []


def test_debits_by_the_batcher_leave_word_of_themselves_alone(
    database: Database, batcher: Batcher
) -> None:
    assert ask(batcher, adjustment(100), adjustment(100, tenant_id="beta")) == ["posted"] * 2
    forget(database)
    # From memory, all of a batch; then with one that has to go the usual way.
    assert ask(batcher, debit(1), debit(2), debit(3, tenant_id="beta")) == ["posted"] * 3
    assert waiting(database) == [span(2, 3), span(2, 2, tenant_id="beta")]
    forget(database)
    assert ask(batcher, debit(4), debit(500, tenant_id="beta")) == [
        *("posted", "insufficient_balance")
    ]
    assert waiting(database) == [span(4, 4)]


def test_a_write_from_memory_leaves_word_of_the_wallets_that_were_as_remembered(
    database: Database, remembering: Memory
) -> None:
    posted(database, debit(1, tenant_id="beta"))
    forget(database)
    moved = remembering.write(
        remembering.plan([debit(10), debit(20), debit(30, tenant_id="beta")], NOON)
    )
    # SQLite writes all of them or none.
    assert {wallet.tenant_id for wallet in moved} == (set() if database.is_sqlite else {"acme"})
    assert waiting(database) == ([] if database.is_sqlite else [span(2, 3)])


def test_a_write_from_memory_that_moved_nothing_leaves_no_word(
    database: Database, remembering: Memory
) -> None:
    posted(database, debit(1))
    forget(database)
    assert remembering.write(remembering.plan([debit(10)], NOON)) == set()
    assert waiting(database) == []


# Facts, and taking them


def test_a_fact_comes_out_as_it_went_in(database: Database) -> None:
    with database.write() as tx:
        outbox.add(tx, [FACT, FACT._replace(tenant_id="")])
        outbox.add(tx, [])
    assert waiting(database) == [FACT, FACT._replace(tenant_id="")]


def test_rows_are_taken_oldest_first_until_they_tell_as_much_as_asked_for(
    database: Database,
) -> None:
    for wallets in (5, 3, 1):
        some = [f"t{number}" for number in range(wallets)]
        posted(database, *(adjustment(1, tenant_id=one) for one in some for _ in range(2)))

    def sizes(spans_max: int) -> tuple[list[int], bool]:
        with database.read() as tx:
            taken = outbox.take(tx, spans_max)
        return [one.size for one in taken.told], taken.full

    assert sizes(1) == sizes(5) == ([5], True)
    assert sizes(6) == sizes(8) == ([5, 3], True)
    assert sizes(9) == ([5, 3, 1], True)
    assert sizes(10) == ([5, 3, 1], False)


def test_of_what_was_taken_the_oldest_may_do(database: Database) -> None:
    for wallets in (2, 3, 1):
        posted(database, *(adjustment(1, tenant_id=f"t{number}") for number in range(wallets)))
    with database.read() as tx:
        taken = outbox.take(tx, 100)
    assert taken.size == 6

    def sizes(spans_max: int) -> tuple[list[int], bool]:
        some = taken.first(spans_max)
        assert list(some.ids) == list(taken.ids)[: len(some.ids)]
        return [one.size for one in some.told], some.full

    assert sizes(1) == sizes(2) == ([2], True)
    assert sizes(3) == sizes(5) == ([2, 3], True)
    assert sizes(6) == sizes(7) == ([2, 3, 1], False)


def test_a_row_says_which_wallets_it_is_about() -> None:
    spans = [span(1, 2), span(1, 1, tenant_id="beta", currency="USD")]
    assert Told(NOON, spans).wallets == {("acme", "EUR"), ("beta", "USD")}
    dollars = FACT._replace(data={"currency": "USD"})
    assert Told(NOON, facts=[FACT, dollars, dollars._replace(tenant_id="")]).wallets == {
        ("acme", "USD")
    }


def test_no_more_rows_are_taken_at_once_than_can_be_read_quickly(database: Database) -> None:
    long = FACT._replace(data={"because": "x" * 4 * outbox.SPAN_SIZE})
    with database.write() as tx:
        for _ in range(3):
            outbox.add(tx, [long])
        taken = outbox.take(tx, 8)
        assert ([one.size for one in taken.told], taken.full) == ([1, 1], True)
        outbox.drop(tx, taken.ids)
        assert outbox.take(tx, 8).told == [Told(NOON, facts=[long])]


def test_the_outbox_says_how_much_waits_and_since_when(database: Database) -> None:
    with database.read() as tx:
        assert outbox.waiting(tx) == (0, None)
    posted(database, adjustment(1), now=NOON)
    posted(database, adjustment(1), now=NOON + 5)
    with database.read() as tx:
        assert outbox.waiting(tx) == (2, NOON)


@POSTGRESQL
def test_a_row_that_commits_later_than_a_larger_one_is_not_dropped_with_it(
    database: Database,
) -> None:
    with database.write() as slow:
        ledger.post(slow, [adjustment(1, tenant_id="slow")], NOON)
        posted(database, adjustment(1, tenant_id="fast"))
        assert waiting(database) == [span(1, 1, CREDITED, tenant_id="fast")]
        forget(database)
    assert waiting(database) == [span(1, 1, CREDITED, tenant_id="slow")]
    with database.read() as tx:
        assert tx.execute(text("SELECT last_value FROM outbox_id_seq")).scalar() == 2


def test_writers_that_fight_for_wallets_are_published_in_order_and_once(
    database_url: str, database: Database, clock: Clock
) -> None:
    """Some write from memory and some by locking, while two publishers publish all the time."""
    names = ["acme", "beta", "gamma"]
    posted(database, *(adjustment(10_000, tenant_id=name) for name in names))
    writing = threading.Event()
    writing.set()

    def write(number: int) -> None:
        dice = random.Random(number)
        with (
            contextlib.closing(Database(database_url)) as mine,
            working(mine, clock, "thread") as b,
        ):
            for _ in range(25):
                drafts = [debit(1, tenant_id=name) for name in dice.choices(names, k=3)]
                if number % 2:
                    post(mine, *drafts)
                else:
                    b.submit(drafts).result(30)

    def publish(_: int) -> None:
        with contextlib.closing(Database(database_url)) as mine:
            one = publisher(mine, clock)
            while writing.is_set():
                one.publish()

    with ThreadPoolExecutor(2) as publishers, ThreadPoolExecutor(4) as writers:
        going = [publishers.submit(publish, number) for number in range(2)]
        list(writers.map(write, range(4)))
        writing.clear()
        for one in going:
            one.result()
    # On a busy machine they may have come too late to publish anything.
    rest = publisher(database, clock)
    while rest.publish():
        pass
    events = published(database)
    assert [event.seq for event in events] == list(range(1, len(events) + 1)), "a gap"
    for name in names:
        versions = [event.version for event in events if event.tenant_id == name]
        assert versions == [entry.version for entry in entries(database, name)]
