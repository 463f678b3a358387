"""The run through what is due, and what is agreed on meanwhile."""

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat
from typing import Any

import pytest
from sqlalchemy import Engine, event

from bridge import metrics
from bridge.billing.renewals import (
    BATCH_MAX,
    BATCH_SQLITE_MAX,
    PUT_OFF_MAX,
    Renewals,
    RenewalsFailingError,
)
from bridge.domain.alert import Threshold
from bridge.domain.clock import DAY, HOUR
from bridge.domain.errors import InvalidRequestError, UnavailableError
from bridge.domain.renewal import Renewal, Status
from bridge.notify.balances import Rules
from bridge.store.database import Connection, Database
from bridge.store.renewal_payments import ByHand
from bridge.store.renewals import RenewalNotFoundError
from bridge.store.reports import TenantNotFoundError
from tests.conftest import FakeClock
from tests.renewing import TERMS, asked, keep, kept, renewal
from tests.store.drafting import adjustment, balance, posted
from tests.telling import published, publisher, types


@pytest.fixture
def desk(database: Database, clock: FakeClock) -> Renewals:
    return Renewals(database, clock, TERMS)


def many(number: int, **fields: Any) -> list[Renewal]:
    return [renewal(f"sub-{n:03}", amount=1, **fields) for n in range(number)]


def spoiled(renewal: Renewal) -> Renewal:
    return renewal._replace(timezone="Atlantis/Poseidonis")


@contextlib.contextmanager
def statements() -> Iterator[list[str]]:
    """Collect the statements of the block."""
    made: list[str] = []

    def note(_tx: object, _cursor: object, statement: str, *_: object) -> None:
        made.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield made
    event.remove(Engine, "before_cursor_execute", note)


# Agreed


def test_a_renewal_is_agreed_on_with_the_terms_of_the_configuration(
    database: Database, desk: Renewals, clock: FakeClock
) -> None:
    wish = asked(due_at=clock() + 30 * DAY, notice=0, grace=0)
    made, created = desk.put(wish, create_tenant=True)
    assert created
    assert (made.notice, made.grace, made.look_at) == (*TERMS, clock() + 23 * DAY)
    assert kept(database) == made


def test_asked_for_again_it_is_neither_written_nor_locked(desk: Renewals, clock: FakeClock) -> None:
    made, _ = desk.put(asked(), create_tenant=True)
    clock.advance(60)
    with statements() as said:
        assert desk.put(asked(), create_tenant=True) == (made, False)
    assert [words for words in said if "INSERT" in words or "UPDATE" in words] == []


def test_an_overdue_renewal_that_is_changed_is_tried_at_once(
    database: Database, desk: Renewals
) -> None:
    desk.put(asked(), create_tenant=True)
    assert desk.run(lambda: False) == {"renewal.payment_failed": 1}
    assert desk.run(lambda: False) == {}
    desk.put(asked(amount=1800), create_tenant=True)
    assert desk.run(lambda: False) == {"renewal.payment_failed": 1}


def test_a_renewal_that_is_new_or_changed_or_ended_may_change_what_is_low(
    database: Database, desk: Renewals, clock: FakeClock
) -> None:
    posted(database, adjustment(1900))
    wish = asked(due_at=clock() + 30 * DAY)
    assert alerts(database, clock) == []
    desk.put(wish, create_tenant=True)
    assert alerts(database, clock) == []
    desk.put(wish._replace(amount=1901), create_tenant=True)
    assert alerts(database, clock) == ["balance.low"]
    desk.put(wish, create_tenant=True)
    assert alerts(database, clock) == ["balance.low", "balance.recovered"]
    desk.put(asked("sub-2", clock() + 20 * DAY, amount=5000), create_tenant=True)
    clock.advance(86_400)
    assert alerts(database, clock)[2:] == ["balance.low"]
    desk.end("sub-2")
    assert alerts(database, clock)[3:] == ["balance.recovered"]


def test_one_that_comes_up_at_once_is_announced_before_the_balance_is_called_low(
    database: Database, desk: Renewals, clock: FakeClock
) -> None:
    posted(database, adjustment(1))
    assert alerts(database, clock) == []
    desk.put(asked(due_at=clock() + DAY), create_tenant=True)
    assert alerts(database, clock) == []
    desk.run(lambda: False)
    assert alerts(database, clock) == ["balance.low"]
    said = types(published(database))
    assert said.index("renewal.upcoming") < said.index("balance.low")


def alerts(database: Database, clock: FakeClock) -> list[str]:
    """All alerts so far, where a balance is low that does not cover the next renewal."""
    rules = Rules({}, Threshold(next_renewal=True), HOUR)
    while publisher(database, clock, rules=rules).publish():
        pass
    return [one for one in types(published(database)) if one.startswith("balance.")]


def test_nobody_is_made_a_tenant_who_shall_not_be(desk: Renewals) -> None:
    with pytest.raises(TenantNotFoundError):
        desk.put(asked(), create_tenant=False)
    with pytest.raises(RenewalNotFoundError):
        desk.end("sub-1")


def test_a_date_that_makes_no_sense_leaves_everything_as_it_was(
    database: Database, desk: Renewals, clock: FakeClock
) -> None:
    made, _ = desk.put(asked(), create_tenant=True)
    with pytest.raises(InvalidRequestError, match="next_due_at"):
        desk.put(asked(due_at=clock() - 400 * DAY), create_tenant=True)
    assert kept(database) == made


def test_of_two_who_ask_first_at_once_one_is_first(database_url: str, clock: FakeClock) -> None:
    databases = [Database(database_url) for _ in range(4)]
    start = threading.Barrier(len(databases))

    def ask(database: Database) -> bool:
        start.wait()
        return Renewals(database, clock, TERMS).put(asked(), create_tenant=True)[1]

    with ThreadPoolExecutor() as pool:
        assert sorted(pool.map(ask, databases)) == [False, False, False, True]
    for database in databases:
        database.close()


def test_an_ended_renewal_is_kept_and_ending_it_again_changes_nothing(
    database: Database, desk: Renewals, clock: FakeClock
) -> None:
    desk.put(asked(), create_tenant=True)
    ended = desk.end("sub-1")
    clock.advance(60)
    assert desk.end("sub-1", "acme") == ended == kept(database)
    assert ended.status == Status.ENDED
    assert desk.run(lambda: False) == {}


def test_it_is_paid_by_hand(database: Database, desk: Renewals) -> None:
    posted(database, adjustment(1900))
    desk.put(asked(), create_tenant=True)
    after, outcome = desk.pay(ByHand("acme", "core", "key", "sub-1"))
    assert (after.period, outcome.status) == ("2026-12-22", "posted")
    assert after == kept(database)


# Run


def test_the_run_goes_on_until_nothing_is_due_and_counts_what_happened(
    database: Database, desk: Renewals
) -> None:
    before = paid_so_far()
    keep(database, *many(70))
    posted(database, adjustment(60))
    assert desk.run(lambda: False) == {"renewal.paid": 60, "renewal.payment_failed": 10}
    assert desk.run(lambda: False) == {}
    assert paid_so_far() - before == 60


def paid_so_far() -> float:
    labels = {"outcome": "paid"}
    return metrics.registry.get_sample_value("bridge_renewals_total", labels) or 0


def test_a_run_that_is_to_stop_ends_after_the_batch_it_is_at(
    database: Database, desk: Renewals
) -> None:
    size = BATCH_SQLITE_MAX if database.is_sqlite else BATCH_MAX
    keep(database, *many(2 * size))
    posted(database, adjustment(2 * size))
    stopping = chain([False], repeat(True))
    assert desk.run(lambda: next(stopping)) == {"renewal.paid": size}
    assert balance(database) == size


def test_a_renewal_that_cannot_be_dealt_with_is_put_off_and_its_neighbours_are_paid(
    database: Database, desk: Renewals, clock: FakeClock
) -> None:
    """Its zone was dropped from the time zone database, say."""
    keep(database, *many(60))
    keep(database, spoiled(kept(database, "sub-007")))
    posted(database, adjustment(100))
    assert desk.run(lambda: False) == {"renewal.paid": 59, "put_off": 1}
    assert kept(database, "sub-007").look_at == clock() + HOUR
    assert desk.run(lambda: False) == {}


def test_a_run_that_fails_wherever_it_looks_ends_and_puts_off_few(
    database: Database, desk: Renewals, clock: FakeClock
) -> None:
    """It is our mistake then, and the others are paid as soon as that is mended."""
    keep(database, *map(spoiled, many(30)))
    with pytest.raises(RenewalsFailingError, match="10 renewals"):
        desk.run(lambda: False)
    waiting = Counter(kept(database, one.reference).look_at for one in many(30))
    assert waiting == {clock() + HOUR: PUT_OFF_MAX, many(1)[0].look_at: 30 - PUT_OFF_MAX}


def test_a_database_that_is_away_ends_the_run_and_puts_nothing_off(
    database: Database, clock: FakeClock
) -> None:
    class Away(Database):
        @contextlib.contextmanager
        def write(self) -> Iterator[Connection]:
            with super().write() as tx:
                yield tx
                raise UnavailableError("the database went away")

    keep(database, *many(2))
    posted(database, adjustment(100))
    away = Away(database.url.render_as_string(hide_password=False))
    with pytest.raises(UnavailableError):
        Renewals(away, clock, TERMS).run(lambda: False)
    away.close()
    assert kept(database, "sub-000") == many(1)[0]
