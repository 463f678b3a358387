"""Events: numbered without gaps, followed from any of them, kept as long as somebody needs them."""

import contextlib
import json
from collections.abc import Sequence
from itertools import count

import pytest
from sqlalchemy import event

from bridge.domain.clock import DAY
from bridge.domain.entry import Kind
from bridge.domain.errors import NotFoundError
from bridge.domain.event import Event, EventId, EventType, Happened
from bridge.store import events, outbox, shown
from bridge.store.database import Database
from bridge.store.events import EventNotFoundError, EventsPrunedError, Wanted
from bridge.store.outbox import Span, Told
from tests.store.drafting import NOON, adjustment, debit, follow, hold, posted


def happened(tenant_id: str = "acme", said: EventType = EventType.ORDER_HELD) -> Happened:
    return Happened(said, tenant_id, NOON, {"order_id": 7})


def publish(database: Database, *told: Happened, now: int = NOON) -> list[Event]:
    """Publish these facts, and whatever waits in the outbox before them."""
    with database.write() as tx:
        taken = outbox.take(tx, 1000)
        head = events.head(tx)
        assert head is not None
        made = events.publish(tx, [*taken.told, Told(now, facts=told)], head, now)
        outbox.drop(tx, taken.ids)
        return events.after(tx, head, made.total())


def after(database: Database, seq: int, limit: int = 100, wanted: Wanted = Wanted()) -> list[int]:  # noqa: B008 - a value
    with database.read() as tx:
        return [event.seq for event in events.after(tx, seq, limit, wanted)]


def seqs(made: Sequence[Event]) -> list[int]:
    return [event.seq for event in made]


def behind(database: Database, event_id: EventId) -> int:
    with database.read() as tx:
        return events.behind(tx, event_id)


def test_numbers_go_on_where_the_last_ones_ended(database: Database) -> None:
    assert seqs(publish(database, happened(), happened())) == [1, 2]
    assert seqs(publish(database, happened())) == [3]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_who_comes_while_another_publishes_is_turned_away(
    database: Database, database_url: str
) -> None:
    other = Database(database_url)
    with contextlib.closing(other), database.write() as tx, other.write() as second:
        assert events.head(tx) == 0
        assert events.head(second) is None


def test_what_was_published_but_not_committed_leaves_no_number(database: Database) -> None:
    with contextlib.suppress(ZeroDivisionError), database.write() as tx:
        events.publish(tx, [Told(NOON, facts=[happened()])], events.head(tx) or 0, NOON)
        raise ZeroDivisionError
    assert seqs(publish(database, happened())) == [1]


def test_spans_and_facts_become_events_in_the_order_in_which_they_were_left(
    database: Database,
) -> None:
    posted(database, adjustment(1, tenant_id="zeta"), adjustment(1), debit(1, tenant_id="zeta"))
    with database.write() as tx:
        outbox.add(tx, [happened("beta"), happened("alpha")])
    posted(database, adjustment(-1), adjustment(1, currency="AUD"))
    assert [(one.seq, one.tenant_id, one.currency, one.version) for one in publish(database)] == [
        (1, "zeta", "EUR", 1),
        (2, "acme", "EUR", 1),
        (3, "zeta", "EUR", 2),
        (4, "beta", "", 0),
        (5, "alpha", "", 0),
        (6, "acme", "EUR", 2),
        (7, "acme", "AUD", 1),
    ]


def places(database: Database, *facts: Happened) -> list[tuple[str, str, int]]:
    """Publish, and return where the new events belong, in their order."""
    return [
        (one.tenant_id, one.type.partition(".")[2], one.version)
        for one in publish(database, *facts)
    ]


def test_entries_that_follow_one_another_are_told_one_after_another(database: Database) -> None:
    """Whatever other tenants did in between, for which it makes no difference."""
    posted(database, adjustment(10), adjustment(10, tenant_id="beta"))
    posted(database, debit(1), debit(1, tenant_id="beta"), debit(1))
    posted(database, debit(1))
    assert places(database, happened(), happened("beta")) == [
        *(("acme", "credited", 1), ("beta", "credited", 1)),
        *(("acme", "debited", 2), ("acme", "debited", 3), ("acme", "debited", 4)),
        ("beta", "debited", 2),
        *(("acme", "held", 0), ("beta", "held", 0)),
    ]


@pytest.mark.parametrize("between", ["a fact", "another type", "another currency"])
def test_what_a_tenant_did_in_between_is_told_in_between(database: Database, between: str) -> None:
    posted(database, adjustment(10))
    if between == "a fact":
        with database.write() as tx:
            outbox.add(tx, [happened()])
    else:
        posted(database, debit(1) if between == "another type" else adjustment(1, currency="AUD"))
    posted(database, adjustment(10))
    second = {"a fact": ("held", 0), "another type": ("debited", 2)}
    assert places(database) == [
        ("acme", "credited", 1),
        ("acme", *second.get(between, ("credited", 1))),
        ("acme", "credited", 3 if between == "another type" else 2),
    ]


def test_each_of_many_entries_is_an_event_of_its_own(database: Database) -> None:
    """With its own time; and a reader may stop at any of them, and go on behind it."""
    for second in range(4):
        posted(database, adjustment(1), now=NOON + second)
    made = publish(database, happened(), now=NOON + 9)
    assert seqs(made) == [1, 2, 3, 4, 5]
    assert [after(database, seq, 2) for seq in range(5)] == [[1, 2], [2, 3], [3, 4], [4, 5], [5]]
    assert after(database, 1, 9, Wanted("acme", ("wallet.credited",), through=3)) == [2, 3]
    assert after(database, 4, 9, Wanted("acme", ("wallet.credited",))) == []
    with database.read() as tx:
        assert [events.get(tx, EventId.parse(one.id)) for one in made] == made
        told = events.bodies(tx, made)
    assert [body["timestamp"][-7:] for body in told] == [
        *("000000Z", "000001Z", "000002Z", "000003Z", "000000Z")
    ]
    assert [body["data"].get("version") for body in told] == [1, 2, 3, 4, None]


def test_an_entrys_event_is_its_place_and_a_facts_event_has_all_of_it(database: Database) -> None:
    posted(database, adjustment(100), now=NOON - DAY)
    fact = happened()._replace(data={"because": "s\u00fc\u00df \x00 \\u0000 \U0001f98a 'q' %s ?"})
    entered, told = publish(database, fact, now=NOON + 5)
    assert entered == Event(1, NOON + 5, "wallet.credited", "acme", "EUR", 1, NOON - DAY, "")
    assert told == Event(2, NOON + 5, "order.held", "acme", "", 0, NOON, told.data)
    assert json.loads(told.data) == fact.data


def test_an_entry_is_told_as_what_its_kind_says(database: Database) -> None:
    _, taken, held = posted(database, adjustment(100), debit(30), hold(20))
    posted(database, adjustment(-1), follow(Kind.DEBIT_REFUND, taken), follow(Kind.VOID, held))
    assert [event.type.partition(".")[2] for event in publish(database)] == [
        *("credited", "debited", "placed", "debited", "credited", "voided")
    ]


def test_an_entry_that_is_gone_holds_up_nobody(database: Database) -> None:
    [entry] = posted(database, adjustment(100), now=NOON)
    spans = [Span("acme", "EUR", "wallet.credited", 1, 2)]
    with database.write() as tx:
        events.publish(tx, [Told(NOON, spans)], 0, NOON)
        told = [body["data"] for body in events.bodies(tx, events.after(tx, 0, 10))]
    assert told == [
        shown.entry(entry),
        {"id": "acme.EUR.2", "tenant_id": "acme", "currency": "EUR", "version": 2},
    ]


def test_events_are_counted_by_type(database: Database) -> None:
    posted(database, adjustment(100), debit(1), debit(1))
    with database.write() as tx:
        told = [*outbox.take(tx, 1000).told, Told(NOON, facts=[happened()])]
        made = events.publish(tx, told, 0, NOON)
    assert made == {"wallet.credited": 1, "wallet.debited": 2, "order.held": 1}


def test_an_event_says_what_the_api_says_of_its_entry(database: Database) -> None:
    [entry] = posted(database, adjustment(100))
    made = publish(database, happened(""), now=NOON + 5)
    with database.read() as tx:
        told = events.bodies(tx, made)
    assert told == [
        {
            "id": f"evt_1_{NOON + 5}",
            "type": "wallet.credited",
            "timestamp": "2026-11-22T12:00:00.000000Z",
            "tenant_id": "acme",
            "data": shown.entry(entry),
        },
        {
            "id": f"evt_2_{NOON + 5}",
            "type": "order.held",
            "timestamp": "2026-11-22T12:00:00.000000Z",
            "tenant_id": None,
            "data": {"order_id": 7},
        },
    ]


def test_events_are_found_by_tenant_and_type_up_to_a_number(database: Database) -> None:
    publish(
        database,
        happened(),
        happened("beta"),
        happened("acme", EventType.ORDER_RELEASED),
        happened(),
    )
    assert after(database, 0) == [1, 2, 3, 4]
    assert after(database, 1, 2) == [2, 3]
    assert after(database, 0, 9, Wanted("acme")) == [1, 3, 4]
    assert after(database, 0, 9, Wanted("acme", ("order.held",))) == [1, 4]
    assert after(database, 0, 9, Wanted(through=2)) == [1, 2]


def test_an_event_is_got_by_its_id_and_by_no_other(database: Database) -> None:
    [made] = publish(database, happened())
    with database.read() as tx:
        assert events.get(tx, EventId.parse(made.id)) == made
        for seq, published_at in ((1, NOON + 1), (2, NOON)):
            with pytest.raises(EventNotFoundError):
                events.get(tx, EventId(seq, published_at))


# Going on behind an event


def test_a_reader_goes_on_behind_the_event_it_saw_last(database: Database) -> None:
    made = publish(database, happened(), happened())
    assert behind(database, EventId(1, NOON)) == 1
    assert after(database, behind(database, EventId.parse(made[1].id))) == []


def test_a_reader_is_told_that_what_followed_is_gone(database: Database) -> None:
    publish(database, *(happened() for _ in range(4)))
    with database.write() as tx:
        assert events.prune(tx, NOON + 1, None, 2) == 2
    assert behind(database, EventId(2, NOON)) == 2
    with pytest.raises(EventsPrunedError):
        behind(database, EventId(1, NOON))


def test_a_reader_who_saw_all_goes_on_though_all_are_gone(database: Database) -> None:
    publish(database, happened(), happened())
    with database.write() as tx:
        assert events.prune(tx, NOON + 1, None, 10) == 2
    assert behind(database, EventId(2, NOON)) == 2
    with pytest.raises(EventsPrunedError):
        behind(database, EventId(1, NOON))
    assert seqs(publish(database, happened())) == [3]
    assert behind(database, EventId(2, NOON)) == 2


def test_a_reader_that_saw_more_than_a_restored_database_has_is_told(database: Database) -> None:
    publish(database, happened())
    for later in (EventId(1, NOON - DAY), EventId(2, NOON), EventId(900, NOON)):
        with pytest.raises(NotFoundError):
            behind(database, later)


def test_events_are_found_by_when_they_were_published(database: Database) -> None:
    for day in range(3):
        publish(database, happened(), happened(), now=NOON + day * DAY)
    with database.read() as tx:
        found = [events.since(tx, NOON + day * DAY) for day in range(4)]
    assert found == [0, 2, 4, 6]


# Pruning


def test_no_event_is_pruned_that_somebody_is_still_to_be_told(database: Database) -> None:
    publish(database, *(happened() for _ in range(5)))
    with database.write() as tx:
        assert events.prune(tx, NOON + 1, 3, 10) == 3
    assert after(database, 0) == [4, 5]


def test_entries_that_were_told_together_are_forgotten_together(database: Database) -> None:
    posted(database, *(adjustment(1) for _ in range(3)))
    posted(database, *(adjustment(1, tenant_id="beta") for _ in range(3)))
    publish(database, happened())
    with database.write() as tx:
        assert events.prune(tx, NOON + 1, 5, 10) == 1
    assert after(database, 0) == [4, 5, 6, 7]
    assert behind(database, EventId(3, NOON)) == 3
    with pytest.raises(EventsPrunedError):
        behind(database, EventId(2, NOON))
    with database.write() as tx:
        assert [events.prune(tx, NOON + 1, None, 1) for _ in range(3)] == [1, 1, 0]


def test_only_events_from_before_a_time_are_pruned(database: Database) -> None:
    publish(database, happened(), now=NOON)
    publish(database, happened(), now=NOON + DAY)
    with database.write() as tx:
        assert events.prune(tx, NOON + DAY, None, 10) == 1
        assert events.prune(tx, NOON + DAY, None, 10) == 0
    assert after(database, 0) == [2]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("statements", [1, 2, 3])
def test_no_event_is_pruned_that_is_published_meanwhile(
    database: Database, database_url: str, statements: int
) -> None:
    """Where there was none yet, the first ones are not taken for what was there before."""
    done = count(1)

    def publish_once(*_: object) -> None:
        if next(done) == statements:
            with contextlib.closing(Database(database_url)) as other:
                publish(other, happened(), happened(), now=NOON)

    with database.write() as tx:
        event.listen(tx, "after_cursor_execute", publish_once)
        assert events.prune(tx, NOON, None, 10) == 0
    assert after(database, 0) == [1, 2]
