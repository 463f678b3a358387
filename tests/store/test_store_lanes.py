"""Lanes: each tenant's events go to each endpoint in order, by one worker at a time."""

import contextlib
from collections.abc import Iterable

import pytest
from sqlalchemy import text

from bridge.domain.clock import HOUR, MINUTE, SECOND
from bridge.domain.event import Event, EventType
from bridge.store import bulk, events, lanes
from bridge.store.database import Connection, Database
from bridge.store.lanes import Lane, Standing
from bridge.store.outbox import Span, Told
from tests import telling
from tests.store.drafting import NOON

UNTIL = NOON + 2 * MINUTE
EVERY = frozenset(EventType)


def event(seq: int, tenant_id: str = "acme", said: EventType = EventType.ORDER_HELD) -> Event:
    return Event(seq, NOON, said, tenant_id, "", 0, NOON, "{}")


def written(tx: Connection, *made: Event) -> None:
    """Write events as the publisher does, each by itself, unless they are there."""
    rows = [(one.seq, 1, *one[1:]) for one in made]
    bulk.insert(tx, lanes.EVENTS, rows, "ON CONFLICT DO NOTHING")


def extend(database: Database, *made: Event, endpoint: str = "core", now: int = NOON) -> None:
    """Publish events whose numbers follow each other, and put them on their lanes."""
    new = range(made[0].seq, made[-1].seq + 1)
    with database.write() as tx:
        written(tx, *made)
        lanes.extend(tx, endpoint, EVERY, new, now)


def claim(database: Database, now: int = NOON, until: int = UNTIL, limit: int = 10) -> list[Lane]:
    with database.write() as tx:
        return lanes.claim(tx, "core", now, until, limit)


def lane(database: Database, tenant_id: str = "acme", endpoint: str = "core") -> Lane:
    [found] = [one for one in telling.lanes(database) if one[:2] == (tenant_id, endpoint)]
    return found


def failing(database: Database, tenants: Iterable[str], until: int = NOON + HOUR) -> None:
    """Let the due lanes of these tenants fail."""
    for one in claim(database):
        if one.tenant_id in tenants:
            with database.write() as tx:
                assert lanes.rest(tx, one, one.delivered_through, NOON, until)


def test_events_make_lanes_and_lengthen_them(database: Database) -> None:
    extend(database, event(1), event(2, "beta"), event(3))
    extend(database, event(4))
    assert telling.lanes(database) == [
        Lane("acme", "core", 0, 4, due_at=NOON),
        Lane("beta", "core", 1, 2, due_at=NOON),
    ]


def test_a_lane_is_as_long_as_its_endpoint_is_told_of_the_new_events(database: Database) -> None:
    extend(database, event(1), event(2, "beta"), endpoint="other")
    debited = EventType.WALLET_DEBITED
    made = [event(3), event(4, said=debited), event(5, said=debited), event(6), event(7, "beta")]
    with database.write() as tx:
        written(tx, *made)
        lanes.extend(tx, "core", [debited], range(3, 8), NOON)
        lanes.extend(tx, "silent", [], range(3, 8), NOON)
        lanes.extend(tx, "late", EVERY, range(8, 8), NOON)
    assert [one for one in telling.lanes(database) if one.endpoint != "other"] == [
        Lane("acme", "core", 3, 5, due_at=NOON)
    ]


def test_a_lane_begins_with_the_first_event_that_its_endpoint_is_told(database: Database) -> None:
    extend(database, event(7), endpoint="late")
    assert lane(database, endpoint="late").delivered_through == 6


def test_entries_that_are_told_together_are_on_the_lane_from_the_first_one(
    database: Database,
) -> None:
    told = [Told(NOON, [Span("acme", "EUR", EventType.WALLET_DEBITED, 1, 3)])]
    with database.write() as tx:
        events.publish(tx, told, 6, NOON)
        lanes.extend(tx, "core", EVERY, range(7, 10), NOON)
    assert telling.lanes(database) == [Lane("acme", "core", 6, 9, due_at=NOON)]


def test_a_lane_whose_events_were_told_rests_until_there_are_more(database: Database) -> None:
    extend(database, event(1), event(2))
    [claimed] = claim(database)
    with database.write() as tx:
        assert lanes.advance(tx, claimed, 1, NOON)
    assert lane(database) == Lane("acme", "core", 1, 2, due_at=NOON)
    [claimed] = claim(database)
    with database.write() as tx:
        assert lanes.advance(tx, claimed, 2, NOON)
    assert claim(database) == []
    extend(database, event(3), now=NOON + SECOND)
    assert lane(database) == Lane("acme", "core", 2, 3, due_at=NOON + SECOND)


def test_events_that_come_while_a_lane_is_told_others_are_told_next(database: Database) -> None:
    extend(database, event(1))
    [claimed] = claim(database)
    extend(database, event(2))
    with database.write() as tx:
        assert lanes.advance(tx, claimed, 1, NOON + SECOND)
    assert lane(database) == Lane("acme", "core", 1, 2, due_at=NOON + SECOND)


# Claims


def test_a_claimed_lane_is_claimed_by_nobody_else_until_the_claim_runs_out(
    database: Database,
) -> None:
    extend(database, event(1), event(2, "beta"))
    [first] = claim(database, limit=1)
    [second] = claim(database)
    assert {first.tenant_id, second.tenant_id} == {"acme", "beta"}
    assert claim(database, UNTIL - 1) == []
    assert len(claim(database, UNTIL, UNTIL + MINUTE)) == 2


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_two_who_claim_at_once_do_not_wait_for_each_other(
    database: Database, database_url: str
) -> None:
    extend(database, event(1), event(2, "beta"))
    other = Database(database_url)
    with contextlib.closing(other), database.write() as tx, other.write() as second:
        [mine] = lanes.claim(tx, "core", NOON, UNTIL, 1)
        [theirs] = lanes.claim(second, "core", NOON, UNTIL, 2)
        assert mine.tenant_id != theirs.tenant_id
        assert not lanes.claim(second, "core", NOON, UNTIL, 2)


def test_a_lane_is_claimed_for_its_endpoint_only_and_who_waits_longest_is_first(
    database: Database,
) -> None:
    extend(database, event(1), now=NOON + 2)
    extend(database, event(2, "beta"), now=NOON + 1)
    extend(database, event(3, "gamma"), endpoint="other")
    assert [one.tenant_id for one in claim(database, NOON + 2)] == ["beta", "acme"]


def test_what_a_late_worker_did_is_not_recorded(database: Database) -> None:
    extend(database, event(1), event(2))
    [late] = claim(database)
    [other] = claim(database, UNTIL, UNTIL + MINUTE)
    with database.write() as tx:
        assert not lanes.advance(tx, late, 2, UNTIL)
        assert not lanes.rest(tx, late, 1, UNTIL, UNTIL + HOUR)
        assert lanes.advance(tx, other, 1, UNTIL)
    assert lane(database).delivered_through == 1


def test_due_tells_whether_a_claim_would_find_anything(database: Database) -> None:
    def due(now: int) -> bool:
        with database.read() as tx:
            return lanes.due(tx, "core", now)

    assert not due(NOON)
    extend(database, event(1))
    assert (due(NOON - 1), due(NOON)) == (False, True)
    claim(database)
    assert (due(UNTIL - 1), due(UNTIL)) == (False, True)


# Failures


def test_failures_are_counted_by_event_and_last_since_the_first(database: Database) -> None:
    extend(database, event(1), event(2), event(3))
    counted = []
    for now, through in ((NOON, 0), (NOON + HOUR, 0), (NOON + 2 * HOUR, 1)):
        [claimed] = claim(database, now, now + MINUTE)
        with database.write() as tx:
            assert lanes.rest(tx, claimed, through, now, now + HOUR)
        after = lane(database)
        counted.append((after.failures, after.failing_since, after.due_at))
    assert counted == [
        (1, NOON, NOON + HOUR),
        (2, NOON, NOON + 2 * HOUR),
        (1, NOON + 2 * HOUR, NOON + 3 * HOUR),
    ]
    [claimed] = claim(database, NOON + 3 * HOUR, NOON + 4 * HOUR)
    with database.write() as tx:
        lanes.advance(tx, claimed, 3, NOON + 3 * HOUR)
    assert lane(database) == Lane("acme", "core", 3, 3)


def test_a_lane_that_rests_goes_on_resting_when_events_come(database: Database) -> None:
    extend(database, event(1))
    failing(database, ["acme"])
    extend(database, event(2))
    assert (lane(database).due_at, lane(database).latest) == (NOON + HOUR, 2)


def test_an_endpoint_that_answers_again_is_told_of_all_lanes_at_once(database: Database) -> None:
    extend(database, event(1), event(2, "beta"), event(3, "gamma"))
    extend(database, event(4), endpoint="other", now=NOON + HOUR)
    failing(database, ["acme", "beta"])
    with database.write() as tx:
        lanes.hasten(tx, "core", NOON + MINUTE)
    assert [one.due_at for one in telling.lanes(database)] == [
        *(NOON + MINUTE, NOON + HOUR, NOON + MINUTE, NOON)
    ]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_hastening_waits_for_no_lane_that_somebody_else_holds(
    database: Database, database_url: str
) -> None:
    extend(database, event(1), event(2, "beta"))
    failing(database, ["acme", "beta"])
    other = Database(database_url)
    with contextlib.closing(other), other.write() as holder:
        holder.execute(text("SELECT * FROM lanes WHERE tenant_id = 'acme' FOR UPDATE"))
        with database.write() as tx:
            lanes.hasten(tx, "core", NOON)
    assert [one.due_at for one in telling.lanes(database)] == [NOON + HOUR, NOON]


# Going back


def test_an_endpoint_is_told_again_of_what_it_is_to_hear(database: Database) -> None:
    extend(database, event(1), event(2, "beta"), event(3), event(4, said=EventType.WALLET_DEBITED))
    for one in claim(database):
        with database.write() as tx:
            lanes.advance(tx, one, one.latest, NOON)
    with database.write() as tx:
        assert lanes.set_back(tx, "core", ["order.held"], 1, NOON + MINUTE) == 2
    assert telling.lanes(database) == [
        Lane("acme", "core", 1, 4, due_at=NOON + MINUTE),
        Lane("beta", "core", 1, 2, due_at=NOON + MINUTE),
    ]


def test_going_back_never_goes_forward(database: Database) -> None:
    extend(database, event(1), event(2), event(3))
    failing(database, ["acme"])
    with database.write() as tx:
        lanes.set_back(tx, "core", ["order.held"], 2, NOON + MINUTE)
    assert lane(database) == Lane("acme", "core", 0, 3, due_at=NOON + MINUTE)


def test_a_new_endpoint_can_be_told_of_the_past(database: Database) -> None:
    extend(database, event(1), event(2))
    with database.write() as tx:
        assert lanes.set_back(tx, "new", ["order.held"], 0, NOON) == 1
    assert lane(database, endpoint="new") == Lane("acme", "new", 0, 2, due_at=NOON)


def test_who_sends_while_a_lane_is_set_back_does_not_take_it_forward(database: Database) -> None:
    extend(database, event(1), event(2))
    [sending] = claim(database)
    with database.write() as tx:
        lanes.set_back(tx, "core", ["order.held"], 0, NOON)
    with database.write() as tx:
        assert not lanes.advance(tx, sending, 2, NOON)
    assert [one.delivered_through for one in claim(database)] == [0]


# Standing


def test_standings_say_which_endpoints_are_behind_and_which_fail(database: Database) -> None:
    extend(database, event(1), event(2, "beta"), event(3, "gamma"))
    extend(database, event(1), endpoint="other")
    failing(database, ["acme"])
    with database.write() as tx:
        [other] = lanes.claim(tx, "other", NOON, UNTIL, 1)
        lanes.advance(tx, other, 1, NOON)
    with database.read() as tx:
        assert lanes.standings(tx) == [Standing("core", 3, 1, NOON)]


def test_undelivered_is_behind_what_every_named_endpoint_was_told(database: Database) -> None:
    extend(database, event(4), event(5))
    extend(database, event(2, "beta"), endpoint="gone")
    with database.read() as tx:
        assert lanes.undelivered(tx, ["core"]) == 3
        assert lanes.undelivered(tx, ["core", "gone"]) == 1
        assert lanes.undelivered(tx, []) is None
    [claimed] = claim(database)
    with database.write() as tx:
        lanes.advance(tx, claimed, 5, NOON)
        assert lanes.undelivered(tx, ["core"]) is None


def test_lanes_to_endpoints_that_are_gone_are_forgotten_with_their_events(
    database: Database,
) -> None:
    extend(database, event(2), endpoint="gone")
    extend(database, event(1), event(2))
    with database.write() as tx:
        lanes.prune(tx, ["core"])
    assert len(telling.lanes(database)) == 2
    extend(database, event(3, "beta"))
    with database.write() as tx:
        tx.execute(text("DELETE FROM events WHERE seq < 3"))
        lanes.prune(tx, ["core"])
    assert [one.endpoint for one in telling.lanes(database)] == ["core", "core"]
