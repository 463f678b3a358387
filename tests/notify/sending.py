"""Events on the lanes to an endpoint, and a sender that never dices."""

from itertools import count
from typing import Any

from bridge.domain.clock import Instant
from bridge.domain.event import Event, EventType, Happened
from bridge.notify.http import HttpEndpoint
from bridge.notify.sender import Endpoint, Sender
from bridge.notify.signing import read_secret
from bridge.store import attempts, events, lanes
from bridge.store.attempts import DeadLetter
from bridge.store.database import Database
from bridge.store.outbox import Told
from tests.conftest import FakeClock
from tests.notify.receiver import SECRET, Receiver

EVERY = frozenset(EventType)
TIMEOUT_S = 0.5


def endpoint(receiver: Receiver, **fields: Any) -> HttpEndpoint:
    usual: dict[str, Any] = {
        "name": "core",
        "url": receiver.url,
        "secrets": (read_secret(SECRET),),
        "types": EVERY,
        "timeout_s": TIMEOUT_S,
        "allow_private": True,
    }
    return HttpEndpoint(**(usual | fields))


def sender(database: Database, clock: FakeClock, endpoint: Endpoint) -> Sender:
    return Sender(database, clock, endpoint, dice=lambda: 0)


def fact(n: int, tenant_id: str = "acme", kind: EventType = EventType.WALLET_DEBITED) -> Happened:
    return Happened(kind, tenant_id, 1_795_000_000_000_000 + n, {"n": n})


def publish(
    database: Database, now: Instant, *facts: Happened, to: tuple[str, ...] = ("core",)
) -> list[Event]:
    """Make events of facts, and put them on the lanes to endpoints."""
    with database.write() as tx:
        head = events.head(tx)
        assert head is not None
        events.publish(tx, [Told(now, facts=facts)], head, now)
        for name in to:
            lanes.extend(tx, name, EVERY, range(head + 1, head + 1 + len(facts)), now)
        return events.after(tx, head, len(facts))


def numbered(database: Database, now: Instant, number: int, **where: Any) -> list[Event]:
    """Publish events of one tenant with the numbers from 1 on."""
    tenant_id = where.pop("tenant_id", "acme")
    return publish(database, now, *(fact(n, tenant_id) for n in range(1, number + 1)), **where)


def outcomes(database: Database, event: Event) -> list[str]:
    """What came of the attempts to deliver an event, the first one first."""
    with database.read() as tx:
        tried = attempts.of_event(tx, event.tenant_id, event.seq, 100)
    return [attempt.outcome for attempt in reversed(tried)]


def dead(database: Database) -> list[DeadLetter]:
    with database.read() as tx:
        return attempts.dead(tx, 100)


def work_for(sender: Sender, clock: FakeClock, hours: float, step_s: float = 1800) -> None:
    """Let a sender work while the clock moves."""
    for _ in range(round(hours * 3600 / step_s)):
        clock.advance(step_s)
        work(sender)


def work(sender: Sender) -> int:
    """Let a sender work until nothing is due."""
    for rounds in count():
        assert rounds < 1000, "it never ends"
        if not sender.work():
            return rounds
    raise AssertionError
