"""Judging one order, by example: what it was seen as and what was posted go in by hand."""

import pytest

from bridge.domain.clock import HOUR, MINUTE
from bridge.domain.crediting import Rules
from bridge.domain.drift import FindingKind, Posted
from bridge.domain.held import HeldReason
from bridge.domain.order import Order, Unreadable
from bridge.store import snapshot
from bridge.store.orders import CREDITED, HELD, NOTHING, WAITING, Seen
from bridge.sync.context import Policy
from bridge.sync.judge import (
    Judgement,
    judge,
    state_digest,
    too_large,
    unknown_tenant,
)
from bridge.sync.started import Begun
from tests.examples import ACME, GLOBEX, NOON, on, order, refunded

NEW = Seen("main", 63)
PAID = on(ACME, deposit=5000)
POLICY = Policy("main")


def judged(
    arrived: Order | Unreadable, seen: Seen = NEW, posted: Posted | None = None, now: int = NOON
) -> Judgement:
    return judge(arrived, seen, PAID if posted is None else posted, POLICY, Begun({}, ()), now)


def asked(judgement: Judgement) -> list[tuple[str, str, str, int]]:
    return [(d.tenant_id, d.currency, d.effect, d.target) for d in judgement.drafts]


# Forward


def test_a_paid_order_is_credited_and_kept_as_it_was_seen() -> None:
    paid = order()
    judgement = judged(paid, posted={})
    assert asked(judgement) == [("acme", "EUR", "deposit", 5000)]
    assert judgement.seen == Seen(
        "main",
        63,
        fingerprint=paid.fingerprint,
        digest=state_digest(paid, POLICY),
        snapshot=snapshot.take(paid).decode(),
        verdict=CREDITED,
        because="status completed credits the order total",
        tenant_id="acme",
        status="completed",
        created_at=paid.created_at,
        fetched_at=paid.fetched_at,
        changed_at=NOON,
        sightings=1,
    )
    (finding,) = judgement.findings
    assert (finding.kind, finding.drift) == (FindingKind.PAID_NOT_CREDITED, 5000)


def test_an_order_that_was_credited_asks_for_nothing_more() -> None:
    judgement = judged(order())
    assert (judgement.seen.verdict, judgement.drafts, judgement.findings) == (CREDITED, (), ())


def test_another_tenant_is_two_drafts_at_once() -> None:
    judgement = judged(order(tags=("globex",)))
    assert asked(judgement) == [
        ("acme", "EUR", "deposit", 0),
        ("globex", "EUR", "deposit", 5000),
    ]
    assert judgement.seen.tenant_id == "globex"


def test_a_draft_says_when_and_why_in_words() -> None:
    stamped = order(refunds=refunded("10.00"))
    deposit, refund = judged(stamped, posted={}).drafts
    assert (deposit.occurred_at, deposit.description) == (stamped.paid_at, "Deposit by order 63")
    assert (refund.occurred_at, refund.description) == (
        stamped.modified_at,
        "Refund 101 of order 63",
    )


@pytest.mark.parametrize(
    ("fields", "posted", "description"),
    [
        ({"status": "cancelled"}, PAID, "Order 63 is cancelled"),
        ({}, on(ACME, deposit=5000, refund_101=-1000), "Withdrawn refund 101 of order 63"),
        ({"status": "on-hold"}, PAID, "Order 63 is disputed"),
        ({}, on(ACME, deposit=5000, hold_dispute=5000), "Dispute of order 63 has ended"),
    ],
)
def test_what_a_draft_takes_or_gives_back_is_described(
    fields: dict[str, str], posted: Posted, description: str
) -> None:
    (draft,) = judged(order(**fields), posted=posted).drafts
    assert draft.description == description


def test_nothing_happened_later_than_now_whatever_the_storefronts_clock_says() -> None:
    ahead = order(paid_at=NOON + 1, modified_at=NOON + 1, refunds=refunded("1.00"))
    assert {draft.occurred_at for draft in judged(ahead, posted={}).drafts} == {NOON}


def test_an_order_without_a_payment_date_happened_when_it_was_completed_or_changed() -> None:
    completed = order(paid_at=None)
    changed = completed._replace(completed_at=None)
    for unpaid, when in ((completed, completed.completed_at), (changed, changed.modified_at)):
        assert judged(unpaid, posted={}).drafts[0].occurred_at == when


# Backward


@pytest.mark.parametrize(
    "fields", [{"status": "processing"}, {"status": "pending"}, {"status": "lost"}, {"tags": ()}]
)
def test_a_step_back_is_taken_when_seen_again_ten_minutes_later(fields: dict[str, object]) -> None:
    back = order(**fields)
    first = judged(back)
    assert (first.seen.verdict, first.seen.backward_since, first.drafts) == (WAITING, NOON, ())
    assert first.recheck_at == NOON + 10 * MINUTE
    assert "this may be a slip" in first.seen.because

    soon = judged(back, first.seen, now=NOON + 10 * MINUTE - 1)
    assert (soon.seen.verdict, soon.seen.backward_since, soon.drafts) == (WAITING, NOON, ())
    assert soon.seen.because == first.seen.because

    late = judged(back, soon.seen, now=NOON + 10 * MINUTE)
    assert asked(late) == [("acme", "EUR", "deposit", 0)]
    assert (late.seen.verdict, late.seen.backward_since, late.recheck_at) == (NOTHING, None, None)


def test_a_step_back_that_waits_is_found_by_a_reconciliation() -> None:
    (finding,) = judged(order(status="processing")).findings
    assert (finding.kind, finding.drift) == (FindingKind.CREDITED_NOT_PAID, -5000)


def test_a_slip_that_was_mended_begins_its_ten_minutes_anew() -> None:
    slipped = judged(order(status="pending"))
    mended = judged(order(), slipped.seen, now=NOON + MINUTE)
    assert (mended.seen.verdict, mended.seen.backward_since) == (CREDITED, None)
    again = judged(order(status="pending"), mended.seen, now=NOON + 20 * MINUTE)
    assert (again.seen.verdict, again.drafts) == (WAITING, ())


def test_two_different_steps_back_wait_together() -> None:
    pending = judged(order(status="pending"))
    untagged = judged(order(tags=()), pending.seen, now=NOON + 10 * MINUTE)
    assert asked(untagged) == [("acme", "EUR", "deposit", 0)]


def test_an_order_that_never_was_credited_waits_for_nothing() -> None:
    judgement = judged(order(status="processing"), posted={})
    assert (judgement.seen.verdict, judgement.recheck_at) == (NOTHING, None)


@pytest.mark.parametrize("status", ["cancelled", "failed", "refunded", "trash", "vanished"])
def test_what_is_surely_over_is_taken_back_at_once(status: str) -> None:
    judgement = judged(order(status=status))
    assert asked(judgement) == [("acme", "EUR", "deposit", 0)]
    assert judgement.seen.verdict == NOTHING


def test_a_refund_is_reversed_at_once_by_its_name() -> None:
    judgement = judged(order(refunds=refunded("20.00")))
    assert asked(judgement) == [("acme", "EUR", "refund/101", -2000)]
    whole = judged(order(status="refunded", refunds=refunded("50.00")))
    assert asked(whole) == [("acme", "EUR", "refund/101", -5000)]


def test_a_lower_total_is_taken_at_once() -> None:
    assert asked(judged(order(total="20.00"))) == [("acme", "EUR", "deposit", 2000)]


# Disputes


def test_an_order_on_hold_is_never_credited() -> None:
    judgement = judged(order(status="on-hold"), posted={})
    assert (judgement.seen.verdict, judgement.drafts) == (NOTHING, ())


def test_an_order_on_hold_after_its_credit_is_held_at_once_and_released_when_won() -> None:
    disputed = judged(order(status="on-hold"))
    assert asked(disputed) == [("acme", "EUR", "hold/dispute", 5000)]
    assert disputed.seen.verdict == CREDITED
    held = on(ACME, deposit=5000, hold_dispute=5000)
    assert judged(order(status="on-hold"), disputed.seen, held).drafts == ()
    won = judged(order(), disputed.seen, held)
    assert asked(won) == [("acme", "EUR", "hold/dispute", 0)]
    lost = judged(order(status="refunded"), disputed.seen, held)
    assert asked(lost) == [("acme", "EUR", "deposit", 0), ("acme", "EUR", "hold/dispute", 0)]


# Held


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"tags": ("acme", "globex")}, HeldReason.TAG_CONFLICT),
        ({"total": "x"}, HeldReason.AMOUNT_UNREADABLE),
        ({"refunds": refunded("50.01")}, HeldReason.REFUND_EXCEEDS),
    ],
)
def test_a_held_order_keeps_what_was_posted(fields: dict[str, object], reason: HeldReason) -> None:
    judgement = judged(order(**fields), Seen("main", 63, tenant_id="acme", backward_since=NOON))
    row = judgement.seen
    assert (row.verdict, row.reason, row.backward_since) == (HELD, reason, None)
    assert (judgement.drafts, judgement.recheck_at) == ((), None)
    (finding,) = judgement.findings
    assert finding[:7] == (FindingKind.HELD, "main", 63, "acme", "EUR", 5000, 5000)
    assert finding.detail == row.because


def test_a_held_order_is_found_even_where_nothing_was_posted() -> None:
    (finding,) = judged(order(tags=("acme", "globex")), posted={}).findings
    assert finding[:7] == (FindingKind.HELD, "main", 63, "", "", 0, 0)


def test_a_held_order_that_was_mended_is_credited_and_forgets_its_reason() -> None:
    held = judged(order(tags=("acme", "globex")), posted={}).seen
    mended = judged(order(tags=("globex",)), held, {})
    assert asked(mended) == [("globex", "EUR", "deposit", 5000)]
    assert (mended.seen.verdict, mended.seen.reason) == (CREDITED, "")


def test_an_unreadable_order_keeps_its_last_state_and_is_read_again() -> None:
    before = judged(order()).seen
    judgement = judged(Unreadable("main", 63, "total is missing"), before, now=NOON + 1)
    row = judgement.seen
    assert (row.verdict, row.reason, row.digest) == (HELD, HeldReason.UNREADABLE, b"")
    assert row.because == "total is missing; it is read again every hour"
    assert judgement.recheck_at == NOON + 1 + HOUR
    assert (row.snapshot, row.fingerprint, judgement.drafts) == (
        before.snapshot,
        before.fingerprint,
        (),
    )


@pytest.mark.parametrize("other", [{"key": "wc_order_other"}, {"created_at": 1}])
@pytest.mark.parametrize("status", ["completed", "cancelled", "vanished"])
def test_another_order_under_the_same_id_is_held_and_neither_credits_nor_reverses(
    other: dict[str, object], status: str
) -> None:
    before = judged(order()).seen
    judgement = judged(order(status=status, total="99.00", **other), before)
    row = judgement.seen
    assert (row.verdict, row.reason) == (HELD, HeldReason.IDENTITY_CHANGED)
    assert row.fingerprint == before.fingerprint
    assert judgement.drafts == ()
    assert "bridge acknowledge main --order 63" in row.because


def test_the_former_order_coming_back_is_judged_as_if_nothing_had_been() -> None:
    before = judged(order()).seen
    replaced = judged(order(key="wc_order_other"), before).seen
    back = judged(order(status="cancelled"), replaced)
    assert asked(back) == [("acme", "EUR", "deposit", 0)]


def test_an_acknowledged_order_is_credited_as_the_next_generation() -> None:
    accepted = judged(order()).seen._replace(fingerprint="", digest=b"", generation=2)
    other = order(key="wc_order_other", tags=("globex",), refunds=refunded("10.00"))
    judgement = judged(other, accepted, {})
    assert asked(judgement) == [
        ("globex", "EUR", "deposit@2", 5000),
        ("globex", "EUR", "refund/101@2", -1000),
    ]
    assert judgement.seen.fingerprint == other.fingerprint
    assert judged(other._replace(status="trash"), judgement.seen, on(GLOBEX, deposit=4000)).drafts[
        0
    ][4:6] == ("deposit@2", 0)


def test_an_unknown_tenant_holds_the_order_and_says_how_to_create_it() -> None:
    before = judged(order(), posted={})
    judgement = unknown_tenant(before, {}, NOON)
    assert (judgement.seen.verdict, judgement.seen.reason) == (HELD, HeldReason.TENANT_UNKNOWN)
    assert judgement.drafts == ()
    assert "no tenant 'acme'" in judgement.seen.because
    assert judgement.findings[0].tenant_id == "acme"


def test_a_balance_beyond_64_bits_holds_the_order() -> None:
    judgement = too_large(judged(order(), posted={}), {}, NOON)
    assert (judgement.seen.reason, judgement.drafts) == (HeldReason.BALANCE_LIMIT, ())


# The digest


def test_the_digest_of_a_state_changes_with_the_order_and_with_the_rules_only() -> None:
    usual = state_digest(order(), POLICY)
    assert state_digest(order(fetched_at=NOON + 1), POLICY) == usual
    assert state_digest(order(), Policy("main", create_tenants=False)) == usual
    assert state_digest(order(total="50.01"), POLICY) != usual
    other_rules = Policy("main", Rules(statuses=frozenset({"processing"})))
    assert state_digest(order(), other_rules) != usual
