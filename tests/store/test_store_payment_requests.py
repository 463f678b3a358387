"""Payment requests: paid once or called off, never both."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from bridge.domain.clock import isoformat
from bridge.domain.entry import DECLINED, POSTED, REPLAYED, Kind, Reason
from bridge.store import payment_requests
from bridge.store.database import Database
from bridge.store.payment_requests import (
    PaymentRequest,
    PaymentRequestClosedError,
    PaymentRequestNotFoundError,
)
from tests.depositing import payment_request
from tests.store.drafting import NOON, adjustment, balance, entries, posted
from tests.telling import facts

LATER = NOON + 60


def keep(database: Database, *made: PaymentRequest) -> None:
    with database.write() as tx:
        for one in made:
            payment_requests.add(tx, one)


def pay(database: Database, made: PaymentRequest) -> tuple[PaymentRequest, Any]:
    with database.write() as tx:
        return payment_requests.pay(tx, made.request_id, LATER)


def cancel(database: Database, made: PaymentRequest) -> PaymentRequest:
    with database.write() as tx:
        return payment_requests.cancel(tx, made.request_id, LATER)


def kept(database: Database, made: PaymentRequest) -> PaymentRequest:
    with database.read() as tx:
        return payment_requests.get(tx, made.request_id)


def test_what_was_kept_is_found_by_its_id_and_by_its_key(database: Database) -> None:
    keep(database, payment_request())
    assert kept(database, payment_request()) == payment_request()
    with database.read() as tx:
        assert payment_requests.asked(tx, "acme", "api:core", "key-1") == payment_request()
        assert payment_requests.asked(tx, "globex", "api:core", "key-1") is None
        with pytest.raises(PaymentRequestNotFoundError, match="check its id"):
            payment_requests.get(tx, "pay0")


def test_an_idempotency_key_makes_one_request(database: Database) -> None:
    keep(database, payment_request())
    with pytest.raises(IntegrityError):
        keep(database, payment_request(2, idempotency_key="key-1"))
    keep(database, payment_request(3, idempotency_key="key-1", tenant_id="globex"))


def test_new_ids_are_letters_and_digits_and_differ() -> None:
    first, second = payment_requests.new_id(), payment_requests.new_id()
    assert first != second
    assert first.isalnum()
    assert (len(first), first[:3]) == (20, "pay")


def test_a_tenants_requests_are_listed_by_pages_newest_first(database: Database) -> None:
    made = [payment_request(n, created_at=NOON + n // 2, status="open") for n in range(5)]
    keep(database, *made, payment_request(9, tenant_id="globex"))
    cancel(database, made[3])
    with database.read() as tx:
        page = payment_requests.of_tenant(tx, "acme", limit=2)
        rest = payment_requests.of_tenant(
            tx, "acme", before=(page[-1].created_at, page[-1].request_id), limit=9
        )
        still_open = payment_requests.of_tenant(tx, "acme", status="open", limit=9)
    ids = [one.request_id for one in made]
    assert [one.request_id for one in page] == [ids[4], ids[3]]
    assert [one.request_id for one in rest] == [ids[2], ids[1], ids[0]]
    assert [one.request_id for one in still_open] == [ids[4], ids[2], ids[1], ids[0]]


def test_paying_debits_the_balance_and_says_for_what(database: Database) -> None:
    posted(database, adjustment(5000))
    keep(database, payment_request())
    paid, outcome = pay(database, payment_request())
    [_, entry] = entries(database)
    assert (outcome.status, outcome.entry, paid.entry_id) == (POSTED, entry, entry.id)
    assert (entry.kind, entry.amount, entry.contra, entry.reference, entry.source) == (
        Kind.DEBIT,
        -1900,
        "plans",
        "invoice-7",
        f"payment_request/{paid.request_id}/plan_renewal",
    )
    assert (paid.status, paid.changed_at) == ("paid", LATER)
    assert kept(database, payment_request()) == paid


def test_paying_again_is_a_replay(database: Database) -> None:
    posted(database, adjustment(5000))
    keep(database, payment_request())
    paid, first = pay(database, payment_request())
    again, second = pay(database, payment_request())
    assert (again, second.status, second.entry) == (paid, REPLAYED, first.entry)
    assert balance(database) == 3100


def test_a_request_is_told_of_when_the_balance_pays_it_and_only_then(database: Database) -> None:
    keep(database, payment_request())
    pay(database, payment_request())
    assert facts(database) == []
    posted(database, adjustment(1900))
    request, _ = pay(database, payment_request())
    pay(database, payment_request())
    [fact] = facts(database)
    assert (fact.type, fact.tenant_id, fact.occurred_at) == ("payment_request.paid", "acme", LATER)
    assert fact.data == {
        "id": request.request_id,
        "tenant_id": "acme",
        "amount": 1900,
        "currency": "EUR",
        "purpose": "plan_renewal",
        "reference": "invoice-7",
        "description": "Pro for a month",
        "metadata": {"plan": "pro"},
        "status": "paid",
        "entry_id": "acme.EUR.2",
        "created_at": isoformat(NOON),
        "changed_at": isoformat(LATER),
    }


def test_what_the_balance_cannot_pay_stays_open_to_be_paid_later(database: Database) -> None:
    posted(database, adjustment(1899))
    keep(database, payment_request())
    declined, outcome = pay(database, payment_request())
    assert (outcome.status, outcome.reason) == (DECLINED, Reason.INSUFFICIENT)
    assert declined == payment_request()
    posted(database, adjustment(1))
    assert pay(database, payment_request())[0].status == "paid"
    assert balance(database) == 0


def test_what_was_called_off_cannot_be_paid(database: Database) -> None:
    posted(database, adjustment(5000))
    keep(database, payment_request())
    cancelled = cancel(database, payment_request())
    assert (cancelled.status, cancelled.changed_at) == ("cancelled", LATER)
    assert cancel(database, payment_request()) == cancelled
    with pytest.raises(PaymentRequestClosedError, match="called off"):
        pay(database, payment_request())
    assert balance(database) == 5000


def test_what_was_paid_cannot_be_called_off(database: Database) -> None:
    posted(database, adjustment(5000))
    keep(database, payment_request())
    paid, _ = pay(database, payment_request())
    with pytest.raises(PaymentRequestClosedError, match=f"entry {paid.entry_id}"):
        cancel(database, payment_request())


def test_paying_and_calling_off_at_once_exclude_each_other(database: Database) -> None:
    posted(database, adjustment(100_000))
    made = [payment_request(n) for n in range(10)]
    keep(database, *made)
    together = threading.Barrier(2)

    def each(act: Any, one: PaymentRequest) -> str:
        together.wait()
        try:
            act(database, one)
        except PaymentRequestClosedError:
            return "refused"
        return "done"

    with ThreadPoolExecutor(2) as pool:
        for one in made:
            ends = [pool.submit(each, act, one) for act in (pay, cancel)]
            assert sorted(end.result() for end in ends) == ["done", "refused"]
    paid = sum(kept(database, one).status == "paid" for one in made)
    assert balance(database) == 100_000 - 1900 * paid
