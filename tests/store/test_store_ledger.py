"""The one door through which money moves, on both databases."""

import random
from typing import Any

import pytest
from sqlalchemy import text

from bridge.domain.clock import MINUTE
from bridge.domain.entry import Draft, EffectDraft, EntryId, Kind, Outcome
from bridge.domain.money import AMOUNT_MAX
from bridge.store import ledger, reports
from bridge.store.database import Database
from tests.store.drafting import (
    NOON,
    adjustment,
    balance,
    debit,
    draft,
    effect,
    entries,
    follow,
    hold,
    post,
    posted,
    problems,
    summary,
)


def open_holds(database: Database) -> list[tuple[str, int]]:
    with database.read() as tx:
        rows = tx.execute(text("SELECT tenant_id, version FROM open_holds ORDER BY 1, 2"))
        return [(row[0], row[1]) for row in rows]


def count(database: Database, table: str) -> int:
    with database.read() as tx:
        return int(tx.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def test_every_kind_moves_balance_and_held_as_it_says(database: Database) -> None:
    first = posted(database, adjustment(1000), debit(300), hold(400), hold(100), hold(50))
    _, taken, captured, voided, expired = first
    posted(
        database,
        follow(Kind.DEBIT_REFUND, taken),
        follow(Kind.CAPTURE, captured, 150),
        follow(Kind.VOID, voided),
    )
    posted(database, follow(Kind.EXPIRE, expired), now=NOON + MINUTE)
    posted(
        database,
        effect(500),
        effect(450),
        effect(450, effect="hold/dispute"),
        effect(0, effect="hold/dispute"),
    )
    lines = [(e.kind, e.amount, e.held, e.balance_after, e.held_after) for e in entries(database)]
    assert lines == [
        ("adjustment", 1000, 0, 1000, 0),
        ("debit", -300, 0, 700, 0),
        ("hold", 0, 400, 700, 400),
        ("hold", 0, 100, 700, 500),
        ("hold", 0, 50, 700, 550),
        ("debit_refund", 300, 0, 1000, 550),
        ("capture", -150, -400, 850, 150),
        ("void", 0, -100, 850, 50),
        ("expire", 0, -50, 850, 0),
        ("deposit", 500, 0, 1350, 0),
        ("reversal", -50, 0, 1300, 0),
        ("hold", 0, 450, 1300, 450),
        ("void", 0, -450, 1300, 0),
    ]
    assert problems(database) == []


def test_an_outcome_carries_the_entry_as_it_was_stored(database: Database) -> None:
    asked = adjustment(
        500, reference="inv-7", description="Grüße 🌍", metadata='{"plan":"pro"}', caller="back"
    )
    made = posted(database, asked, effect(700))
    assert entries(database) == made
    assert (made[0].reference, made[0].description, made[0].metadata) == (
        "inv-7",
        "Grüße 🌍",
        '{"plan":"pro"}',
    )
    assert (made[1].caller, made[1].idempotency_key) == ("storefront:main", "1/deposit#EUR.1")


def test_drafts_of_one_call_see_what_those_before_them_did(database: Database) -> None:
    outcomes = post(database, debit(10), adjustment(10), debit(10), debit(1), adjustment(5))
    assert summary(outcomes) == [
        "insufficient_balance",
        "posted",
        "posted",
        "insufficient_balance",
        "posted",
    ]
    assert [e.version for e in entries(database)] == [1, 2, 3]
    assert outcomes[0].available == 0


def test_posting_nothing_is_nothing(database: Database) -> None:
    assert post(database) == []


class TestKeys:
    def test_a_repeated_key_replays_the_entry(self, database: Database) -> None:
        posted(database, adjustment(100))
        asked = debit(30, key="renewal-7")
        [first, again] = post(database, asked, asked)
        [later] = post(database, asked)
        assert summary([first, again, later]) == ["posted", "replayed", "replayed"]
        assert first.entry == again.entry == later.entry
        assert balance(database) == 70

    def test_a_key_with_other_content_is_declined(self, database: Database) -> None:
        posted(database, adjustment(100), debit(30, key="renewal-7"))
        for other in (
            debit(31, key="renewal-7"),
            hold(30, key="renewal-7"),
            debit(30, key="renewal-7", currency="USD"),
            adjustment(30, key="renewal-7", currency="USD"),
        ):
            assert summary(post(database, other)) == ["idempotency_key_reused"]
        assert balance(database) == 70

    def test_a_key_belongs_to_its_caller_and_its_tenant(self, database: Database) -> None:
        posted(
            database,
            adjustment(100),
            adjustment(100, tenant_id="other"),
            debit(30, key="renewal-7"),
            debit(30, key="renewal-7", caller="billing"),
            debit(30, key="renewal-7", tenant_id="other"),
        )
        assert (balance(database), balance(database, "other")) == (40, 70)

    @pytest.mark.parametrize("key", ["'", '"', "\\", "%_", "[0]", "$.x", ":key", "ключ", "💶", " "])
    def test_a_key_is_compared_byte_by_byte(self, database: Database, key: str) -> None:
        posted(database, adjustment(100))
        assert summary(post(database, debit(30, key=key), debit(30, key=key))) == [
            "posted",
            "replayed",
        ]
        assert summary(post(database, debit(30, key=key))) == ["replayed"]
        assert summary(post(database, debit(30, key=f"{key} "))) == ["posted"]

    def test_a_declined_key_may_succeed_later(self, database: Database) -> None:
        posted(database, adjustment(10))
        renewal = debit(30, key="renewal-7")
        assert summary(post(database, renewal)) == ["insufficient_balance"]
        posted(database, effect(100))
        assert summary(post(database, renewal)) == ["posted"]


class TestDeclines:
    @pytest.mark.parametrize(
        ("asked", "reason"),
        [
            (debit(1, tenant_id="nobody"), "tenant_not_found"),
            (hold(1, tenant_id="nobody"), "tenant_not_found"),
            (adjustment(1, tenant_id="nobody", opens_wallet=False), "tenant_not_found"),
            (debit(101), "insufficient_balance"),
            (hold(101), "insufficient_balance"),
            (debit(1, currency="USD"), "insufficient_balance"),
            (draft(Kind.VOID, None, related_version=99), "entry_not_found"),
            (draft(Kind.CAPTURE, None, related_version=1), "entry_not_found"),
            (draft(Kind.DEBIT_REFUND, None, related_version=1), "entry_not_found"),
            (draft(Kind.VOID, None, related_version=1, currency="USD"), "entry_not_found"),
            (adjustment(AMOUNT_MAX), "balance_limit"),
        ],
    )
    def test_a_decline_names_its_reason_and_leaves_no_trace(
        self, database: Database, asked: Draft, reason: str
    ) -> None:
        posted(database, adjustment(100))
        tables = ("tenants", "wallets", "entries", "effects", "open_holds")
        before = [count(database, table) for table in tables]
        assert summary(post(database, asked)) == [reason]
        assert [count(database, table) for table in tables] == before

    def test_an_adjustment_opens_another_wallet_of_a_known_tenant(self, database: Database) -> None:
        posted(database, adjustment(100))
        posted(database, adjustment(7, currency="USD", opens_wallet=False))
        assert balance(database, currency="USD") == 7

    def test_an_order_or_a_permitted_adjustment_makes_the_tenant(self, database: Database) -> None:
        posted(database, effect(5, tenant_id="a"), adjustment(5, tenant_id="b"))
        with database.read() as tx:
            made = reports.tenants(tx, "", 10)
        assert [(t.tenant_id, t.created_at) for t in made] == [("a", NOON), ("b", NOON)]

    def test_a_tenant_made_by_an_earlier_draft_is_no_stranger_to_a_later_one(
        self, database: Database
    ) -> None:
        drafts = effect(5, tenant_id="new"), debit(5, tenant_id="new")
        assert summary(post(database, *drafts)) == ["posted", "posted"]


class TestHolds:
    def test_a_hold_ends_once(self, database: Database) -> None:
        _, placed = posted(database, adjustment(100), hold(60))
        posted(database, follow(Kind.CAPTURE, placed))
        for kind in (Kind.CAPTURE, Kind.VOID, Kind.EXPIRE):
            assert summary(post(database, follow(kind, placed))) == ["hold_closed"]
        assert balance(database) == 40

    def test_two_ends_in_one_call_are_one(self, database: Database) -> None:
        _, placed = posted(database, adjustment(100), hold(60))
        outcomes = post(database, follow(Kind.VOID, placed), follow(Kind.CAPTURE, placed))
        assert summary(outcomes) == ["posted", "hold_closed"]

    def test_a_hold_is_captured_until_it_expires_and_expires_from_then_on(
        self, database: Database
    ) -> None:
        _, placed = posted(database, adjustment(100), hold(60))
        assert summary(post(database, follow(Kind.EXPIRE, placed))) == ["hold_running"]
        late = NOON + MINUTE
        assert summary(post(database, follow(Kind.CAPTURE, placed), now=late)) == ["hold_expired"]
        assert summary(post(database, follow(Kind.EXPIRE, placed), now=late)) == ["posted"]

    def test_a_capture_takes_at_most_what_was_held(self, database: Database) -> None:
        _, placed = posted(database, adjustment(100), hold(60))
        assert summary(post(database, follow(Kind.CAPTURE, placed, 61))) == ["exceeds_hold"]

    def test_open_holds_are_listed_until_they_end(self, database: Database) -> None:
        posted(database, adjustment(100), adjustment(100, tenant_id="other"))
        first, second, third = posted(database, hold(10), hold(10), hold(10, tenant_id="other"))
        assert open_holds(database) == [("acme", 2), ("acme", 3), ("other", 2)]
        posted(database, follow(Kind.CAPTURE, first), follow(Kind.VOID, third))
        assert open_holds(database) == [("acme", 3)]
        posted(database, follow(Kind.EXPIRE, second), now=NOON + MINUTE)
        assert open_holds(database) == []

    def test_what_is_held_cannot_be_debited(self, database: Database) -> None:
        posted(database, adjustment(100), hold(60))
        outcomes = post(database, debit(41), debit(40))
        assert summary(outcomes) == ["insufficient_balance", "posted"]
        assert outcomes[0].available == 40


class TestRefundsOfDebits:
    def test_refunds_add_up_to_at_most_the_debit(self, database: Database) -> None:
        _, taken = posted(database, adjustment(100), debit(60))
        posted(database, follow(Kind.DEBIT_REFUND, taken, 20))
        assert summary(post(database, follow(Kind.DEBIT_REFUND, taken, 41))) == ["exceeds_debit"]
        [rest] = posted(database, follow(Kind.DEBIT_REFUND, taken))
        assert rest.amount == 40
        assert summary(post(database, follow(Kind.DEBIT_REFUND, taken))) == ["exceeds_debit"]

    def test_refunds_of_one_call_count_together(self, database: Database) -> None:
        _, taken = posted(database, adjustment(100), debit(60))
        refunds = [follow(Kind.DEBIT_REFUND, taken, 25) for _ in range(3)]
        assert summary(post(database, *refunds)) == ["posted", "posted", "exceeds_debit"]

    def test_a_capture_can_be_refunded(self, database: Database) -> None:
        _, placed = posted(database, adjustment(100), hold(60))
        [captured] = posted(database, follow(Kind.CAPTURE, placed, 50))
        [refund] = posted(database, follow(Kind.DEBIT_REFUND, captured))
        assert (refund.amount, refund.related_version) == (50, captured.version)
        assert balance(database) == 100


class TestEffects:
    def test_the_ledger_converges_on_targets_and_reading_again_posts_nothing(
        self, database: Database
    ) -> None:
        for target in (500, 500, 300, 0, 500):
            post(database, effect(target))
        assert [e.amount for e in entries(database)] == [500, -200, -300, 500]
        assert [e.idempotency_key for e in entries(database)] == [
            f"1/deposit#EUR.{n}" for n in (1, 2, 3, 4)
        ]
        [again] = post(database, effect(500))
        assert again == Outcome("replayed")

    def test_an_order_moves_to_another_wallet_in_one_call(self, database: Database) -> None:
        posted(database, effect(500))
        moved = [effect(0), effect(500, tenant_id="right"), effect(9, order_id=2, currency="USD")]
        assert summary(post(database, *moved)) == ["posted"] * 3
        assert (balance(database), balance(database, "right")) == (0, 500)

    def test_an_order_may_change_its_currency(self, database: Database) -> None:
        posted(database, effect(500))
        posted(database, effect(0), effect(600, currency="USD"))
        posted(database, effect(500), effect(0, currency="USD"))
        assert (balance(database), balance(database, currency="USD")) == (500, 0)

    def test_effects_of_other_orders_and_storefronts_stay_apart(self, database: Database) -> None:
        posted(
            database,
            effect(1, order_id=1),
            effect(2, order_id=10),
            effect(4, storefront="other"),
            effect(-1, effect="refund/9"),
        )
        assert balance(database) == 6
        posted(database, effect(0, storefront="other"))
        assert balance(database) == 2

    def test_a_refund_of_money_that_is_gone_leaves_a_debt(self, database: Database) -> None:
        posted(database, effect(100), debit(100), effect(-100, effect="refund/9"))
        assert balance(database) == -100
        assert summary(post(database, debit(1))) == ["insufficient_balance"]
        posted(database, effect(150, order_id=2))
        assert summary(post(database, debit(51), debit(50))) == ["insufficient_balance", "posted"]


def any_drafts(seed: int, number: int) -> list[Draft | EffectDraft]:
    """Drafts of all kinds on forty wallets; some repeat a key, some are about earlier entries."""
    dice = random.Random(seed)

    def any_draft() -> Draft | EffectDraft:
        place: dict[str, Any] = {
            "tenant_id": f"t{dice.randint(1, 20)}",
            "currency": dice.choice(["EUR", "JPY"]),
        }
        amount, order_id, version = dice.randint(1, 50), dice.randint(1, 40), dice.randint(1, 20)
        choices: list[Draft | EffectDraft] = [
            debit(amount, **place),
            debit(amount, key=f"again-{dice.randint(1, 60)}", **place),
            hold(amount, **place),
            draft(Kind.VOID, None, related_version=version, **place),
            draft(Kind.CAPTURE, None, related_version=version, **place),
            draft(Kind.DEBIT_REFUND, None, related_version=version, **place),
            effect(amount * 10, order_id=order_id, **place),
            effect(dice.choice([0, amount]), order_id=order_id, effect="hold/dispute", **place),
        ]
        return dice.choice(choices)

    return [any_draft() for _ in range(number)]


@pytest.mark.parametrize("seed", range(3))
def test_a_batch_decides_as_its_drafts_would_one_by_one(database: Database, seed: int) -> None:
    posted(database, *(adjustment(100, tenant_id=f"t{n}") for n in range(1, 21)))
    drafts = any_drafts(seed, 200)
    with database.write() as tx:
        alone = [ledger.post(tx, [each], NOON)[0] for each in drafts]
        tx.rollback()
    assert post(database, *drafts) == alone
    assert problems(database) == []


def test_a_thousand_drafts_go_in_one_call(database: Database) -> None:
    outcomes = post(database, *any_drafts(7, 1000))
    assert len(outcomes) == 1000
    assert count(database, "entries") == summary(outcomes).count("posted") > 300
    assert problems(database) == []


def test_an_entry_is_found_by_its_id(database: Database) -> None:
    made = posted(database, adjustment(5), adjustment(6))
    with database.read() as tx:
        assert [reports.entry(tx, EntryId.parse(entry.id)) for entry in made] == made
