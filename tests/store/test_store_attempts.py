"""Attempts: each is on record; what was given up lies dead until somebody asks for it."""

from bridge.domain.clock import DAY, MINUTE
from bridge.store import attempts
from bridge.store.attempts import Attempt, DeadLetter
from bridge.store.database import Database
from tests.store.drafting import NOON


def attempt(seq: int = 1, at: int = NOON, outcome: str = "refused") -> Attempt:
    return Attempt("acme", seq, "core", at, outcome, 12, "HTTP 500")


def letter(seq: int = 1, endpoint: str = "core", died_at: int = NOON) -> DeadLetter:
    return DeadLetter("acme", endpoint, seq, died_at, "HTTP 500")


def bury(database: Database, *letters: DeadLetter) -> None:
    with database.write() as tx:
        for one in letters:
            attempts.bury(tx, one)


def dead(database: Database) -> list[DeadLetter]:
    with database.read() as tx:
        return attempts.dead(tx, 100)


def is_due(database: Database, now: int) -> bool:
    with database.read() as tx:
        return attempts.due(tx, "core", now)


def claim(database: Database, now: int = NOON, limit: int = 10) -> list[int]:
    with database.write() as tx:
        letters = attempts.claim_dead(tx, "core", now, now + MINUTE, limit)
    return [one.seq for one in letters]


def test_the_attempts_of_an_event_are_told_latest_first(database: Database) -> None:
    with database.write() as tx:
        attempts.add(tx, [attempt(at=NOON + n) for n in range(3)])
        attempts.add(tx, [attempt(at=NOON), attempt(2)])
    with database.read() as tx:
        found = attempts.of_event(tx, "acme", 1, 2)
    assert found == [attempt(at=NOON + 2), attempt(at=NOON + 1)]


def test_dead_letters_are_listed_and_counted_by_endpoint(database: Database) -> None:
    bury(database, letter(1), letter(3), letter(2, "mail"))
    assert [one.seq for one in dead(database)] == [3, 2, 1]
    with database.read() as tx:
        assert attempts.dead_by_endpoint(tx) == {"core": 2, "mail": 1}


def test_a_dead_letter_is_tried_again_only_when_somebody_asks(database: Database) -> None:
    bury(database, letter(1), letter(2), letter(3, "mail"))
    assert (claim(database), is_due(database, NOON)) == ([], False)
    with database.write() as tx:
        assert attempts.retry(tx, NOON, endpoint="core", seqs=[2, 3]) == 1
    assert is_due(database, NOON)
    assert claim(database) == [2]
    assert (claim(database), is_due(database, NOON)) == ([], False), "it is under way"
    assert claim(database, NOON + MINUTE) == [2], "who claimed it has died"


def test_all_dead_letters_can_be_asked_for_and_are_taken_a_few_at_a_time(
    database: Database,
) -> None:
    bury(database, *(letter(seq) for seq in (3, 1, 2)))
    with database.write() as tx:
        assert attempts.retry(tx, NOON) == 3
    assert (claim(database, limit=2), claim(database, limit=2)) == ([1, 2], [3])


def test_one_that_fails_again_is_as_dead_as_before_and_one_delivered_is_gone(
    database: Database,
) -> None:
    bury(database, letter(1), letter(2))
    with database.write() as tx:
        attempts.retry(tx, NOON)
        first, second = attempts.claim_dead(tx, "core", NOON, NOON + MINUTE, 10)
        attempts.bury(tx, letter(1, died_at=NOON + 1))
        attempts.risen(tx, second)
    assert dead(database) == [first._replace(died_at=NOON + 1, retry_at=None)]
    assert claim(database, NOON + DAY) == []


def test_what_is_old_is_forgotten_a_part_at_a_time(database: Database) -> None:
    with database.write() as tx:
        attempts.add(tx, [attempt(seq, NOON + seq) for seq in range(5)])
    bury(database, letter(1), letter(2, died_at=NOON + DAY))
    with database.write() as tx:
        assert [attempts.prune(tx, NOON + 4, 3) for _ in range(3)] == [3, 1, 0]
        assert attempts.of_event(tx, "acme", 4, 10)
    assert [one.seq for one in dead(database)] == [2]
