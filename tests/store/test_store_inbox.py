"""Hints: many become one, each is followed by one, and none is lost."""

import pytest

from bridge.domain.clock import SECOND
from bridge.store import inbox
from bridge.store.database import Database
from bridge.store.inbox import BACK_OFF_MAX_S, CLAIM_S, Hint
from tests.store.drafting import NOON


def hint(order_id: int = 1, *, due_at: int = NOON, received_at: int = NOON, **fields: str) -> Hint:
    return Hint(
        fields.get("storefront", "main"),
        order_id,
        due_at,
        received_at,
        fields.get("way", "webhook"),
    )


def put(database: Database, *hints: Hint) -> None:
    with database.write() as tx:
        inbox.put(tx, hints)


def claim(database: Database, now: int = NOON, limit: int = 100) -> list[Hint]:
    with database.write() as tx:
        return inbox.claim(tx, "main", now, limit)


def done(database: Database, hints: list[Hint]) -> None:
    with database.write() as tx:
        inbox.done(tx, hints)


def waiting(database: Database) -> int:
    with database.read() as tx:
        return inbox.waiting(tx)


def test_a_hundred_hints_for_one_order_are_one_row_as_early_as_the_first(
    database: Database,
) -> None:
    put(database, *(hint(due_at=NOON + n, received_at=NOON + n) for n in range(100)))
    put(database, hint(due_at=NOON + 500), hint(2))
    assert waiting(database) == 2
    assert [(h.order_id, h.due_at) for h in claim(database)] == [(1, NOON), (2, NOON)]


def test_a_hint_that_must_be_followed_earlier_is(database: Database) -> None:
    put(database, hint(due_at=NOON + 500))
    put(database, hint(due_at=NOON, way="tenant"))
    assert [h.way for h in claim(database)] == ["tenant"]


def test_only_due_hints_of_the_storefront_are_claimed(
    database: Database,
) -> None:
    put(database, hint(1), hint(2, due_at=NOON - 2), hint(3, due_at=NOON - 1))
    put(database, hint(4, due_at=NOON + 1), hint(5, storefront="other"))
    with database.read() as tx:
        assert inbox.due(tx, "main", NOON)
        assert not inbox.due(tx, "main", NOON - 3)
        assert not inbox.due(tx, "third", NOON)
    assert [h.order_id for h in claim(database, limit=2)] == [1, 2]
    assert [h.order_id for h in claim(database)] == [3]


def test_a_claimed_hint_is_not_claimed_again_until_its_claimer_must_be_dead(
    database: Database,
) -> None:
    put(database, hint())
    assert len(claim(database)) == 1
    assert claim(database, NOON + CLAIM_S * SECOND - 1) == []
    [again] = claim(database, NOON + CLAIM_S * SECOND)
    assert again.attempts == 1


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_claimers_at_the_same_time_skip_each_others_hints(database: Database) -> None:
    put(database, *(hint(n) for n in range(1, 5)))
    with database.write() as one, database.write() as other:
        first = inbox.claim(one, "main", NOON, 3)
        second = inbox.claim(other, "main", NOON, 3)
    assert len(first) == 3
    assert [h.order_id for h in second] == [4]


def test_a_followed_hint_is_gone(database: Database) -> None:
    put(database, hint(1), hint(2))
    done(database, claim(database, limit=1))
    assert [h.order_id for h in claim(database)] == [2]


@pytest.mark.parametrize("received_at", [NOON - 5, NOON, NOON + 5])
def test_a_hint_that_arrives_while_its_order_is_fetched_survives(
    database: Database, received_at: int
) -> None:
    """Two in the same microsecond, or a clock set back, make no difference."""
    put(database, hint())
    claimed = claim(database)
    put(database, hint(received_at=received_at))
    done(database, claimed)
    [later] = claim(database)
    done(database, [later])
    assert waiting(database) == 0


def test_a_hint_that_fails_is_put_back_for_longer_and_longer(database: Database) -> None:
    put(database, hint())
    pauses, now = [], NOON
    for _ in range(14):
        with database.write() as tx:
            claimed = inbox.claim(tx, "main", now, 100)
            inbox.put_back(tx, claimed, now)
            [row] = tx.execute(inbox.INBOX.select()).mappings()
        pauses.append((row["due_at"] - now) // SECOND)
        now = row["due_at"]
    assert pauses[:4] == [2, 4, 8, 16]
    assert pauses[-2:] == [BACK_OFF_MAX_S] * 2


def test_putting_back_does_not_delay_a_hint_that_arrived_meanwhile(database: Database) -> None:
    put(database, hint())
    claimed = claim(database)
    put(database, hint(received_at=NOON + 1))
    with database.write() as tx:
        inbox.put_back(tx, claimed, NOON)
    assert [h.attempts for h in claim(database)] == [0]


def test_no_hints_are_no_work(database: Database) -> None:
    put(database)
    done(database, [])
    assert claim(database) == []
