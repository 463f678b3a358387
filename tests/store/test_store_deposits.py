"""Deposits at rest: one for a key, found by whatever is known of them, claimed by one at a time."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy.exc import IntegrityError

from bridge.domain.clock import DAY, MINUTE, SECOND
from bridge.domain.deposit import Status
from bridge.store import deposits
from bridge.store.database import Database
from bridge.store.deposits import Deposit, DepositNotFoundError
from tests.depositing import begin, deposit, kept
from tests.store.drafting import NOON


def ids(found: list[Deposit]) -> list[str]:
    return [one.deposit_id for one in found]


def test_what_was_kept_is_found_by_its_id_and_by_its_key(database: Database) -> None:
    begin(database, deposit())
    assert kept(database, deposit()) == deposit()
    with database.read() as tx:
        assert deposits.asked(tx, "acme", "api:core", "key-1") == deposit()
        assert deposits.asked(tx, "acme", "portal", "key-1") is None
        with pytest.raises(DepositNotFoundError, match="check its id"):
            deposits.get(tx, "dep0")


def test_an_idempotency_key_opens_one_deposit(database: Database) -> None:
    begin(database, deposit())
    with pytest.raises(IntegrityError):
        begin(database, deposit(2, idempotency_key="key-1"))
    begin(database, deposit(3, idempotency_key="key-1", tenant_id="globex"))


def test_new_ids_are_letters_and_digits_and_differ() -> None:
    first, second = deposits.new_id(), deposits.new_id()
    assert first != second
    assert first.isalnum()
    assert (len(first), first[:3]) == (20, "dep")


def test_a_tenants_deposits_are_listed_by_pages_newest_first(database: Database) -> None:
    made = [deposit(n, created_at=NOON + n // 2) for n in range(5)]
    made[3] = made[3]._replace(status=Status.CREDITED)
    begin(database, *made, deposit(9, tenant_id="globex"))
    with database.read() as tx:
        page = deposits.of_tenant(tx, "acme", limit=2)
        last = (page[-1].created_at, page[-1].deposit_id)
        rest = deposits.of_tenant(tx, "acme", before=last, limit=9)
        credited = deposits.of_tenant(tx, "acme", statuses=[Status.CREDITED], limit=9)
    assert page == [made[4], made[3]]
    assert rest == [made[2], made[1], made[0]]
    assert credited == [made[3]]


def test_what_is_under_way_is_counted_and_added_up_with_its_bonus(database: Database) -> None:
    begin(
        database,
        deposit(1, bonus=250),
        deposit(2, status=Status.PAID),
        deposit(3, status=Status.CREDITED),
        deposit(4, status=Status.EXPIRED),
        deposit(5, currency="USD"),
        deposit(6, tenant_id="globex"),
    )
    with database.read() as tx:
        assert deposits.outstanding(tx, "acme", "EUR") == (2, 10_250)
        assert deposits.outstanding(tx, "acme", "CHF") == (0, 0)


@pytest.mark.parametrize("lock", [False, True])
def test_deposits_are_found_by_their_orders_and_by_their_ids(
    database: Database, *, lock: bool
) -> None:
    bound, named, other = deposit(1, order_id=44), deposit(2), deposit(3, order_id=45)
    elsewhere = deposit(4, order_id=44, storefront="eu")
    begin(database, bound, named, other, elsewhere)
    with database.write() as tx:
        assert deposits.concerned(tx, "main", [44], [named.deposit_id], lock=lock) == [bound, named]
        assert deposits.concerned(tx, "main", [], [], lock=lock) == []
        both = deposits.concerned(tx, "main", [44], [bound.deposit_id], lock=lock)
    assert both == [bound]


def test_saving_writes_what_changes_and_nothing_else(database: Database) -> None:
    begin(database, deposit(), deposit(2))
    changed = deposit(
        status=Status.CREDITED,
        order_id=44,
        order_status="completed",
        because="status completed credits",
        purpose_status="posted",
        purpose_entry="acme.EUR.2",
        watch_at=None,
        changed_at=NOON + 1,
        credited_at=NOON + 1,
    )
    with database.write() as tx:
        deposits.save(tx, [changed._replace(amount=1, pay_url="https://example.com/")])
        deposits.save(tx, [])
    assert kept(database, deposit()) == changed
    assert kept(database, deposit(2)) == deposit(2)


def test_a_new_deposit_learns_where_it_is_paid_and_keeps_its_order(database: Database) -> None:
    begin(database, deposit())
    with database.write() as tx:
        deposits.placed(tx, deposit(), 44, "https://example.com/pay")
    assert kept(database, deposit()) == deposit(order_id=44, pay_url="https://example.com/pay")
    with database.write() as tx:
        deposits.placed(tx, deposit(), None, "https://example.com/link")
    assert kept(database, deposit()) == deposit(order_id=44, pay_url="https://example.com/link")


def test_only_an_open_deposit_is_closed(database: Database) -> None:
    begin(database, deposit(), deposit(2, status=Status.PAID))
    with database.write() as tx:
        assert deposits.close(tx, deposit(), Status.EXPIRED, NOON + 1)
        assert not deposits.close(tx, deposit(), Status.CANCELLED, NOON + 2)
        assert not deposits.close(tx, deposit(2), Status.CANCELLED, NOON + 2)
    closed = deposit(status=Status.EXPIRED, watch_at=None, changed_at=NOON + 1)
    assert kept(database, deposit()) == closed


def test_those_whose_time_has_run_out_are_found_but_none_that_waits_for_a_bank(
    database: Database,
) -> None:
    past = {"expires_at": NOON + DAY}
    begin(
        database,
        deposit(1, **past),
        deposit(2, expires_at=NOON + DAY - 1),
        deposit(3, **past, order_status="on-hold"),
        deposit(4, **past, order_status="processing"),
        deposit(5, **past, status=Status.PAID),
        deposit(6, expires_at=NOON + DAY + 1),
        deposit(7, **past, order_status="failed"),
    )
    with database.read() as tx:
        found = ids(deposits.expired(tx, NOON + DAY, 9))
        assert found[0] == deposit(2).deposit_id
        assert sorted(found) == ids([deposit(1), deposit(2), deposit(7)])
        assert ids(deposits.expired(tx, NOON + DAY, 1)) == ids([deposit(2)])


def test_a_claimed_deposit_is_due_again_a_little_later(database: Database) -> None:
    begin(database, deposit(), deposit(2, watch_at=None), deposit(3, storefront="eu"))
    due_at = NOON + 2 * SECOND
    with database.write() as tx:
        assert not deposits.due(tx, "main", due_at - 1)
        assert deposits.claim(tx, "main", due_at - 1, 9) == []
        assert deposits.due(tx, "main", due_at)
        assert deposits.claim(tx, "main", due_at, 9) == [deposit()]
        assert deposits.claim(tx, "main", due_at, 9) == []
        assert deposits.due(tx, "main", due_at + 2 * SECOND)


def test_two_that_claim_at_once_share_the_deposits(database: Database) -> None:
    made = [deposit(n) for n in range(20)]
    begin(database, *made)
    together = threading.Barrier(2)

    def claim() -> list[str]:
        together.wait()
        with database.write() as tx:
            return ids(deposits.claim(tx, "main", NOON + MINUTE, 20))

    with ThreadPoolExecutor(2) as pool:
        first, second = (one.result() for one in [pool.submit(claim), pool.submit(claim)])
    assert set(first).isdisjoint(second)
    assert {*first, *second} <= set(ids(made))


def test_only_what_is_under_way_is_watched_more_closely(database: Database) -> None:
    done = deposit(2, status=Status.CREDITED, watch_at=None)
    begin(database, deposit(), done)
    with database.write() as tx:
        for one in (deposit(), done):
            deposits.hasten(tx, one, NOON + DAY)
    assert kept(database, deposit()) == deposit(watch_since=NOON + DAY, watch_at=NOON + DAY)
    assert kept(database, done) == done
