"""The law of crediting: wherever an order has been, the wallets end where its last state says."""

from collections.abc import Iterable, Sequence
from itertools import product

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bridge.domain.clock import MINUTE, Instant
from bridge.domain.crediting import AmountRule, Rules, effects
from bridge.domain.drift import Slot
from bridge.domain.entry import POSTED
from bridge.domain.held import Held
from bridge.domain.order import Order, Refund, RefundLine, Unreadable
from bridge.domain.posting import Books, decide
from bridge.domain.wallet import Wallet, WalletId
from bridge.store.orders import Seen
from bridge.sync.context import Policy
from bridge.sync.judge import judge
from bridge.sync.started import Begun
from tests.depositing import KEYS, deposit, sealed
from tests.examples import NOON, line, order

Wallets = dict[WalletId, tuple[int, int]]
DEPOSITS = Rules(amount=AmountRule.DEPOSIT_LINES, deposit_skus=frozenset({"DEPOSIT-50"}))
EVERY_RULE = [
    Rules(),
    Rules(amount=AmountRule.NET),
    DEPOSITS,
    Rules(statuses=frozenset({"completed", "shipped"}), currencies=frozenset({"EUR", "JPY"})),
    Rules(gateway_statuses={"cod": frozenset({"processing", "completed"})}),
]


class Ledger:
    """What `settle` does, in memory: judge, post, and remember."""

    def __init__(self, rules: Rules) -> None:
        self.policy = Policy("main", rules)
        self.now: Instant = NOON
        self.seen: dict[int, Seen] = {}
        ids = map(WalletId._make, product(("acme", "globex"), ("EUR", "JPY", "USD")))
        self.books = Books({wallet_id: Wallet(*wallet_id) for wallet_id in ids}, {}, {}, {})

    def show(self, arrived: Order | Unreadable, after: Instant = 0) -> int:
        """Show an order some time after what was shown before; returns how many entries it made."""
        self.now += after
        seen = self.seen.get(arrived.id, Seen("main", arrived.id))
        posted = {
            Slot(WalletId(key.tenant_id, key.currency), key.effect): effect.amount
            for key, effect in self.books.effects.items()
            if key.order_id == arrived.id
        }
        judgement = judge(arrived, seen, posted, self.policy, Begun({}, ()), self.now)
        self.seen[arrived.id] = judgement.seen
        outcomes, self.books = decide(self.books, judgement.drafts, self.now)
        assert all(outcome.status == POSTED for outcome in outcomes)
        return len(outcomes)

    def settle(self, last: Iterable[Order]) -> None:
        """Show the last states twice, more than ten minutes apart."""
        for after in (0, 11 * MINUTE):
            self.now += after
            for arrived in last:
                self.show(arrived)

    def wallets(self) -> Wallets:
        """Balance and available of every wallet."""
        return {key: (w.balance, w.available) for key, w in self.books.wallets.items()}


LINES = (
    line(1, total="40.00", total_tax="0.00"),
    line(2, sku="TSHIRT", product_id=13, total="8.00", total_tax="2.00"),
)
REFUNDS = (
    Refund(101, "-10.00", (RefundLine(1, "-10.00", "0.00"),)),
    Refund(102, "-5.00", (RefundLine(2, "-4.00", "-1.00"),)),
    Refund(103, "-20.00", ()),
    Refund(104, "-50.00", (RefundLine(1, "-40.00", "0.00"), RefundLine(2, "-8.00", "-2.00"))),
)
STATUSES = (
    *("completed", "completed", "completed", "processing", "pending", "on-hold", "on-hold"),
    *("cancelled", "failed", "refunded", "refunded", "trash", "vanished", "shipped"),
)
STATES = st.builds(
    order,
    id=st.sampled_from([63, 64]),
    status=st.sampled_from(STATUSES),
    total=st.sampled_from(["50.00", "50.00", "100.00", "20.00", "0.00", "-5.00", "50.40", "x"]),
    total_tax=st.sampled_from(["2.00", "2.00", "0.00"]),
    currency=st.sampled_from(["EUR", "EUR", "EUR", "JPY", "USD", "BTC"]),
    tags=st.sampled_from([("acme",), ("acme",), ("globex",), (), ("acme", "globex"), (" ",)]),
    lines=st.sampled_from([LINES, LINES, LINES[:1], ()]),
    refunds=st.lists(st.sampled_from(REFUNDS), unique=True, max_size=3).map(tuple),
    payment_method=st.sampled_from(["bacs", "cod"]),
)
PAUSES = st.sampled_from([0, 1, 4 * MINUTE, 10 * MINUTE, 25 * MINUTE])
SEEN = st.lists(
    st.tuples(
        STATES | STATES | st.builds(Unreadable, st.just("main"), st.just(63), st.just("odd")),
        PAUSES,
    ),
    max_size=12,
)
often = settings(max_examples=400)


def lived(rules: Rules, seen: Sequence[tuple[Order | Unreadable, Instant]]) -> Ledger:
    ledger = Ledger(rules)
    for arrived, after in seen:
        ledger.show(arrived, after)
    return ledger


def newborn(rules: Rules, last: Sequence[Order]) -> Ledger:
    ledger = Ledger(rules)
    ledger.settle(last)
    return ledger


@often
@given(st.sampled_from(EVERY_RULE), SEEN, STATES, STATES)
def test_the_wallets_end_where_the_last_states_say_whatever_was_seen_before(
    rules: Rules, seen: list[tuple[Order | Unreadable, Instant]], one: Order, other: Order
) -> None:
    last = [one._replace(id=63), other._replace(id=64)]
    # A held order keeps what it had, so its last state alone says nothing: leave it out.
    last = [state for state in last if not isinstance(effects(state, rules), Held)]
    ids = {state.id for state in last}
    ledger = lived(rules, [(state, after) for state, after in seen if state.id in ids])
    ledger.settle(last)

    ours, theirs = ledger.wallets(), newborn(rules, last).wallets()
    assert available(ours) == available(theirs)
    if all(state.status != "on-hold" for state in last):
        assert ours == theirs


def available(wallets: Wallets) -> dict[WalletId, int]:
    return {wallet_id: free for wallet_id, (_, free) in wallets.items()}


@often
@given(st.sampled_from(EVERY_RULE), SEEN, STATES)
def test_a_settled_order_posts_nothing_however_often_it_is_seen(
    rules: Rules, seen: list[tuple[Order | Unreadable, Instant]], last: Order
) -> None:
    ledger = lived(rules, seen)
    ledger.settle([last])
    assert [ledger.show(last, after) for after in (0, MINUTE, 25 * MINUTE)] == [0, 0, 0]


@often
@given(st.sampled_from(EVERY_RULE), SEEN, STATES)
def test_a_held_state_changes_no_wallet(
    rules: Rules, seen: list[tuple[Order | Unreadable, Instant]], odd: Order
) -> None:
    ledger = lived(rules, seen)
    before = ledger.wallets()
    if isinstance(effects(odd, rules), Held):
        ledger.settle([odd])
        assert ledger.wallets() == before


@often
@given(st.sampled_from(EVERY_RULE), SEEN, STATES)
def test_an_order_alone_never_makes_a_debt_and_holds_no_more_than_it_gave(
    rules: Rules, seen: list[tuple[Order | Unreadable, Instant]], last: Order
) -> None:
    ledger = Ledger(rules)
    for arrived, after in [*seen, (last, 0)]:
        ledger.show(arrived, after)
        for balance, free in ledger.wallets().values():
            assert 0 <= free <= balance


SIGNED = Rules(deposit_keys=KEYS)
SIGNED_LINES = (line(1, total="40.00", seals=(sealed(deposit(amount=4000, bonus=333)),)),)
BEGUN = st.builds(
    order,
    status=st.sampled_from(STATUSES),
    tags=st.sampled_from([("acme",), ()]),
    lines=st.sampled_from([SIGNED_LINES, SIGNED_LINES + LINES[1:], LINES]),
    refunds=st.lists(st.sampled_from(REFUNDS[:3]), unique=True).map(tuple),
)


@often
@given(st.lists(st.tuples(BEGUN, PAUSES), max_size=12), BEGUN)
def test_a_deposit_and_its_bonus_end_where_the_last_state_says(
    seen: list[tuple[Order | Unreadable, Instant]], last: Order
) -> None:
    assume(not isinstance(effects(last, SIGNED), Held))
    ledger = lived(SIGNED, seen)
    assert all(0 <= free <= balance for balance, free in ledger.wallets().values())
    ledger.settle([last])
    assert available(ledger.wallets()) == available(newborn(SIGNED, [last]).wallets())


@pytest.mark.parametrize("status", ["completed", "refunded", "processing"])
def test_a_dispute_ends_as_its_order_ends(status: str) -> None:
    ledger = Ledger(Rules())
    ledger.settle([order()])
    ledger.settle([order(status="on-hold")])
    assert ledger.wallets()[WalletId("acme", "EUR")] == (5000, 0)
    ledger.settle([order(status=status)])
    expected = 5000 if status == "completed" else 0
    assert ledger.wallets()[WalletId("acme", "EUR")] == (expected, expected)
