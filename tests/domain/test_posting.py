from itertools import pairwise
from typing import Any

import pytest

from bridge.domain.entry import (
    DECLINED,
    POSTED,
    REPLAYED,
    Draft,
    Effect,
    EffectDraft,
    EntryId,
    KeyId,
    Kind,
    Outcome,
    Reason,
)
from bridge.domain.money import AMOUNT_MAX
from bridge.domain.posting import Books, Related, decide
from bridge.domain.wallet import GENESIS, Wallet, WalletId
from tests.examples import ACME, GLOBEX, NOON, books, draft, effect

HOUR_LATER = NOON + 3_600_000_000
RICH = books(Wallet(*ACME, balance=1000, version=1, hash=b"r" * 32))


class Desk:
    """Posts drafts one after the other on books of its own."""

    def __init__(self, before: Books = RICH) -> None:
        self.books = before

    def post(self, asked: Draft | EffectDraft, now: int = NOON) -> Outcome:
        (outcome,), self.books = decide(self.books, [asked], now)
        return outcome

    def wallet(self, wallet_id: WalletId = ACME) -> Wallet:
        return self.books.wallets[wallet_id]

    def state(self) -> tuple[int, int]:
        """Balance and available."""
        return self.wallet().balance, self.wallet().available

    def hold(self, amount: int, expires_at: int | None = None) -> int:
        """Place a hold and return its version."""
        outcome = self.post(draft(Kind.HOLD, amount, f"hold-{amount}", expires_at=expires_at))
        assert outcome.entry
        return outcome.entry.version


def declined(reason: Reason, available: int = 0) -> Outcome:
    return Outcome(DECLINED, reason=reason, available=available)


@pytest.fixture
def desk() -> Desk:
    return Desk()


# Debits and adjustments


def test_a_debit_takes_what_is_available_to_the_last_unit(desk: Desk) -> None:
    assert desk.post(draft(Kind.DEBIT, 1001, "a")) == declined(Reason.INSUFFICIENT, 1000)
    assert desk.post(draft(Kind.DEBIT, 1000, "b")).status == POSTED
    assert desk.post(draft(Kind.DEBIT, 1, "c")) == declined(Reason.INSUFFICIENT)
    assert desk.state() == (0, 0)


@pytest.mark.parametrize("kind", [Kind.DEBIT, Kind.HOLD])
def test_debits_and_holds_leave_what_is_to_be_kept(desk: Desk, kind: Kind) -> None:
    refused = desk.post(draft(kind, 701, "a", keep_at_least=300))
    assert refused == declined(Reason.INSUFFICIENT, 1000)
    assert desk.post(draft(kind, 700, "b", keep_at_least=300)).status == POSTED
    assert desk.wallet().available == 300


def test_an_entry_carries_the_draft_and_the_wallet_after_it(desk: Desk) -> None:
    asked = draft(
        Kind.DEBIT, 300, reference="INV-1", description="Plan", metadata='{"a":"b"}', digest=b"d"
    )
    entry = desk.post(asked).entry
    assert entry is not None
    expected = {
        "tenant_id": "acme",
        "currency": "EUR",
        "version": 2,
        "kind": "debit",
        "amount": -300,
        "held": 0,
        "balance_after": 700,
        "held_after": 0,
        "contra": "plans",
        "caller": "api:core",
        "idempotency_key": "k",
        "request_digest": b"d",
        "reference": "INV-1",
        "description": "Plan",
        "source": "api/core",
        "metadata": '{"a":"b"}',
        "related_version": None,
        "expires_at": None,
        "occurred_at": NOON,
        "recorded_at": NOON,
        "hash": entry.sealed(b"r" * 32).hash,
    }
    assert entry._asdict() == expected
    assert desk.wallet() == Wallet(*ACME, 700, 0, 2, entry.hash)


def test_a_debit_on_a_wallet_nobody_opened_is_insufficient() -> None:
    desk = Desk(books(Wallet(*GLOBEX)))
    assert desk.post(draft(Kind.DEBIT, 1)) == declined(Reason.INSUFFICIENT)
    assert desk.books.wallets.keys() == {GLOBEX}


@pytest.mark.parametrize("amount", [500, -500, -5000])
def test_an_adjustment_moves_the_balance_either_way_and_may_leave_a_debt(
    desk: Desk, amount: int
) -> None:
    assert desk.post(draft(Kind.ADJUSTMENT, amount)).status == POSTED
    assert desk.state() == (1000 + amount, 1000 + amount)


def test_a_stranger_is_only_known_by_a_draft_that_may_open_its_wallet() -> None:
    desk = Desk(books(strangers=frozenset({"acme"})))
    unknown = declined(Reason.UNKNOWN_TENANT)
    assert desk.post(draft(Kind.DEBIT, 1)) == unknown
    assert desk.post(draft(Kind.ADJUSTMENT, 1)) == unknown
    assert desk.post(draft(Kind.ADJUSTMENT, 1, opens_wallet=True)).status == POSTED


@pytest.mark.parametrize("kind", [Kind.DEBIT, Kind.HOLD, Kind.CAPTURE, Kind.DEBIT_REFUND])
@pytest.mark.parametrize("amount", [0, -5])
def test_an_amount_that_would_turn_a_draft_around_is_an_error_of_the_caller(
    desk: Desk, kind: Kind, amount: int
) -> None:
    debit = desk.post(draft(Kind.DEBIT, 100, "debit")).entry
    assert debit is not None
    related = desk.hold(100) if kind is Kind.CAPTURE else debit.version
    with pytest.raises(ValueError, match=f"{amount} is no amount for a draft of kind {kind}"):
        desk.post(draft(kind, amount, related_version=related))


@pytest.mark.parametrize("kind", [Kind.DEBIT, Kind.HOLD, Kind.ADJUSTMENT])
def test_a_draft_that_leans_on_no_other_entry_names_its_amount(desk: Desk, kind: Kind) -> None:
    with pytest.raises(ValueError, match="is no amount"):
        desk.post(draft(kind, None))


# Keys


def test_the_same_key_and_content_is_answered_with_the_first_entry(desk: Desk) -> None:
    first = desk.post(draft(Kind.DEBIT, 300))
    again = desk.post(draft(Kind.DEBIT, 300), HOUR_LATER)
    assert again == Outcome(REPLAYED, first.entry)
    assert desk.state() == (700, 700)


def test_the_same_key_with_other_content_is_declined(desk: Desk) -> None:
    desk.post(draft(Kind.DEBIT, 300))
    assert desk.post(draft(Kind.DEBIT, 301)).reason == Reason.KEY_REUSED
    assert desk.post(draft(Kind.HOLD, 300)).reason == Reason.KEY_REUSED
    assert desk.state() == (700, 700)


def test_a_key_belongs_to_its_caller_and_its_tenant() -> None:
    desk = Desk(books(Wallet(*ACME, 1000), Wallet(*GLOBEX, 1000)))
    ours = draft(Kind.DEBIT, 300)
    for asked in (ours, ours._replace(caller="api:cli"), ours._replace(tenant_id="globex")):
        assert desk.post(asked).status == POSTED


def test_a_declined_draft_leaves_no_trace_under_its_key(desk: Desk) -> None:
    renewal = draft(Kind.DEBIT, 1500, "renewal")
    before = desk.books
    assert desk.post(renewal).status == DECLINED
    assert desk.books == before
    desk.post(effect("deposit", 1000))
    assert desk.post(renewal).status == POSTED


def test_within_a_batch_keys_are_replayed_and_reuse_is_declined() -> None:
    batch = [draft(Kind.DEBIT, 300), draft(Kind.DEBIT, 300), draft(Kind.DEBIT, 400)]
    outcomes, after = decide(RICH, batch, NOON)
    assert [outcome.status for outcome in outcomes] == [POSTED, REPLAYED, DECLINED]
    assert outcomes[1].entry is outcomes[0].entry
    assert outcomes[2].reason == Reason.KEY_REUSED
    assert after.wallets[ACME].balance == 700


def test_within_a_batch_each_draft_sees_what_those_before_it_did() -> None:
    batch: list[Draft | EffectDraft] = [
        draft(Kind.DEBIT, 800, "a"),
        draft(Kind.DEBIT, 800, "b"),
        effect("deposit", 700),
        draft(Kind.DEBIT, 800, "c"),
        draft(Kind.DEBIT_REFUND, 300, "d", related_version=2),
        draft(Kind.HOLD, 400, "e"),
        draft(Kind.CAPTURE, 100, "f", related_version=6),
        draft(Kind.DEBIT_REFUND, None, "g", related_version=7),
    ]
    outcomes, after = decide(RICH, batch, NOON)
    assert [outcome.status for outcome in outcomes] == [POSTED, DECLINED, *[POSTED] * 6]
    assert after.wallets[ACME][2:5] == (400, 0, 8)


def test_the_books_given_are_not_changed() -> None:
    before = books(Wallet(*ACME, 1000))
    copy = before.copy()
    decide(before, [draft(Kind.HOLD, 300), effect("deposit", 5)], NOON)
    assert before == copy


# Debts


def test_a_debt_blocks_debits_and_holds_and_the_next_deposit_pays_it_first() -> None:
    desk = Desk(books())
    desk.post(effect("deposit", 5000))
    desk.post(draft(Kind.DEBIT, 4000, "plan"))
    desk.post(effect("refund/101", -5000))
    assert desk.state() == (-4000, -4000)
    assert desk.post(draft(Kind.DEBIT, 1, "a")) == declined(Reason.INSUFFICIENT, -4000)
    assert desk.post(draft(Kind.HOLD, 1, "b")) == declined(Reason.INSUFFICIENT, -4000)
    desk.post(effect("deposit", 4500, order_id=64))
    assert desk.post(draft(Kind.DEBIT, 501, "c")) == declined(Reason.INSUFFICIENT, 500)
    assert desk.post(draft(Kind.DEBIT, 500, "d")).status == POSTED


# Holds


def test_a_hold_reserves_and_moves_no_money(desk: Desk) -> None:
    entry = desk.post(draft(Kind.HOLD, 600, expires_at=HOUR_LATER)).entry
    assert entry is not None
    assert (entry.amount, entry.held, entry.held_after, entry.expires_at) == (
        0,
        600,
        600,
        HOUR_LATER,
    )
    assert desk.state() == (1000, 400)
    assert desk.post(draft(Kind.DEBIT, 401, "a")) == declined(Reason.INSUFFICIENT, 400)
    assert desk.post(draft(Kind.HOLD, 401, "b")) == declined(Reason.INSUFFICIENT, 400)


@pytest.mark.parametrize(("taken", "left"), [(None, 400), (600, 400), (250, 750), (1, 999)])
def test_a_capture_takes_at_most_the_hold_and_releases_the_rest(
    desk: Desk, taken: int | None, left: int
) -> None:
    version = desk.hold(600)
    assert desk.post(draft(Kind.CAPTURE, taken, related_version=version)).status == POSTED
    assert desk.state() == (left, left)


def test_a_capture_of_more_than_the_hold_is_declined_even_where_more_is_available(
    desk: Desk,
) -> None:
    version = desk.hold(600)
    outcome = desk.post(draft(Kind.CAPTURE, 601, related_version=version))
    assert outcome == declined(Reason.EXCEEDS_HOLD, 400)
    assert desk.state() == (1000, 400)


def test_a_capture_makes_no_debt_where_a_refund_took_the_held_money(desk: Desk) -> None:
    version = desk.hold(600)
    desk.post(effect("refund/101", -700))
    assert desk.state() == (300, -300)
    capture = draft(Kind.CAPTURE, 301, "a", related_version=version)
    assert desk.post(capture) == declined(Reason.INSUFFICIENT, -300)
    assert desk.post(draft(Kind.CAPTURE, 300, "b", related_version=version)).status == POSTED
    assert desk.state() == (0, 0)


def test_a_void_releases_the_hold(desk: Desk) -> None:
    version = desk.hold(600)
    entry = desk.post(draft(Kind.VOID, related_version=version)).entry
    assert entry is not None
    assert (entry.amount, entry.held, entry.related_version) == (0, -600, version)
    assert desk.state() == (1000, 1000)


@pytest.mark.parametrize("end", [Kind.CAPTURE, Kind.VOID, Kind.EXPIRE])
@pytest.mark.parametrize("again", [Kind.CAPTURE, Kind.VOID, Kind.EXPIRE])
def test_a_hold_ends_once(desk: Desk, end: Kind, again: Kind) -> None:
    version = desk.hold(600, expires_at=HOUR_LATER)
    ended_at = HOUR_LATER if end is Kind.EXPIRE else NOON
    assert desk.post(draft(end, None, "a", related_version=version), ended_at).status == POSTED
    before = desk.state()
    outcome = desk.post(draft(again, None, "b", related_version=version), HOUR_LATER)
    assert outcome.reason == Reason.HOLD_CLOSED
    assert desk.state() == before


def test_a_hold_expires_when_its_time_has_run_out_and_not_before(desk: Desk) -> None:
    version = desk.hold(600, expires_at=HOUR_LATER)
    expire = draft(Kind.EXPIRE, related_version=version)
    capture = draft(Kind.CAPTURE, None, "c", related_version=version)
    assert desk.post(expire, HOUR_LATER - 1).reason == Reason.HOLD_RUNNING
    assert desk.post(capture, HOUR_LATER).reason == Reason.HOLD_EXPIRED
    assert desk.post(expire, HOUR_LATER).status == POSTED
    assert desk.state() == (1000, 1000)


def test_a_hold_can_be_captured_until_the_moment_it_expires(desk: Desk) -> None:
    version = desk.hold(600, expires_at=HOUR_LATER)
    capture = draft(Kind.CAPTURE, related_version=version)
    assert desk.post(capture, HOUR_LATER - 1).status == POSTED


def test_a_hold_without_an_expiry_never_expires(desk: Desk) -> None:
    version = desk.hold(600)
    outcome = desk.post(draft(Kind.EXPIRE, related_version=version), HOUR_LATER * 2)
    assert outcome.reason == Reason.HOLD_RUNNING


def test_an_expired_hold_can_still_be_voided(desk: Desk) -> None:
    version = desk.hold(600, expires_at=HOUR_LATER)
    assert desk.post(draft(Kind.VOID, related_version=version), HOUR_LATER).status == POSTED


@pytest.mark.parametrize("kind", [Kind.CAPTURE, Kind.VOID, Kind.EXPIRE, Kind.DEBIT_REFUND])
@pytest.mark.parametrize("version", [None, 0, 1, 2, 99])
def test_what_a_draft_leans_on_must_be_an_entry_of_the_right_kind(
    desk: Desk, kind: Kind, version: int | None
) -> None:
    desk.post(draft(Kind.ADJUSTMENT, 100, "adjustment"))
    outcome = desk.post(draft(kind, None, related_version=version))
    assert outcome.reason == Reason.NOT_FOUND


@pytest.mark.parametrize("kind", [Kind.CAPTURE, Kind.VOID, Kind.EXPIRE])
def test_the_hold_of_a_dispute_ends_with_the_dispute_and_by_nobody_else(
    desk: Desk, kind: Kind
) -> None:
    entry = desk.post(effect("hold/dispute", 800)).entry
    assert entry is not None
    desk.books.related[EntryId(*ACME, entry.version)] = Related(entry)  # as the store reads it
    outcome = desk.post(draft(kind, None, related_version=entry.version), HOUR_LATER)
    assert outcome.reason == Reason.NOT_FOUND
    assert desk.state() == (1000, 200)


# Refunds of debits


def test_refunds_of_a_debit_add_up_to_at_most_the_debit(desk: Desk) -> None:
    debit = desk.post(draft(Kind.DEBIT, 900, "debit")).entry
    assert debit is not None

    def refund(amount: int | None, key: str) -> Outcome:
        return desk.post(draft(Kind.DEBIT_REFUND, amount, key, related_version=debit.version))

    assert refund(901, "a").reason == Reason.EXCEEDS_DEBIT
    assert refund(400, "b").status == POSTED
    assert refund(501, "c").reason == Reason.EXCEEDS_DEBIT
    assert refund(None, "d").status == POSTED
    assert desk.state() == (1000, 1000)
    assert refund(None, "e").reason == Reason.EXCEEDS_DEBIT
    assert refund(1, "f").reason == Reason.EXCEEDS_DEBIT


def test_a_capture_is_refunded_like_a_debit_up_to_what_it_took(desk: Desk) -> None:
    version = desk.hold(600)
    capture = desk.post(draft(Kind.CAPTURE, 250, "c", related_version=version)).entry
    assert capture is not None
    refund = draft(Kind.DEBIT_REFUND, None, related_version=capture.version)
    assert desk.post(refund).status == POSTED
    assert desk.state() == (1000, 1000)


# Limits


@pytest.mark.parametrize(
    ("balance", "asked"),
    [
        (AMOUNT_MAX, effect("deposit", 1)),
        (AMOUNT_MAX - 5, draft(Kind.ADJUSTMENT, 6)),
        (-AMOUNT_MAX, effect("refund/7", -1)),
        (-AMOUNT_MAX, effect("hold/dispute", 1)),
    ],
)
def test_a_balance_that_would_not_fit_64_bits_is_declined(
    balance: int, asked: Draft | EffectDraft
) -> None:
    desk = Desk(books(Wallet(*ACME, balance)))
    before = desk.books
    assert desk.post(asked) == declined(Reason.BALANCE_LIMIT, balance)
    assert desk.books == before


def test_the_largest_balance_is_reached_exactly() -> None:
    desk = Desk(books())
    assert desk.post(effect("deposit", AMOUNT_MAX)).status == POSTED
    assert desk.post(draft(Kind.DEBIT, AMOUNT_MAX)).status == POSTED


# Effects of orders


def test_an_effect_posts_the_difference_to_its_target_and_numbers_its_entries() -> None:
    desk = Desk(books())
    entries = [desk.post(effect("deposit", target)).entry for target in (5000, 10000, 2000, 0)]
    assert [
        (entry.kind, entry.amount, entry.idempotency_key, entry.source)
        for entry in entries
        if entry
    ] == [
        (kind, amount, f"63/deposit#EUR.{number}", "order/main/63/deposit")
        for number, (kind, amount) in enumerate(
            [("deposit", 5000), ("deposit", 5000), ("reversal", -8000), ("reversal", -2000)], 1
        )
    ]
    assert desk.books.effects == {effect("deposit", 0).effect_id: Effect(0, 4)}
    assert desk.state() == (0, 0)


def test_an_effect_that_is_there_already_posts_nothing() -> None:
    desk = Desk(books())
    desk.post(effect("deposit", 5000))
    before = desk.books
    assert desk.post(effect("deposit", 5000)) == Outcome(REPLAYED)
    assert desk.post(effect("refund/101", 0)) == Outcome(REPLAYED)
    assert desk.books == before


def test_an_effect_moves_what_is_held_where_its_name_begins_with_hold() -> None:
    desk = Desk(books(Wallet(*ACME, 5000)))
    kinds = []
    for target, available in ((5000, 0), (3000, 2000), (0, 5000)):
        entry = desk.post(effect("hold/dispute", target)).entry
        assert entry is not None
        kinds.append((entry.kind, entry.amount))
        assert desk.state() == (5000, available)
    assert kinds == [("hold", 0), ("void", 0), ("void", 0)]


def test_an_effect_of_a_promotion_comes_from_the_promotions_and_goes_back_to_them() -> None:
    desk = Desk(books())
    given = desk.post(effect("promotion/bonus", 250)).entry
    taken = desk.post(effect("promotion/bonus", 100)).entry
    assert given is not None
    assert taken is not None
    assert (given.kind, given.amount, given.contra) == (Kind.BONUS, 250, "promotions")
    assert (taken.kind, taken.amount, taken.contra) == (Kind.REVERSAL, -150, "promotions")
    assert given.caller == taken.caller == "storefront:main"
    assert desk.state() == (100, 100)


def test_an_effect_says_where_it_came_from_and_when_it_happened() -> None:
    entry = Desk(books()).post(effect("refund/7", -5, occurred_at=NOON - 9), NOON).entry
    assert entry is not None
    assert (entry.contra, entry.caller, entry.reference) == (
        "storefront:main",
        "storefront:main",
        "63",
    )
    assert (entry.occurred_at, entry.recorded_at) == (NOON - 9, NOON)


def test_effects_of_other_orders_storefronts_and_wallets_stand_by_themselves() -> None:
    desk = Desk(books(Wallet(*ACME), Wallet(*GLOBEX)))
    others: list[dict[str, Any]] = [
        {},
        {"order_id": 64},
        {"storefront": "eu"},
        {"tenant_id": "globex"},
    ]
    assert [desk.post(effect("deposit", 100, **other)).status for other in others] == [POSTED] * 4
    assert (desk.wallet().balance, desk.wallet(GLOBEX).balance) == (300, 100)


def test_an_order_that_changed_its_currency_never_uses_a_key_twice() -> None:
    """A key is unique for a tenant, whatever the currency."""
    dollars = WalletId("acme", "USD")
    desk = Desk(books(Wallet(*ACME), Wallet(*dollars)))
    entries = [desk.post(effect("deposit", 5000, currency=one)).entry for one in ("EUR", "USD")]
    assert len({entry.idempotency_key for entry in entries if entry}) == 2


# The chain


def test_entries_are_numbered_and_chained_from_genesis() -> None:
    asked: list[Draft | EffectDraft] = [effect("deposit", 5000)]
    asked += [draft(Kind.DEBIT, 1, "a"), draft(Kind.HOLD, 1, "b")]
    outcomes, after = decide(books(), asked, NOON)
    entries = [outcome.entry for outcome in outcomes if outcome.entry]
    assert [entry.version for entry in entries] == [1, 2, 3]
    assert entries[0] == entries[0].sealed(GENESIS)
    assert all(entry == entry.sealed(before.hash) for before, entry in pairwise(entries))
    assert after.wallets[ACME].hash == entries[-1].hash
    assert after.known[KeyId("acme", "api:core", "a")] == entries[1]
    assert after.related[EntryId("acme", "EUR", 3)].entry == entries[2]
