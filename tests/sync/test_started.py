"""Deposits that bridge started: signed, bound to one order, followed, and spent as was agreed."""

import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Engine, event

from bridge.domain.crediting import Rules
from bridge.domain.deposit import TAG_KEY, Purpose, Status
from bridge.domain.entry import Kind
from bridge.domain.held import HeldReason
from bridge.domain.signing import derived
from bridge.store import orders, payment_requests, reports
from bridge.store.deposits import Deposit
from bridge.store.orders import HELD
from bridge.store.payment_requests import PaymentRequest
from bridge.sync.settle import acknowledge
from tests.depositing import KEYS, begin, deposit, kept, payment_request, sealed
from tests.sync.conftest import World

DEBIT = Purpose(1900, "plan_purchase", "order-7", "Pro for a month")


class Till(NamedTuple):
    """A world that starts deposits."""

    world: World

    def begin(self, *made: Deposit) -> None:
        begin(self.world.context.database, *made)

    def kept(self, made: Deposit) -> Deposit:
        return kept(self.world.context.database, made)

    def place(self, made: Deposit, *, status: str = "completed", seal: str = "") -> int:
        """Place the order of a deposit, as bridge and its pay page do."""
        total = f"{made.amount / 100:.2f}"
        name = f"Deposit {made.deposit_id}"
        order_id = self.world.sandbox.place_order(
            tenant=made.tenant_id,
            status=status,
            fee_lines=[{"name": name, "total": total, "tax_status": "none"}],
        )
        self.world.sandbox.set_tags(order_id, seal or sealed(made), key=TAG_KEY)
        return order_id

    def place_by_link(self, made: Deposit, *, status: str = "completed") -> int:
        """Place an order as the companion plugin does: the tag is on the line alone."""
        order_id = self.world.sandbox.place_order("50.00", tenant=None, status=status)
        self.world.sandbox.set_line_tags(order_id, sealed(made), key=TAG_KEY)
        return order_id

    def held(self) -> dict[int, HeldReason]:
        """The held orders and why."""
        with self.world.context.database.read() as tx:
            return {row.order_id: HeldReason(row.reason) for row in orders.held(tx)}

    def because(self, order_id: int) -> str:
        with self.world.context.database.read() as tx:
            return orders.known(tx, "main", [order_id])[order_id].because

    def last_entry(self) -> Any:
        with self.world.context.database.read() as tx:
            return reports.entries(tx, "acme", limit=1)[0]

    def request(self, amount: int = 1900) -> PaymentRequest:
        """A payment request of acme's."""
        request = payment_request(amount=amount)
        with self.world.context.database.write() as tx:
            payment_requests.add(tx, request)
        return request

    def status_of(self, request: PaymentRequest) -> str:
        with self.world.context.database.read() as tx:
            return payment_requests.get(tx, request.request_id).status


@pytest.fixture
def till(world: World) -> Till:
    return Till(world.with_rules(Rules(deposit_keys=KEYS)))


def meant(number: int = 1, **fields: Any) -> Deposit:
    """A deposit that is meant for something, by default a debit."""
    purpose = fields.pop("purpose", DEBIT)
    return deposit(number, purpose=purpose.as_json(), purpose_status="pending", **fields)


@contextlib.contextmanager
def statements() -> Iterator[list[str]]:
    """Collect the statements that reach a database, for the block."""
    made: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        made.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield made
    event.remove(Engine, "before_cursor_execute", note)


# How a deposit fares


def test_a_deposit_is_credited_with_its_bonus_and_knows_its_order(till: Till) -> None:
    made = deposit(amount=10_000, bonus=500)
    till.begin(made)
    order_id = till.place(made)
    till.world.poll()
    assert till.world.entries() == [10_000, 500]
    after = till.kept(made)
    assert (after.status, after.order_id, after.order_status) == (
        Status.CREDITED,
        order_id,
        "completed",
    )
    assert after.credited_at == after.changed_at == till.world.clock()
    assert after.watch_at is None
    assert made.deposit_id in after.because


def test_a_deposit_follows_its_order_from_payment_to_refund(till: Till) -> None:
    made = deposit(mode="cart", bonus=251)
    till.begin(made)
    order_id = till.place_by_link(made, status="pending")
    steps: list[tuple[Callable[[], object], Status, int]] = [
        (lambda: None, Status.OPEN, 0),
        (lambda: sandbox.set_status(order_id, "on-hold"), Status.OPEN, 0),
        (lambda: sandbox.set_status(order_id, "processing"), Status.PAID, 0),
        (lambda: sandbox.set_status(order_id, "completed"), Status.CREDITED, 5251),
        (lambda: sandbox.refund(order_id, "16.67"), Status.CREDITED, 3333 + 167),
        (lambda: sandbox.refund(order_id), Status.REVERSED, 0),
    ]
    sandbox = till.world.sandbox
    for step, status, balance in steps:
        step()
        till.world.poll()
        assert (till.kept(made).status, till.world.balance()) == (status, balance)
    assert (till.kept(made).watch_at, till.kept(made).order_status) == (None, "refunded")


def test_a_refund_that_is_deleted_gives_the_bonus_back(till: Till) -> None:
    made = deposit(bonus=250)
    till.begin(made)
    order_id = till.place(made)
    refund_id = till.world.sandbox.refund(order_id, "10.00")
    till.world.poll()
    assert till.world.balance() == 4200
    till.world.sandbox.delete_refund(order_id, refund_id)
    till.world.sandbox.touch(order_id)
    till.world.poll()
    assert till.world.balance() == 5250


@pytest.mark.parametrize("status", [Status.EXPIRED, Status.CANCELLED])
def test_a_deposit_paid_after_its_end_is_credited_all_the_same(till: Till, status: Status) -> None:
    made = deposit(status=status, watch_at=None)
    till.begin(made)
    till.place(made)
    till.world.poll()
    assert (till.kept(made).status, till.world.balance()) == (Status.CREDITED, 5000)


@pytest.mark.parametrize("status", ["cancelled", "refunded", "trash"])
def test_a_deposit_whose_pay_page_is_gone_is_cancelled(till: Till, status: str) -> None:
    made = deposit()
    till.begin(made)
    order_id = till.place(made, status="pending")
    till.world.sandbox.set_status(order_id, status)
    till.world.hint(order_id)
    till.world.ingest()
    assert (till.kept(made).status, till.kept(made).watch_at) == (Status.CANCELLED, None)


def test_a_failed_payment_can_be_tried_again(till: Till) -> None:
    made = deposit()
    till.begin(made)
    till.place(made, status="failed")
    till.world.poll()
    assert till.kept(made).status == Status.OPEN


def test_a_dispute_holds_the_bonus_too_and_the_deposit_stays_credited(till: Till) -> None:
    made = deposit(bonus=250)
    till.begin(made)
    order_id = till.place(made)
    till.world.poll()
    till.world.sandbox.set_status(order_id, "on-hold")
    till.world.poll()
    assert till.world.wallet() == (5250, 0)
    assert till.kept(made).status == Status.CREDITED


def test_other_goods_in_the_cart_are_not_credited(till: Till) -> None:
    made = deposit(mode="cart")
    till.begin(made)
    order_id = till.place_by_link(made, status="pending")
    till.world.sandbox.update_order(order_id, fee_lines=[{"name": "Gift wrap", "total": "7.00"}])
    till.world.sandbox.set_status(order_id, "completed")
    till.world.poll()
    assert till.world.balance() == 5000


def test_a_deposit_whose_order_is_held_is_paid_and_not_written_again_and_again(
    till: Till,
) -> None:
    made = deposit()
    till.begin(made)
    order_id = till.place(made, seal=sealed(made, amount=4000))
    till.world.hint(order_id)
    till.world.ingest()
    before = till.kept(made)
    till.world.hint(order_id)
    assert till.world.ingest() == {"held": 1}
    assert (before.status, before) == (Status.PAID, till.kept(made))


# Whose a deposit is


@pytest.mark.parametrize(
    ("seal", "reason"),
    [
        (sealed(deposit(amount=9000)), HeldReason.DEPOSIT_MISMATCH),
        (sealed(deposit(currency="USD")), HeldReason.DEPOSIT_MISMATCH),
        (sealed(deposit(tenant_id="globex")), HeldReason.TAG_CONFLICT),
        (sealed(deposit())[:-1] + "_", HeldReason.DEPOSIT_TAG_INVALID),
        (
            sealed(deposit(), derived(["correct horse battery staple stapler"], "deposit-tag/eu")),
            HeldReason.DEPOSIT_TAG_INVALID,
        ),
    ],
    ids=["amount", "currency", "tenant", "edited", "another storefront's"],
)
def test_a_tag_that_says_otherwise_holds_the_order(
    till: Till, seal: str, reason: HeldReason
) -> None:
    till.begin(deposit())
    order_id = till.place(deposit(), seal=seal)
    till.world.poll()
    assert till.held() == {order_id: reason}
    assert till.world.entries() == []
    assert till.kept(deposit()).status != Status.CREDITED


def test_a_tag_whose_deposit_nobody_knows_holds_the_order(till: Till) -> None:
    order_id = till.place(deposit())
    till.world.poll()
    assert till.held() == {order_id: HeldReason.DEPOSIT_UNKNOWN}
    till.world.sandbox.set_tags(order_id, key=TAG_KEY)
    till.world.poll()
    assert (till.held(), till.world.balance()) == ({}, 5000)


def test_a_copied_tag_credits_nothing_and_names_the_order_it_belongs_to(till: Till) -> None:
    made = deposit()
    till.begin(made)
    first = till.place(made)
    till.world.poll()
    copy = till.place(made)
    till.world.poll()
    assert till.held() == {copy: HeldReason.DEPOSIT_ELSEWHERE}
    assert f"belongs to order {first}" in till.because(copy)
    assert (till.world.balance(), till.kept(made).order_id) == (5000, first)


@pytest.mark.parametrize("mode", ["pay", "cart"])
def test_two_orders_with_one_tag_in_one_batch_credit_once(till: Till, mode: str) -> None:
    made = deposit(mode=mode)
    till.begin(made)
    first, second = (till.place_by_link(made) for _ in range(2))
    till.world.poll()
    assert till.held() == {second: HeldReason.DEPOSIT_ELSEWHERE}
    assert (till.world.balance(), till.kept(made).order_id) == (5000, first)


def test_tags_swapped_between_two_orders_credit_nothing(till: Till) -> None:
    mine, other = deposit(), deposit(2)
    till.begin(mine, other)
    first, second = (till.place_by_link(one, status="pending") for one in (mine, other))
    till.world.poll()
    till.world.sandbox.set_line_tags(first, sealed(other), key=TAG_KEY)
    till.world.sandbox.set_line_tags(second, sealed(mine), key=TAG_KEY)
    for order_id in (first, second):
        till.world.sandbox.set_status(order_id, "completed")
    till.world.poll()
    assert set(till.held().values()) == {HeldReason.DEPOSIT_ELSEWHERE}
    assert till.world.entries() == []


def test_an_order_that_bridge_placed_for_one_deposit_pays_no_other(till: Till) -> None:
    mine, other = deposit(), deposit(2, mode="cart")
    till.begin(mine, other)
    order_id = till.place_by_link(mine, status="pending")
    till.world.poll()
    till.world.sandbox.set_line_tags(order_id, sealed(other), key=TAG_KEY)
    till.world.sandbox.set_status(order_id, "completed")
    till.world.poll()
    assert till.held() == {order_id: HeldReason.DEPOSIT_ELSEWHERE}
    assert f"started for {mine.deposit_id}" in till.because(order_id)
    assert till.kept(other).status == Status.OPEN


@pytest.mark.parametrize("mode", ["pay", "cart"])
def test_a_tag_used_again_after_a_refund_credits_nothing(till: Till, mode: str) -> None:
    made = deposit(mode=mode)
    till.begin(made)
    first = till.place_by_link(made)
    till.world.poll()
    till.world.sandbox.refund(first)
    till.world.poll()
    again = till.place_by_link(made)
    till.world.poll()
    assert till.held() == {again: HeldReason.DEPOSIT_ELSEWHERE}
    assert (till.world.balance(), till.kept(made).status) == (0, Status.REVERSED)


def test_an_order_that_lost_its_tag_is_held_and_keeps_its_credit(till: Till) -> None:
    made = deposit(bonus=250)
    till.begin(made)
    order_id = till.place(made)
    till.world.poll()
    till.world.sandbox.set_tags(order_id, key=TAG_KEY)
    till.world.poll()
    assert till.held() == {order_id: HeldReason.DEPOSIT_TAG_MISSING}
    assert till.world.balance() == 5250
    till.world.sandbox.set_tags(order_id, sealed(made), key=TAG_KEY)
    till.world.poll()
    assert (till.held(), till.world.balance()) == ({}, 5250)


def test_a_link_may_begin_several_orders_and_the_one_credited_keeps_the_deposit(
    till: Till,
) -> None:
    made = deposit(mode="checkout")
    till.begin(made)
    left = till.place_by_link(made, status="pending")
    till.world.poll()
    assert till.kept(made).order_id == left
    paid = till.place_by_link(made)
    till.world.poll()
    assert (till.kept(made).order_id, till.kept(made).status) == (paid, Status.CREDITED)
    till.world.sandbox.set_status(left, "cancelled")
    till.world.poll()
    assert (till.kept(made).order_id, till.kept(made).status) == (paid, Status.CREDITED)
    assert till.world.balance() == 5000


def test_a_link_stays_good_when_its_first_order_is_cancelled(till: Till) -> None:
    made = deposit(mode="checkout")
    till.begin(made)
    till.place_by_link(made, status="cancelled")
    till.world.poll()
    assert till.kept(made).status == Status.OPEN


def test_a_second_order_by_link_does_not_hide_that_the_first_one_is_paid(till: Till) -> None:
    made = deposit(mode="checkout")
    till.begin(made)
    first = till.place_by_link(made, status="processing")
    till.world.poll()
    second = till.place_by_link(made, status="pending")
    till.world.poll()
    assert (till.kept(made).status, till.kept(made).order_id) == (Status.PAID, first)
    till.world.sandbox.set_status(second, "completed")
    till.world.poll()
    assert (till.kept(made).status, till.kept(made).order_id) == (Status.CREDITED, second)


def test_a_draft_takes_no_deposit_from_an_order_that_was_placed(till: Till) -> None:
    made = deposit(mode="cart")
    till.begin(made)
    first = till.place_by_link(made, status="pending")
    till.world.poll()
    till.world.hint(till.place_by_link(made, status="checkout-draft"))
    till.world.ingest()
    assert till.kept(made).order_id == first


def test_a_cart_filled_anew_pays_the_deposit_it_holds_now(till: Till) -> None:
    """WooCommerce: the block checkout uses one draft order for whatever is in the cart."""
    given_up, wanted = deposit(mode="cart"), deposit(2, mode="cart")
    till.begin(given_up, wanted)
    draft = till.place_by_link(given_up, status="checkout-draft")
    till.world.hint(draft)
    till.world.ingest()
    till.world.sandbox.set_line_tags(draft, sealed(wanted), key=TAG_KEY)
    till.world.sandbox.set_status(draft, "completed")
    till.world.poll()
    assert till.held() == {}
    assert (till.kept(wanted).status, till.kept(given_up).status) == (
        Status.CREDITED,
        Status.OPEN,
    )


def test_a_replaced_order_neither_takes_nor_changes_the_deposit(till: Till) -> None:
    made = deposit()
    till.begin(made)
    order_id = till.place(made)
    till.world.poll()
    before = till.kept(made)
    till.world.sandbox.replace_order(order_id, "20.00", status="cancelled")
    till.world.poll()
    assert till.held() == {order_id: HeldReason.IDENTITY_CHANGED}
    assert till.kept(made) == before
    till.world.sandbox.set_status(order_id, "completed")
    acknowledge(till.world.context, till.world.source.policy)
    till.world.ingest()
    assert (till.held(), till.world.balance()) == ({}, 7000)
    assert till.kept(made) == before


def test_an_order_with_the_id_of_a_former_one_begins_its_own_deposit(till: Till) -> None:
    former, made = deposit(), deposit(2, mode="cart")
    till.begin(former, made)
    order_id = till.place(former)
    till.world.poll()
    till.world.sandbox.replace_order(order_id, "50.00", tenant=None, status="pending")
    till.world.sandbox.set_line_tags(order_id, sealed(made), key=TAG_KEY)
    till.world.poll()
    acknowledge(till.world.context, till.world.source.policy)
    till.world.ingest()
    assert (till.kept(made).status, till.kept(made).order_id) == (Status.OPEN, order_id)
    till.world.sandbox.set_status(order_id, "completed")
    till.world.poll()
    assert (till.kept(made).status, till.world.balance()) == (Status.CREDITED, 10_000)


def test_two_threads_that_settle_two_orders_of_one_deposit_credit_one(till: Till) -> None:
    made = deposit(mode="cart")
    till.begin(made)
    placed = [till.place_by_link(made) for _ in range(2)]
    together = threading.Barrier(2)

    def ingest(order_id: int) -> None:
        till.world.hint(order_id)
        together.wait()
        till.world.ingest()

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(ingest, order_id) for order_id in placed]:
            done.result()
    assert list(till.held().values()) == [HeldReason.DEPOSIT_ELSEWHERE]
    assert till.world.balance() == 5000


def test_a_dry_run_finds_what_a_reconciliation_would_hold(till: Till) -> None:
    made = deposit()
    till.begin(made)
    till.place(made)
    till.world.poll()
    copy = till.place(made)
    till.world.poll()
    report = till.world.sweep()
    assert [(finding.order_id, finding.kind) for finding in report.findings] == [(copy, HELD)]


def test_without_a_signing_key_tagged_orders_are_held(world: World) -> None:
    till = Till(world)
    order_id = till.place(deposit())
    till.world.poll()
    assert till.held() == {order_id: HeldReason.DEPOSIT_TAG_INVALID}


# What a deposit is meant for


def test_a_debit_that_was_agreed_is_made_with_the_credit(till: Till) -> None:
    made = meant()
    till.begin(made)
    till.place(made)
    till.world.poll()
    assert till.world.entries() == [5000, -1900]
    entry, after = till.last_entry(), till.kept(made)
    assert (after.purpose_status, after.purpose_entry) == ("posted", entry.id)
    assert (entry.kind, entry.source, entry.reference, entry.description) == (
        Kind.DEBIT,
        f"deposit/{made.deposit_id}/plan_purchase",
        "order-7",
        "Pro for a month",
    )


def test_a_debit_that_cannot_be_paid_is_declined_once_and_the_money_stays(till: Till) -> None:
    made = meant(purpose=DEBIT._replace(amount=5001))
    till.begin(made)
    till.place(made)
    till.world.poll()
    after = till.kept(made)
    assert (after.purpose_status, after.purpose_reason) == ("declined", "insufficient_balance")
    assert till.world.balance() == 5000
    other = deposit(2)
    till.begin(other)
    till.place(other)
    till.world.poll()
    assert (till.world.balance(), till.kept(made)) == (10_000, after)


def test_a_debit_is_made_once_even_when_the_deposit_is_reversed_and_comes_back(
    till: Till,
) -> None:
    made = meant()
    till.begin(made)
    order_id = till.place(made)
    refund_id = till.world.sandbox.refund(order_id, "10.00")
    till.world.poll()
    till.world.sandbox.set_status(order_id, "cancelled")
    till.world.poll()
    assert (till.world.balance(), till.kept(made).status) == (-1900, Status.REVERSED)
    till.world.sandbox.delete_refund(order_id, refund_id)
    till.world.sandbox.set_status(order_id, "completed")
    till.world.poll()
    assert (till.world.balance(), till.kept(made).status) == (3100, Status.CREDITED)


def test_nothing_is_debited_while_a_deposit_is_only_paid(till: Till) -> None:
    made = meant()
    till.begin(made)
    till.place(made, status="processing")
    till.world.poll()
    assert (till.kept(made).purpose_status, till.world.entries()) == ("pending", [])


def test_a_payment_request_is_paid_with_the_credit(till: Till) -> None:
    request = till.request()
    made = meant(purpose=Purpose(request_id=request.request_id))
    till.begin(made)
    till.place(made)
    till.world.poll()
    assert (till.status_of(request), till.world.balance()) == ("paid", 3100)
    assert till.kept(made).purpose_status == "posted"


def test_a_payment_request_that_was_paid_by_click_is_not_paid_again(till: Till) -> None:
    request = till.request()
    made = meant(purpose=Purpose(request_id=request.request_id))
    till.begin(made)
    till.world.sandbox.place_order("20.00")
    till.world.poll()
    with till.world.context.database.write() as tx:
        paid, _ = payment_requests.pay(tx, request.request_id, till.world.clock())
    till.place(made)
    till.world.poll()
    assert till.world.balance() == 2000 + 5000 - 1900
    assert till.kept(made).purpose_entry == paid.entry_id


def test_a_click_beside_a_settlement_pays_once(till: Till) -> None:
    request = till.request()
    made = meant(purpose=Purpose(request_id=request.request_id))
    till.begin(made)
    till.world.sandbox.place_order("20.00")
    till.world.poll()
    till.world.hint(till.place(made))
    together = threading.Barrier(2)

    def click() -> None:
        together.wait()
        with till.world.context.database.write() as tx:
            payment_requests.pay(tx, request.request_id, till.world.clock())

    def settle() -> None:
        together.wait()
        till.world.ingest()

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(click), pool.submit(settle)]:
            done.result()
    assert till.world.balance() == 2000 + 5000 - 1900
    assert till.kept(made).purpose_status == "posted"


def test_locks_are_taken_in_the_order_that_keeps_writers_from_waiting_in_a_circle(
    till: Till,
) -> None:
    request = till.request()
    made = meant(purpose=Purpose(request_id=request.request_id))
    till.begin(made)
    till.world.hint(till.place(made))
    with statements() as asked:
        till.world.ingest()
    tables = ("orders", "deposits", "payment_requests", "wallets")
    firsts = [
        next(
            n
            for n, statement in enumerate(asked)
            if re.search(rf"(FROM|JOIN) {table}\b", statement)
        )
        for table in tables
    ]
    assert firsts == sorted(firsts)


def test_a_payment_request_that_was_called_off_leaves_the_money_in_the_balance(till: Till) -> None:
    request = till.request()
    made = meant(purpose=Purpose(request_id=request.request_id))
    till.begin(made)
    with till.world.context.database.write() as tx:
        payment_requests.cancel(tx, request.request_id, till.world.clock())
    till.place(made)
    till.world.poll()
    after = till.kept(made)
    assert (after.purpose_status, after.purpose_reason) == ("declined", "payment_request_closed")
    assert till.world.balance() == 5000


def test_a_payment_request_larger_than_the_balance_stays_open(till: Till) -> None:
    request = till.request(9000)
    made = meant(purpose=Purpose(request_id=request.request_id))
    till.begin(made)
    till.place(made)
    till.world.poll()
    assert (till.status_of(request), till.world.balance()) == ("open", 5000)
    assert till.kept(made).purpose_status == "declined"


def test_a_settlement_that_fails_leaves_neither_credit_nor_debit(till: Till) -> None:
    """No debit is over nothing, so the whole database transaction is given up and tried again."""
    made = meant(purpose=DEBIT._replace(amount=0))
    till.begin(made)
    till.place(made)
    assert till.world.poll() == {"failed": 1}
    assert till.world.entries() == []
    assert till.kept(made) == made


def test_untagged_orders_cost_nothing_where_no_deposits_are_started(
    world: World,
) -> None:
    with statements() as asked:
        world.sandbox.place_order()
        world.poll()
    assert not [statement for statement in asked if "deposits" in statement]


def test_a_batch_of_untagged_orders_costs_one_look_at_the_deposits(till: Till) -> None:
    with statements() as asked:
        for _ in range(3):
            till.world.sandbox.place_order()
        till.world.poll()
    assert len([statement for statement in asked if "deposits" in statement]) == 1
