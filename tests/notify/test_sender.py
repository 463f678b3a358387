"""Every event arrives, in order for each tenant, whatever the receiver does meanwhile."""

import threading
from collections.abc import Callable, Sequence

import pytest

from bridge.domain.clock import DAY, Instant
from bridge.domain.event import EventType
from bridge.notify.publish import Subscriber
from bridge.notify.sender import EVENTS_MAX, Body, Sent
from bridge.store import attempts, events, lanes
from bridge.store.database import Database
from tests.conftest import FakeClock
from tests.notify.receiver import AWAY, DOWN, OK, Answer, Drip, Event, Hang, Raw, Receiver, Status
from tests.notify.sending import (
    EVERY,
    dead,
    endpoint,
    fact,
    numbered,
    outcomes,
    publish,
    sender,
    work,
    work_for,
)
from tests.store.drafting import adjustment, debit, posted
from tests.telling import publisher

NASTY: list[Answer] = [
    DOWN,
    Hang(),
    Status(302, Location="http://127.0.0.1:1/"),
    Drip(b"HTTP/1.1 200 So\r\nX: "),
    AWAY,
    Raw(b"HTTP/1.1 "),
    Status(429, Retry_After="90"),
    Status(410),
]


def test_events_arrive_once_and_in_order(
    database: Database, clock: FakeClock, receiver: Receiver
) -> None:
    number = 2 * EVENTS_MAX + 5
    published = numbered(database, clock(), number)
    numbered(database, clock(), 3, tenant_id="beta")
    work(sender(database, clock, endpoint(receiver)))
    assert receiver.numbers() == list(range(1, number + 1))
    assert receiver.numbers("beta") == [1, 2, 3]
    assert outcomes(database, published[0]) == ["delivered"]
    with database.read() as tx:
        assert receiver.taken[0] == events.bodies(tx, published[:1])[0]
        assert lanes.standings(tx) == []


def test_who_has_nothing_to_send_writes_nothing(
    database: Database, clock: FakeClock, receiver: Receiver
) -> None:
    database.written.clear()
    assert sender(database, clock, endpoint(receiver)).work() == 0
    assert not database.written.is_set()


def test_whatever_goes_wrong_every_event_arrives_in_order(
    database: Database, clock: FakeClock, receiver: Receiver
) -> None:
    """Each event meets each kind of failure before it is taken."""
    script = {n: [*NASTY, OK] for n in (1, 2, 3)}
    receiver.answer = lambda event: script[event["data"]["n"]].pop(0)
    published = numbered(database, clock(), 3)
    sending = sender(database, clock, endpoint(receiver))
    for _ in range(200):
        sending.work()
        clock.advance(300)
    assert receiver.numbers() == [1, 2, 3]
    assert {
        each: ids.count(each) for ids in [[e["id"] for e in receiver.asked]] for each in ids
    } == {event.id: len(NASTY) + 1 for event in published}
    assert outcomes(database, published[0]) == [
        *("refused", "timeout", "redirected", "timeout", "unreachable", "unreachable"),
        *("refused", "gone", "delivered"),
    ]


def test_an_event_that_fails_is_tried_again_after_a_pause_and_nothing_overtakes_it(
    database: Database, clock: FakeClock, receiver: Receiver
) -> None:
    receiver.answer = lambda _: DOWN
    numbered(database, clock(), 3)
    sending = sender(database, clock, endpoint(receiver))
    work(sending)
    clock.advance(4.9)
    work(sending)
    assert [event["data"]["n"] for event in receiver.asked] == [1], "it rests"
    numbered(database, clock(), 1)
    work(sending)
    assert len(receiver.asked) == 1, "news do not wake it"
    receiver.answer = lambda _: OK
    clock.advance(0.1)
    work(sending)
    assert receiver.numbers() == [1, 2, 3, 1]


def test_a_receiver_that_asks_for_a_pause_has_it(
    database: Database, clock: FakeClock, receiver: Receiver
) -> None:
    receiver.answer = lambda _: Status(503, Retry_After="120")
    numbered(database, clock(), 1)
    sending = sender(database, clock, endpoint(receiver))
    work(sending)
    receiver.answer = lambda _: OK
    clock.advance(119)
    work(sending)
    assert receiver.taken == []
    clock.advance(1)
    work(sending)
    assert receiver.numbers() == [1]


def test_a_receiver_that_is_away_for_a_day_gets_everything_soon_after(
    database: Database, clock: FakeClock, receiver: Receiver
) -> None:
    receiver.answer = lambda _: AWAY
    tenants = [f"tenant-{number}" for number in range(5)]
    sending = sender(database, clock, endpoint(receiver))
    for hour in range(1, 25):
        publish(database, clock(), *(fact(hour, tenant) for tenant in tenants))
        work_for(sending, clock, hours=1)
    assert receiver.taken == []
    receiver.answer = lambda _: OK
    work_for(sending, clock, hours=1)
    assert [receiver.numbers(tenant) for tenant in tenants] == [list(range(1, 25))] * 5
    assert dead(database) == []


def test_one_success_lets_the_lanes_that_rest_go_on_at_once(
    database: Database, clock: FakeClock, receiver: Receiver
) -> None:
    receiver.answer = lambda _: AWAY
    publish(database, clock(), *(fact(1, f"tenant-{number}") for number in range(12)))
    sending = sender(database, clock, endpoint(receiver))
    work_for(sending, clock, hours=12)
    receiver.answer = lambda _: OK
    with database.read() as tx:
        assert not lanes.due(tx, "core", clock())
    while not receiver.taken:
        clock.advance(30)
        work(sending)
    work(sending)
    assert len(receiver.taken) == 12


def test_a_tenant_whose_events_fail_holds_up_no_other(
    database: Database, clock: FakeClock, receiver: Receiver
) -> None:
    receiver.answer = lambda event: DOWN if event["tenant_id"] == "bad" else OK
    sending = sender(database, clock, endpoint(receiver))
    for n in range(1, 6):
        publish(database, clock(), fact(n, "bad"), fact(n, "acme"), fact(n, "beta"))
        work(sending)
        clock.advance(60)
    assert receiver.numbers() == receiver.numbers("beta") == [1, 2, 3, 4, 5]
    assert len(receiver.asked) < 10 + 6, "the one that fails is tried ever more seldom"


def test_a_slow_endpoint_holds_up_no_other(database: Database, clock: FakeClock) -> None:
    """The healthy one is told everything while the first event to the slow one is on its way."""
    numbered(database, clock(), 30, to=("slow", "core"))
    with Receiver() as slow, Receiver() as healthy:
        asked = threading.Event()

        def answer(event: Event) -> Answer:
            asked.set()
            return Hang()

        slow.answer = answer
        waiting = sender(database, clock, endpoint(slow, name="slow", timeout_s=60))
        thread = threading.Thread(target=waiting.work)
        thread.start()
        assert asked.wait(10)
        work(sender(database, clock, endpoint(healthy)))
        assert healthy.numbers() == list(range(1, 31))
        assert thread.is_alive()
        slow.over.set()
        thread.join(10)
    assert not thread.is_alive()


def test_an_endpoint_that_fails_again_and_again_rests(
    database: Database, clock: FakeClock, receiver: Receiver
) -> None:
    receiver.answer = lambda _: DOWN
    publish(database, clock(), *(fact(1, f"tenant-{number}") for number in range(50)))
    sending = sender(database, clock, endpoint(receiver))
    work(sending)
    assert len(receiver.asked) == 8, "one round of lanes, and no more"
    assert sending.work() == 0
    clock.advance(30)
    work(sending)
    assert len(receiver.asked) == 16


def test_an_event_is_given_up_after_three_days_and_the_next_has_its_turn(
    database: Database, clock: FakeClock, receiver: Receiver
) -> None:
    receiver.answer = lambda event: DOWN if event["data"]["n"] == 1 else OK
    first, *_ = numbered(database, clock(), 3)
    sending = sender(database, clock, endpoint(receiver))
    work_for(sending, clock, hours=71)
    assert (receiver.numbers(), dead(database)) == ([], [])
    work_for(sending, clock, hours=3)
    assert receiver.numbers() == [2, 3]
    letter = dead(database)[0]
    assert (letter.seq, letter.because, letter.retry_at) == (
        first.seq,
        "HTTP 500: we are down",
        None,
    )
    assert 48 < len(outcomes(database, first)) <= 80


def bury(database: Database, clock: FakeClock, receiver: Receiver) -> None:
    receiver.answer = lambda _: DOWN
    numbered(database, clock(), 1)
    sending = sender(database, clock, endpoint(receiver))
    work_for(sending, clock, hours=76, step_s=4 * 3600)
    assert len(dead(database)) == 1


def retry(database: Database, now: Instant) -> None:
    with database.write() as tx:
        assert attempts.retry(tx, now) == 1


def test_a_dead_letter_is_tried_once_more_when_somebody_asks(
    database: Database, clock: FakeClock, receiver: Receiver
) -> None:
    bury(database, clock, receiver)
    sending = sender(database, clock, endpoint(receiver))
    before = len(receiver.asked)
    database.written.clear()
    assert sending.work() == 0
    assert not database.written.is_set(), "a letter that nobody asked for costs no write"
    retry(database, clock())
    work(sending)
    assert (len(receiver.asked) - before, len(dead(database))) == (1, 1)
    assert sending.work() == 0, "once"
    receiver.answer = lambda _: OK
    clock.advance(60)
    retry(database, clock())
    work(sending)
    assert (receiver.numbers(), dead(database)) == ([1], [])


def test_entries_that_share_a_row_fail_die_and_are_repeated_one_by_one(
    database: Database, clock: FakeClock, receiver: Receiver
) -> None:
    """As those of one wallet do. The receiver takes all but the third."""
    posted(database, adjustment(100), *(debit(amount) for amount in (1, 2, 3, 4)))
    publisher(database, clock, Subscriber("core", EVERY)).publish()
    receiver.answer = lambda event: DOWN if event["data"]["version"] == 3 else OK
    sending = sender(database, clock, endpoint(receiver))

    def versions() -> list[int]:
        found = [event["data"]["version"] for event in receiver.taken]
        receiver.taken.clear()
        return found

    work_for(sending, clock, hours=80)
    assert versions() == [1, 2, 4, 5]
    [letter] = dead(database)
    assert letter.seq == 3
    receiver.answer = lambda _: OK
    retry(database, clock())
    work(sending)
    assert versions() == [3]
    with database.write() as tx:
        lanes.set_back(tx, "core", sorted(EVERY), 3, clock())
    work(sending)
    assert versions() == [4, 5]


def test_a_dead_letter_whose_event_is_pruned_is_forgotten(
    database: Database, clock: FakeClock, receiver: Receiver
) -> None:
    bury(database, clock, receiver)
    with database.write() as tx:
        assert events.prune(tx, clock(), None, 10) == 1
    retry(database, clock())
    before = len(receiver.asked)
    work(sender(database, clock, endpoint(receiver)))
    assert (len(receiver.asked), dead(database)) == (before, [])


def test_a_replay_repeats_everything_in_order(
    database: Database, clock: FakeClock, receiver: Receiver
) -> None:
    published = numbered(database, clock(), 5)
    sending = sender(database, clock, endpoint(receiver))
    work(sending)
    with database.write() as tx:
        assert lanes.set_back(tx, "core", sorted(EVERY), published[1].seq, clock()) == 1
    work(sending)
    assert receiver.numbers() == [1, 2, 3, 4, 5, 3, 4, 5]


def test_a_replay_during_a_delivery_is_not_lost(
    database: Database, clock: FakeClock, receiver: Receiver
) -> None:
    numbered(database, clock(), 3)

    def answer(event: Event) -> Answer:
        if len(receiver.asked) == 3:
            with database.write() as tx:
                lanes.set_back(tx, "core", sorted(EVERY), 0, clock())
        return OK

    receiver.answer = answer
    work(sender(database, clock, endpoint(receiver)))
    assert receiver.numbers() == [1, 2, 3, 1, 2, 3]


def test_an_endpoint_is_told_of_its_types_only(
    database: Database, clock: FakeClock, receiver: Receiver
) -> None:
    kinds = [EventType.HOLD_PLACED, EventType.WALLET_DEBITED, EventType.HOLD_PLACED]
    facts = [fact(n, kind=kind) for n, kind in enumerate(kinds, start=1)]
    publish(database, clock(), *facts)
    only = frozenset({EventType.WALLET_DEBITED})
    work(sender(database, clock, endpoint(receiver, types=only)))
    assert receiver.numbers() == [2]
    with database.read() as tx:
        assert not lanes.due(tx, "core", clock() + DAY)


def test_many_threads_share_the_work_and_send_nothing_twice(
    database: Database, clock: FakeClock, receiver: Receiver
) -> None:
    publish(database, clock(), *(fact(n, f"t{t}") for n in (1, 2, 3) for t in range(40)))
    sending = sender(database, clock, endpoint(receiver, timeout_s=10))
    threads = [threading.Thread(target=work, args=(sending,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    work(sending)
    assert [receiver.numbers(f"t{t}") for t in range(40)] == [[1, 2, 3]] * 40


class Slow:
    """An endpoint whose first attempt takes longer than its claim, while another worker works."""

    name = "core"
    types = EVERY
    timeout_s = 1.0
    gathers_s = 0.0

    def __init__(self, clock: FakeClock) -> None:
        self.sent: list[int] = []
        self.meanwhile: Callable[[], object] = int
        self._clock = clock

    def send(self, bodies: Sequence[Body], now: Instant) -> Sent:
        self.sent += [body["data"]["n"] for body in bodies]
        if len(self.sent) == 1:
            self._clock.advance(3600)
            self.meanwhile()
            return Sent("refused")
        return Sent("delivered")


def test_who_lost_its_claim_says_nothing_of_the_lane(database: Database, clock: FakeClock) -> None:
    """Its failure does not undo what another worker has delivered since."""
    numbered(database, clock(), 3)
    slow = Slow(clock)
    other = sender(database, clock, slow)
    slow.meanwhile = lambda: work(other)
    work(sender(database, clock, slow))
    assert slow.sent == [1, 1, 2, 3]
    with database.read() as tx:
        assert lanes.standings(tx) == []


class Broken(Slow):
    """An endpoint with a fault of its own for one tenant's events."""

    def send(self, bodies: Sequence[Body], now: Instant) -> Sent:
        if bodies[0]["tenant_id"] == "bad":
            raise KeyError("amount")
        self.sent += [body["data"]["n"] for body in bodies]
        return Sent("delivered")


def test_a_fault_of_ours_is_a_failure_like_others(database: Database, clock: FakeClock) -> None:
    broken = Broken(clock)
    bad, _ = publish(database, clock(), fact(1, "bad"), fact(2, "good"))
    sending = sender(database, clock, broken)
    work(sending)
    assert broken.sent == [2]
    assert outcomes(database, bad) == ["broken"]
    clock.advance(4 * DAY / 1_000_000)
    work(sending)
    assert [letter.because for letter in dead(database)] == ["KeyError; the log says where"]


def test_no_attempt_begins_that_the_claim_may_not_outlive(
    database: Database, clock: FakeClock
) -> None:
    """Each event takes almost as long as it may; what the claim does not cover is sent later."""

    class Tardy(Slow):
        def send(self, bodies: Sequence[Body], now: Instant) -> Sent:
            self.sent += [body["data"]["n"] for body in bodies]
            self._clock.advance(0.9)
            return Sent("delivered")

    tardy = Tardy(clock)
    numbered(database, clock(), 20)
    sending = sender(database, clock, tardy)
    sending.work()
    assert len(tardy.sent) == 8
    work(sending)
    assert tardy.sent == list(range(1, 21))


@pytest.mark.parametrize("failing", [True, False])
def test_attempts_tell_how_it_went(
    database: Database, clock: FakeClock, receiver: Receiver, failing: bool
) -> None:
    receiver.answer = lambda _: DOWN if failing else OK
    (event,) = numbered(database, clock(), 1)
    work(sender(database, clock, endpoint(receiver)))
    with database.read() as tx:
        (attempt,) = attempts.of_event(tx, "acme", event.seq, 10)
    assert attempt.attempted_at == clock()
    assert 0 <= attempt.duration_ms < 60_000
    assert attempt.because == ("HTTP 500: we are down" if failing else "HTTP 200")
