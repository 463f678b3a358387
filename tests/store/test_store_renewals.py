"""Renewals are kept, claimed once, paid once, and told of."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from psycopg import Cursor
from sqlalchemy import Engine, event

from bridge.domain import renewal as rules
from bridge.domain.clock import DAY, HOUR, Instant
from bridge.domain.entry import Draft
from bridge.domain.errors import UnavailableError
from bridge.domain.renewal import Renewal, Status, Unit, agreed
from bridge.domain.wallet import WalletId
from bridge.store import renewals
from bridge.store.database import Database
from bridge.store.renewal_payments import RenewalClosedError
from bridge.store.renewals import RenewalAmbiguousError, RenewalNotFoundError
from tests.examples import NOON
from tests.renewing import asked, counted, keep, kept, pay, renew, renewal
from tests.store.drafting import adjustment, balance, debit, entries, hold, posted, problems
from tests.telling import facts

ACME = WalletId("acme", "EUR")


def periods(database: Database) -> list[str]:
    """The keys of the debits that paid periods, oldest first."""
    return [one.idempotency_key for one in entries(database) if one.caller == rules.CALLER]


def by_the_core(renewal: Renewal, amount: int) -> Draft:
    """A debit of the SaaS core's own that names the period."""
    digest = rules.digest(renewal.reference, renewal.period)
    key = rules.key(renewal.reference, renewal.period)
    named = debit(amount, caller=rules.CALLER, key=key)
    return named._replace(digest=digest)


def spoiled(reference: str, due_at: Instant = NOON) -> Renewal:
    """A renewal that cannot be looked at: its zone was dropped from the time zone database, say."""
    return renewal(reference, due_at)._replace(timezone="Atlantis/Poseidonis")


# Kept


def test_a_renewal_is_kept_as_it_is_and_changed_in_place(database: Database) -> None:
    first = renewal(max_amount=2500, grace_until=NOON + DAY)
    keep(database, first)
    assert kept(database) == first
    changed = agreed(first, asked(amount=5), NOON + DAY)
    keep(database, changed)
    assert kept(database) == changed
    with database.read() as tx:
        assert renewals.get(tx, "acme", "sub-1") == changed
        assert renewals.get(tx, "globex", "sub-1") is None


def test_a_reference_is_enough_unless_two_tenants_have_it(database: Database) -> None:
    keep(database, renewal(), renewal(tenant_id="globex"), renewal("sub-2", tenant_id="globex"))
    assert kept(database, "sub-2").tenant_id == "globex"
    assert kept(database, "sub-1", "globex").tenant_id == "globex"
    with pytest.raises(RenewalAmbiguousError, match="tenant_id"):
        kept(database, "sub-1")
    with pytest.raises(RenewalNotFoundError):
        kept(database, "sub-3")
    with pytest.raises(RenewalNotFoundError):
        kept(database, "sub-2", "acme")


def test_a_tenants_renewals_are_paged_by_reference(database: Database) -> None:
    keep(database, *(renewal(name) for name in "cab"), renewal("d", tenant_id="globex"))
    with database.read() as tx:
        assert [one.reference for one in renewals.of_tenant(tx, "acme")] == ["a", "b", "c"]
        page = renewals.of_tenant(tx, "acme", after="a", limit=1)
    assert [one.reference for one in page] == ["b"]


def test_what_the_next_renewal_needs_is_told_by_wallet(database: Database) -> None:
    keep(
        database,
        renewal("later", NOON + DAY, amount=1),
        renewal("next", amount=1900, keep_at_least=100),
        renewal("paused", NOON - DAY, auto_renew=0),
        renewal("ended", NOON - DAY)._replace(status=Status.ENDED),
        renewal("dollars", currency="USD", amount=7),
    )
    with database.read() as tx:
        found = renewals.coming(tx, [ACME, WalletId("acme", "USD"), WalletId("globex", "EUR")])
    assert found == {ACME: 2000, WalletId("acme", "USD"): 7}


# Looked at


def test_nothing_is_due_before_its_time(database: Database) -> None:
    keep(database, renewal(due_at=NOON + 8 * DAY))
    with database.read() as tx:
        assert not renewals.due(tx, NOON + DAY - 1)
        assert renewals.due(tx, NOON + DAY)
        assert renewals.oldest(tx) == NOON + DAY
    assert renew(database, NOON + DAY - 1) == {}


def test_a_renewal_is_announced_then_paid(database: Database) -> None:
    posted(database, adjustment(1000))
    keep(database, renewal(due_at=NOON + 8 * DAY))
    assert renew(database, NOON + DAY) == {"upcoming": 1}
    assert renew(database, NOON + DAY) == {}
    posted(database, adjustment(2000))
    assert renew(database, NOON + 8 * DAY) == {"paid": 1}
    upcoming, paid = facts(database)
    assert (upcoming.data["available"], upcoming.data["shortfall"]) == (1000, 900)
    assert paid.data["entry_id"] == "acme.EUR.3"
    assert paid.data["next_due_at"] == "2026-12-30T12:00:00.000000Z"
    assert (kept(database).period, kept(database).entry_id) == ("2026-12-30", "acme.EUR.3")
    [entry] = entries(database)[2:]
    assert (entry.amount, entry.contra, entry.reference) == (-1900, "plans", "sub-1")
    assert entry.source == "renewal/sub-1/2026-11-30/plan_renewal"
    assert problems(database) == []


def test_a_short_renewal_is_overdue_and_says_what_is_missing(database: Database) -> None:
    posted(database, adjustment(1000))
    keep(database, renewal(keep_at_least=300))
    assert renew(database) == {"payment_failed": 1}
    [failed] = facts(database)
    said = {name: failed.data[name] for name in ("reason", "available", "shortfall", "failures")}
    assert said == {
        "reason": "insufficient_balance",
        "available": 1000,
        "shortfall": 1200,
        "failures": 1,
    }
    assert failed.data["retry_at"] == "2026-11-23T12:00:00.000000Z"
    assert failed.data["lapses_at"] == "2026-12-06T12:00:00.000000Z"
    assert kept(database).status == Status.OVERDUE
    assert balance(database) == 1000


def test_an_overdue_renewal_is_tried_again_and_lapses_loudly(database: Database) -> None:
    keep(database, renewal())
    days = {day: renew(database, NOON + day * DAY) for day in range(20)}
    assert {day: became for day, became in days.items() if became} == {
        0: {"payment_failed": 1},
        1: {"payment_failed": 1},
        3: {"payment_failed": 1},
        14: {"lapsed": 1},
    }
    assert (kept(database).status, kept(database).look_at) == (Status.LAPSED, None)


def test_what_has_lapsed_promises_no_retry(database: Database) -> None:
    keep(database, renewal(grace_until=NOON + HOUR))
    assert renew(database) == {"payment_failed": 1}
    assert renew(database, NOON + HOUR) == {"lapsed": 1}
    failed, lapsed = facts(database)
    assert failed.data["retry_at"] == "2026-11-23T12:00:00.000000Z"
    assert (lapsed.data["failures"], lapsed.data["retry_at"]) == (1, None)


def test_a_retry_that_finds_money_pays(database: Database) -> None:
    keep(database, renewal())
    renew(database)
    posted(database, adjustment(1900))
    assert renew(database, NOON + DAY) == {"paid": 1}
    assert kept(database).status == Status.ACTIVE


def test_scarce_money_goes_to_the_oldest_then_by_priority_and_past_what_does_not_fit(
    database: Database,
) -> None:
    posted(database, adjustment(100))
    keep(
        database,
        renewal("c", NOON, amount=30, priority=1),
        renewal("b", NOON - DAY, amount=60),
        renewal("a", NOON, amount=30, priority=2),
        renewal("d", NOON, amount=10, priority=3),
    )
    assert renew(database) == {"paid": 3, "payment_failed": 1}
    assert periods(database) == ["b/2026-11-21", "c/2026-11-22", "d/2026-11-22"]


def test_what_is_paid_by_hand_is_announced_when_it_is_due_and_never_debited(
    database: Database,
) -> None:
    posted(database, adjustment(10_000))
    keep(database, renewal(auto_renew=0))
    assert renew(database) == {"upcoming": 1}
    assert renew(database, NOON + 5 * DAY) == {}
    assert renew(database, NOON + 14 * DAY) == {"lapsed": 1}
    assert facts(database)[-1].data["reason"] == "not_automatic"
    assert balance(database) == 10_000


def test_no_more_is_debited_than_was_agreed_to(database: Database) -> None:
    posted(database, adjustment(10_000))
    keep(database, renewal(amount=1900, max_amount=1500))
    assert renew(database) == {"payment_failed": 1}
    assert facts(database)[0].data["reason"] == "exceeds_max_amount"
    keep(database, agreed(kept(database), asked(amount=1500, max_amount=1500), NOON + HOUR))
    assert renew(database, NOON + DAY) == {"paid": 1}


@pytest.mark.parametrize("auto_renew", [0, 1])
def test_a_period_that_the_core_paid_is_not_debited_again(
    database: Database, auto_renew: int
) -> None:
    one = renewal(auto_renew=auto_renew)
    keep(database, one)
    [by_core] = posted(database, adjustment(5000), by_the_core(one, 1700))[1:]
    assert renew(database) == {"paid": 1}
    assert balance(database) == 3300
    assert kept(database).entry_id == by_core.id
    with database.read() as tx:
        ahead = renewals.paid_ahead(tx, [one], NOON + 60 * DAY, 2)
    assert ahead == {("sub-1", "2026-11-22")}


@pytest.mark.parametrize("auto_renew", [0, 1])
def test_a_period_that_the_core_paid_ahead_is_not_announced(
    database: Database, auto_renew: int
) -> None:
    one = renewal(due_at=NOON + 7 * DAY, auto_renew=auto_renew)
    keep(database, one)
    posted(database, adjustment(1900), by_the_core(one, 1900))
    assert renew(database) == {"paid": 1}
    assert kept(database).period == "2026-12-29"


def test_a_period_that_is_begun_again_is_neither_paid_nor_told_again(database: Database) -> None:
    posted(database, adjustment(5000))
    keep(database, renewal())
    assert renew(database) == {"paid": 1}
    keep(database, agreed(rules.ended(kept(database), NOON), asked(), NOON))
    assert renew(database) == {"paid": 1}
    assert (balance(database), kept(database).period) == (3100, "2026-12-22")
    assert counted(database) == {"paid": 1}


def test_missed_periods_are_made_up_for_one_by_one(database: Database) -> None:
    posted(database, adjustment(10_000))
    keep(database, renewal())
    now = NOON + 70 * DAY
    assert [renew(database, now) for _ in range(4)] == [{"paid": 1}] * 3 + [{}]
    assert [key.partition("/")[2] for key in periods(database)] == [
        "2026-11-22",
        "2026-12-22",
        "2027-01-22",
    ]


def test_a_clock_that_was_set_back_debits_nothing_twice(database: Database) -> None:
    posted(database, adjustment(10_000))
    keep(database, renewal(unit=Unit.DAY, notice=0))
    for day in (0, 1, 0, 1, 2, 1, 2):
        renew(database, NOON + day * DAY)
    assert periods(database) == ["sub-1/2026-11-22", "sub-1/2026-11-23", "sub-1/2026-11-24"]
    assert counted(database) == {"paid": 3}


def test_an_overdue_one_is_no_news_to_a_clock_that_was_set_back(database: Database) -> None:
    keep(database, renewal())
    renew(database)
    keep(database, kept(database)._replace(look_at=NOON - HOUR))
    assert renew(database, NOON - HOUR) == {"payment_failed": 1}


def first(database: Database) -> Counter[str]:
    """Look at the first one alone."""
    with database.write() as tx:
        return renewals.renew_first(tx, NOON, NOON + HOUR)


def put_off(database: Database) -> list[str]:
    with database.read() as tx:
        return [one.reference for one in renewals.put_off(tx, NOON, NOON + HOUR)]


def test_only_what_comes_later_than_its_terms_say_was_put_off(database: Database) -> None:
    noticed = renewal("noticed", NOON + HOUR)._replace(noticed=1, look_at=NOON + HOUR)
    retried = renewal("retried", NOON - 23 * HOUR)
    keep(database, renewal("told", NOON + HOUR), noticed)
    keep(database, retried._replace(status=Status.OVERDUE, failures=1, failed_at=retried.due_at))
    keep(database, rules.looked_at(kept(database, "retried")))
    assert put_off(database) == []
    for later, name in enumerate(("noticed", "told", "retried"), 1):
        keep(database, kept(database, name)._replace(look_at=NOON + later))
    assert put_off(database) == ["noticed", "told", "retried"]


def test_the_first_one_is_put_off_where_it_fails_and_others_come(database: Database) -> None:
    posted(database, adjustment(1900))
    keep(database, spoiled("a", NOON - DAY), renewal("b"))
    assert first(database) == {"put_off": 1}
    assert kept(database, "a").look_at == NOON + HOUR
    assert put_off(database) == ["a"]
    assert first(database) == {"renewal.paid": 1}
    assert periods(database) == ["b/2026-11-22"]
    assert first(database) == {}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_server_that_goes_away_in_the_middle_puts_nothing_off(database: Database) -> None:
    made = renewal()
    keep(database, made)

    def end(_tx: object, cursor: Cursor, statement: str, *_: object) -> None:
        if "UPDATE renewals" in statement:
            pid = cursor.connection.info.backend_pid
            with database.read() as other:
                other.exec_driver_sql(f"SELECT pg_terminate_backend({pid}, 10000)")

    event.listen(Engine, "before_cursor_execute", end)
    try:
        with pytest.raises(UnavailableError):
            first(database)
    finally:
        event.remove(Engine, "before_cursor_execute", end)
    assert kept(database) == made


def test_two_replicas_share_the_work_and_pay_everything_once(database_url: str) -> None:
    replicas = [Database(database_url) for _ in range(2)]
    with replicas[0].write() as tx:
        for number in range(120):
            renewals.put(tx, renewal(f"sub-{number}", amount=1, tenant_id=f"t{number % 7}"))
    posted(replicas[0], *(adjustment(1000, tenant_id=f"t{number}") for number in range(7)))
    start = threading.Barrier(2)

    def work(database: Database) -> Counter[str]:
        start.wait()
        counts: Counter[str] = Counter()
        while became := renew(database, limit=5):
            counts.update(became)
        return counts

    with ThreadPoolExecutor() as pool:
        shares = list(pool.map(work, replicas))
    assert sum(shares, Counter()) == {"paid": 120}
    assert problems(replicas[0]) == []
    paid = [one for n in range(7) for one in entries(replicas[0], f"t{n}") if one.amount < 0]
    assert len({one.idempotency_key for one in paid}) == len(paid) == 120
    for replica in replicas:
        replica.close()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_what_another_replica_has_claimed_is_left_to_it(database: Database) -> None:
    posted(database, adjustment(5000))
    keep(database, renewal("a"), spoiled("b"))
    with database.write() as other:
        assert renewals.renew(other, NOON, 1) == {"renewal.paid": 1}
        assert first(database) == {"put_off": 1}
    assert renew(database) == {}


# Paid by hand


def test_a_period_is_paid_by_hand_once_for_each_key_for_ever(database: Database) -> None:
    posted(database, adjustment(10_000))
    keep(database, renewal())
    assert pay(database, "first") == "posted"
    assert pay(database, "first", now=NOON + 400 * DAY) == "replayed"
    assert kept(database).period == "2026-12-22"
    assert pay(database, "second") == "posted"
    assert pay(database, "first") == pay(database, "second") == "replayed"
    assert balance(database) == 10_000 - 2 * 1900
    assert counted(database) == {"paid": 2}


def test_a_key_that_paid_one_period_pays_no_other(database: Database) -> None:
    posted(database, adjustment(10_000))
    keep(database, renewal(), renewal("sub-2"))
    assert pay(database, "key", period="2026-11-22") == "posted"
    assert pay(database, "key", period="2026-11-22") == "replayed"
    assert pay(database, "key", period="2026-12-22") == "idempotency_key_reused"
    assert pay(database, "key", "sub-2") == "idempotency_key_reused"


def test_a_period_that_is_named_is_paid_once_whatever_the_key(database: Database) -> None:
    posted(database, adjustment(10_000))
    keep(database, renewal())
    assert pay(database, "one", period="2026-11-22") == "posted"
    assert pay(database, "two", period="2026-11-22") == "replayed"
    assert balance(database) == 8100
    with pytest.raises(RenewalClosedError, match="2027-01-22"):
        pay(database, "three", period="2027-01-22")


def test_a_payment_that_is_declined_leaves_no_trace_under_its_key(database: Database) -> None:
    posted(database, adjustment(1000))
    keep(database, renewal())
    assert pay(database, "key") == "insufficient_balance"
    assert (kept(database), facts(database)) == (renewal(), [])
    posted(database, adjustment(1000))
    assert pay(database, "key") == "posted"


def test_a_person_may_take_what_is_to_be_kept_and_more_than_bridge_may(database: Database) -> None:
    posted(database, adjustment(1900))
    keep(database, renewal(keep_at_least=1000, max_amount=5, auto_renew=0))
    assert pay(database) == "posted"
    assert balance(database) == 0


def test_a_lapsed_renewal_that_is_paid_begins_anew_from_that_day(database: Database) -> None:
    keep(database, renewal(retries="[]", grace=DAY))
    renew(database)
    assert renew(database, NOON + DAY) == {"lapsed": 1}
    posted(database, adjustment(1900))
    assert pay(database, now=NOON + 10 * DAY) == "posted"
    after = kept(database)
    assert (after.status, after.period) == (Status.ACTIVE, "2027-01-02")
    assert periods(database) == ["sub-1/2026-11-22"]


def test_what_has_ended_is_not_paid(database: Database) -> None:
    posted(database, adjustment(5000))
    keep(database, rules.ended(renewal(), NOON))
    with pytest.raises(RenewalClosedError, match="PUT"):
        pay(database)
    with pytest.raises(RenewalNotFoundError):
        pay(database, reference="sub-9")
    assert renew(database) == {}


def test_one_key_sent_many_times_at_once_pays_one_period(database_url: str) -> None:
    outcomes = paid_at_once(database_url, "sub-1", "sub-1", "sub-1", "sub-1")
    assert outcomes == ["posted", "replayed", "replayed", "replayed"]


def test_one_key_for_many_renewals_at_once_pays_one_of_them(database_url: str) -> None:
    outcomes = paid_at_once(database_url, "sub-1", "sub-2", "sub-3", "sub-4")
    assert outcomes == [*["idempotency_key_reused"] * 3, "posted"]


def paid_at_once(url: str, *references: str) -> list[str]:
    """What becomes of payments under one key, each by a replica; together they take one amount."""
    replicas = [Database(url) for _ in references]
    posted(replicas[0], adjustment(10_000))
    keep(replicas[0], *map(renewal, set(references)))
    start = threading.Barrier(len(replicas))

    def work(database: Database, reference: str) -> str:
        start.wait()
        return pay(database, "key", reference)

    with ThreadPoolExecutor() as pool:
        outcomes = sorted(pool.map(work, replicas, references))
    assert balance(replicas[0]) == 8100
    for replica in replicas:
        replica.close()
    return outcomes


def test_held_money_pays_no_renewal(database: Database) -> None:
    posted(database, adjustment(1900), hold(1))
    keep(database, renewal())
    assert renew(database) == {"payment_failed": 1}
    assert facts(database)[0].data["shortfall"] == 1


def test_a_renewal_of_a_tenant_without_a_wallet_is_short_of_everything(
    database: Database,
) -> None:
    keep(database, renewal(tenant_id="new"), renewal("hand", tenant_id="new", auto_renew=0))
    assert renew(database) == {"payment_failed": 1, "upcoming": 1}
    assert {fact.data["shortfall"] for fact in facts(database)} == {1900}
