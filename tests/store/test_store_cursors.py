"""Where a storefront stands survives whatever order its runs report in."""

from bridge.store import cursors
from bridge.store.cursors import State
from bridge.store.database import Connection, Database


def state(database: Database) -> State:
    with database.read() as tx:
        return cursors.state(tx, "main")


def test_a_storefront_that_was_never_reached_is_blank(database: Database) -> None:
    assert state(database) == State("main")


def test_the_cursor_never_moves_back(database: Database) -> None:
    for cursor, stands in ((500, 500), (900, 900), (700, 900), (None, 900), (901, 901)):
        with database.write() as tx:
            cursors.succeeded(tx, "main", 1000, cursor=cursor)
        assert state(database).cursor == stands


def test_success_says_when_and_ends_a_failure(database: Database) -> None:
    with database.write() as tx:
        cursors.failed(tx, "main", "it is asleep", 10)
        cursors.succeeded(tx, "main", 20, swept_at=15)
        cursors.succeeded(tx, "main", 30)
    assert state(database) == State("main", None, swept_at=15, succeeded_at=30)


def test_a_failure_that_lasts_keeps_its_beginning(database: Database) -> None:
    def fail(tx: Connection, because: str, now: int) -> None:
        cursors.failed(tx, "main", because, now)

    with database.write() as tx:
        cursors.succeeded(tx, "main", 5, cursor=4)
        fail(tx, "it is asleep", 10)
        fail(tx, "it snores", 20)
    now = state(database)
    assert (now.failing_since, now.failure, now.succeeded_at, now.cursor) == (10, "it snores", 5, 4)


def test_a_stopped_storefront_stays_stopped_until_it_is_resumed(database: Database) -> None:
    with database.write() as tx:
        cursors.stop(tx, "main", "ids were given anew", 10)
        cursors.succeeded(tx, "main", 20)
    assert (state(database).stopped_at, state(database).stopped_because) == (
        10,
        "ids were given anew",
    )
    with database.write() as tx:
        cursors.resume(tx, "main")
    assert state(database).stopped_at is None


def test_storefronts_stand_apart(database: Database) -> None:
    with database.write() as tx:
        cursors.succeeded(tx, "other", 20, cursor=20)
        cursors.stop(tx, "other", "restored", 21)
    assert state(database) == State("main")
