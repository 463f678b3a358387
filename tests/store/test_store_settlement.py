"""Money that arrives pays what is overdue, in the very database transaction that brings it."""

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest

from bridge.billing.renewals import Renewals
from bridge.domain import renewal as rules
from bridge.domain.clock import DAY, HOUR, Clock
from bridge.domain.entry import Draft, EffectDraft, Kind, Outcome
from bridge.domain.renewal import Renewal, Status, Unit, agreed
from bridge.store import ledger, renewals, reports
from bridge.store.batcher import Batcher
from bridge.store.database import Connection, Database
from bridge.store.renewal_payments import ByHand
from tests.examples import NOON
from tests.renewing import TERMS, asked, counted, keep, kept, renew, renewal
from tests.store.drafting import (
    adjustment,
    balance,
    debit,
    effect,
    entries,
    follow,
    hold,
    posted,
    problems,
    summary,
)
from tests.telling import facts

ROUNDS = 300
"""Of each of the four that work beside each other."""

TENANTS = ["t0", "t1", "t2"]

LONG = TERMS._replace(grace=60 * DAY)


def settle(database: Database, *drafts: Draft | EffectDraft) -> list[Outcome]:
    """Post drafts and settle, as everybody does who brings money; the debits that were posted."""
    with database.write() as tx:
        return renewals.settle(tx, ledger.post(tx, drafts, NOON), NOON)


def paid(database: Database, tenant_id: str = "acme") -> list[str]:
    """The periods that were paid, in order."""
    found = entries(database, tenant_id)
    return [one.idempotency_key for one in found if one.caller == rules.CALLER]


def overdue(reference: str = "sub-1", **fields: Any) -> Renewal:
    """A renewal that was due yesterday, and for which there was too little."""
    due_at = fields.pop("due_at", NOON - DAY)
    return rules.failed(renewal(reference, due_at, **fields), "insufficient_balance", NOON - DAY)


@pytest.fixture
def batcher(database: Database) -> Iterator[Batcher]:
    batcher = Batcher(database, lambda: NOON)
    batcher.start()
    yield batcher
    batcher.stop()


def test_an_order_that_is_credited_pays_what_is_overdue(database: Database) -> None:
    keep(database, overdue())
    [settled] = settle(database, effect(5000))
    assert settled.entry
    assert settled.entry.id == "acme.EUR.2"
    after = kept(database)
    assert (after.status, after.period) == (Status.ACTIVE, "2026-12-21")
    assert counted(database) == {"paid": 1}
    assert balance(database) == 3100
    assert problems(database) == []


def test_what_brings_no_money_settles_nothing(database: Database) -> None:
    keep(database, overdue(amount=100))
    posted(database, adjustment(5000))
    assert settle(database, debit(1), hold(1), adjustment(-1), effect(0)) == []
    assert settle(database, debit(999_999)) == []
    assert kept(database).status == Status.OVERDUE


def arrival(database: Database, way: str) -> Draft:
    """A draft that brings 1900 or more, by one of the ways through the API."""
    if way == "adjustment":
        return adjustment(1900)
    if way == "refund":
        [_, taken] = posted(database, adjustment(1900), debit(1900))
        return follow(Kind.DEBIT_REFUND, taken)
    ending = NOON if way == "expire" else NOON + HOUR
    [_, reserved] = posted(database, adjustment(2000), hold(2000, expires_at=ending))
    return follow(Kind(way), reserved, 100 if way == "capture" else None)


@pytest.mark.parametrize("way", ["adjustment", "refund", "void", "expire", "capture"])
def test_whatever_the_api_brings_pays_too_and_its_memory_learns_of_it(
    database: Database, batcher: Batcher, way: str
) -> None:
    draft = arrival(database, way)
    keep(database, overdue())
    assert summary(batcher.submit([draft]).result()) == ["posted"]
    assert paid(database) == ["sub-1/2026-11-21"]
    assert summary(batcher.submit([debit(1900)]).result()) == ["insufficient_balance"]
    assert problems(database) == []


def test_money_and_what_it_pays_stand_or_fall_together(database: Database) -> None:
    keep(database, overdue())

    def fail(tx: Connection) -> None:
        renewals.settle(tx, ledger.post(tx, [effect(5000)], NOON), NOON)
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError), database.write() as tx:
        fail(tx)
    assert entries(database) == []
    assert (kept(database), facts(database)) == (overdue(), [])


def test_the_oldest_is_paid_first_then_by_priority_past_what_does_not_fit(
    database: Database,
) -> None:
    keep(
        database,
        overdue("old", due_at=NOON - 3 * DAY, amount=50),
        overdue("dear", amount=60, priority=1),
        overdue("second", amount=20, priority=2),
        overdue("third", amount=20, priority=3),
        overdue("keeping", amount=10, keep_at_least=1, priority=4),
    )
    settle(database, effect(100))
    assert [key.partition("/")[0] for key in paid(database)] == ["old", "second", "third"]
    assert counted(database) == {"paid": 3}


def test_of_one_renewal_only_the_period_that_is_overdue_is_paid(database: Database) -> None:
    """The next one, if due by now, is the run's: it comes at once."""
    keep(database, overdue(due_at=NOON - 40 * DAY))
    settle(database, effect(5000))
    assert paid(database) == ["sub-1/2026-10-13"]
    assert renew(database) == {"paid": 1}


def test_only_what_was_agreed_is_paid(database: Database) -> None:
    keep(
        database,
        overdue("by-hand", auto_renew=0),
        overdue("dear", max_amount=5),
        overdue("lapsed")._replace(status=Status.LAPSED),
        overdue("dollars", currency="USD"),
        overdue("other", tenant_id="globex"),
        renewal("not-due", NOON + DAY),
    )
    assert settle(database, effect(50_000)) == []


def test_a_period_that_the_core_paid_is_settled_without_another_debit(database: Database) -> None:
    late = overdue()
    keep(database, late)
    core = rules.draft(late)._replace(amount=1)
    posted(database, adjustment(1), core)
    assert settle(database, effect(5000)) == []
    assert (kept(database).status, balance(database)) == (Status.ACTIVE, 5000)


def test_a_renewal_that_cannot_be_dealt_with_does_not_stop_the_money(database: Database) -> None:
    """Its zone was dropped from the time zone database, say."""
    keep(database, overdue("lost", timezone="UTC")._replace(timezone="Atlantis/Poseidonis"))
    keep(database, overdue())
    assert settle(database, effect(5000)) == []
    assert (balance(database), facts(database)) == (5000, [])
    assert problems(database) == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_what_somebody_else_looks_at_is_left_to_them_and_they_see_the_money(
    database: Database,
) -> None:
    posted(database, adjustment(1))
    keep(database, overdue()._replace(look_at=NOON))
    with database.write() as run:
        locked = renewals.get(run, "acme", "sub-1", lock=True)
        assert settle(database, effect(5000)) == []
        assert locked
        assert renewals.renew(run, NOON, 1) == {"renewal.paid": 1}
    assert balance(database) == 3101


class Interrupted(Database):
    """A database that does something else before each commit."""

    def __init__(self, url: str, meanwhile: Callable[[], object]) -> None:
        super().__init__(url)
        self._meanwhile = meanwhile

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        with super().write() as tx:
            yield tx
            self._meanwhile()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_what_is_being_changed_is_left_and_tried_at_once_when_that_is_done(
    database: Database, database_url: str
) -> None:
    keep(database, overdue(retries="[720]"))
    passed_over: list[list[Outcome]] = []
    slow = Interrupted(database_url, lambda: passed_over.append(settle(database, effect(5000))))
    wish = asked(due_at=NOON - DAY, amount=2900, retries="[720]")
    Renewals(slow, lambda: NOON, TERMS).put(wish, create_tenant=True)
    slow.close()
    assert passed_over == [[]]
    assert renew(database) == {"paid": 1}
    assert balance(database) == 2100


def by_the_core(amount: int, key: str = "sub-1/2026-11-21") -> Draft:
    """A debit of the SaaS core's own that names the period."""
    reference, period = key.split("/")
    named = debit(amount, caller=rules.CALLER, key=key)
    return named._replace(reference=reference, digest=rules.digest(reference, period))


def test_what_the_core_pays_itself_is_settled_by_its_debit(database: Database) -> None:
    """Also where bridge may not debit; and no other renewal of the wallet is paid by it."""
    posted(database, adjustment(4000))
    keep(database, overdue(auto_renew=0), overdue("sub-2"))
    assert settle(database, by_the_core(5)) == []
    assert (kept(database).status, kept(database).period) == (Status.ACTIVE, "2026-12-21")
    assert kept(database, "sub-2") == overdue("sub-2")
    assert paid(database) == ["sub-1/2026-11-21"]
    assert counted(database) == {"paid": 1}
    assert problems(database) == []


def test_a_debit_of_another_period_or_currency_settles_nothing(database: Database) -> None:
    posted(database, adjustment(4000), adjustment(4000, key="usd", currency="USD"))
    keep(database, overdue(), overdue("sub-2"))
    other = by_the_core(5, "sub-2/2026-11-21")._replace(currency="USD")
    assert settle(database, by_the_core(5, "sub-1/2026-12-21"), other) == []
    assert (kept(database), kept(database, "sub-2")) == (overdue(), overdue("sub-2"))


def test_a_renewal_that_cannot_be_looked_at_does_not_stop_the_cores_debit(
    database: Database,
) -> None:
    posted(database, adjustment(4000))
    spoiled = overdue()._replace(timezone="Atlantis/Poseidonis")
    keep(database, spoiled)
    settle(database, by_the_core(5))
    assert (balance(database), kept(database)) == (3995, spoiled)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_what_was_paid_by_hand_before_is_replayed_and_keeps_no_settlement_off(
    database: Database, database_url: str
) -> None:
    posted(database, adjustment(1900))
    keep(database, renewal(due_at=NOON - DAY, unit=Unit.DAY))
    by_hand = ByHand("acme", "core", "key", "sub-1", "2026-11-21")
    Renewals(database, lambda: NOON, TERMS).pay(by_hand)
    renew(database)
    settled: list[list[Outcome]] = []
    slow = Interrupted(database_url, lambda: settled.append(settle(database, effect(5000))))
    Renewals(slow, lambda: NOON, TERMS).pay(by_hand)
    slow.close()
    assert [len(outcomes) for outcomes in settled] == [1]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_first_money_of_a_tenant_waits_for_who_looks_at_the_renewal(
    database: Database,
) -> None:
    """There is a wallet to be locked before anything was ever posted."""
    keep(database, overdue()._replace(look_at=NOON))
    with ThreadPoolExecutor() as pool:
        with database.write() as run:
            assert renewals.renew(run, NOON, 1) == {"renewal.payment_failed": 1}
            settled = pool.submit(settle, database, effect(5000))
            wait_for_a_waiter(database)
        assert len(settled.result()) == 1


def wait_for_a_waiter(database: Database) -> None:
    """Wait until somebody waits for a lock."""
    waiters = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with database.read() as tx:
            if tx.exec_driver_sql(waiters).scalar_one():
                return
    raise AssertionError("nobody waited")


class Beside:
    """One of four that work beside each other; their common clock goes on as they read it."""

    def __init__(self, url: str, place: int, steps: Iterator[int]) -> None:
        self.database = Database(url)
        self.dice = random.Random(place)
        self.now: Clock = lambda: NOON + next(steps) * HOUR // 4
        self.desk = Renewals(self.database, self.now, LONG)
        self.work = (self.bring, self.run, self.change, self.pay)[place]

    def bring(self) -> None:
        brought = adjustment(self.dice.randint(1, 5), tenant_id=self.dice.choice(TENANTS))
        with self.database.write() as tx:
            now = self.now()
            renewals.settle(tx, ledger.post(tx, [brought], now), now)

    def run(self) -> None:
        renew(self.database, self.now(), 4)

    def change(self) -> None:
        changed = daily(self.dice.choice(TENANTS), 0, self.dice.randint(5, 20))
        self.desk.put(changed, create_tenant=True)

    def pay(self) -> None:
        self.desk.pay(ByHand("t0", "core", f"{self.dice.random()}", "t0-0"))


def daily(tenant_id: str, number: int, amount: int) -> Renewal:
    """A renewal of every day, which no retry helps within the month."""
    return asked(
        f"{tenant_id}-{number}",
        tenant_id=tenant_id,
        amount=amount,
        unit=Unit.DAY,
        retries="[720]",
        keep_at_least=number,
        **LONG._asdict(),
    )


def test_whoever_works_beside_whom_nothing_that_fits_stays_overdue(database_url: str) -> None:
    """Nobody locks another out either, and nothing is paid twice."""
    steps = count()
    four = [Beside(database_url, place, steps) for place in range(4)]
    database = four[0].database
    first = [daily(tenant_id, number, 10) for tenant_id in TENANTS for number in range(4)]
    keep(database, *(agreed(None, one, NOON) for one in first))
    posted(database, *(adjustment(1, tenant_id=tenant_id) for tenant_id in TENANTS))
    start = threading.Barrier(4)

    def work(one: Beside) -> None:
        start.wait()
        for _ in range(ROUNDS):
            one.work()

    with ThreadPoolExecutor() as pool:
        list(pool.map(work, four))
    end = four[0].now()
    while renew(database, end):
        pass
    assert problems(database) == []
    assert fitting(database) == []
    every = [key for tenant_id in TENANTS for key in paid(database, tenant_id)]
    assert len(set(every)) == len(every) > 0
    for one in four:
        one.database.close()


def fitting(database: Database) -> list[Renewal]:
    """Overdue renewals for which there is enough."""
    with database.read() as tx:
        available = {name: reports.wallet(tx, name, "EUR").available for name in TENANTS}
        every = [one for name in TENANTS for one in renewals.of_tenant(tx, name)]
    overdue = [one for one in every if one.status == Status.OVERDUE]
    assert overdue, "there was money enough for all"
    return [one for one in overdue if one.amount + one.keep_at_least <= available[one.tenant_id]]
