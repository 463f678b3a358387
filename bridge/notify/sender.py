"""Sending: each tenant's events in order, to one endpoint, until they arrive or are given up.

No database transaction is open while something is sent. What came of a lane is written at once at
its end; who dies before has sent without saying so, and the events are sent again under their ids.
"""

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import structlog

from bridge import metrics
from bridge.domain import delivery
from bridge.domain.clock import SECOND, Clock, Instant
from bridge.domain.event import Event
from bridge.store import attempts, events, lanes
from bridge.store.attempts import BECAUSE_MAX, Attempt, DeadLetter
from bridge.store.database import Connection, Database
from bridge.store.events import Wanted
from bridge.store.lanes import Lane

LANES_MAX = 8
"""Lanes, or dead letters, that are claimed at once."""

EVENTS_MAX = 20
"""Events of a lane that are sent before others have their turn."""

LANES_TOGETHER_MAX, EVENTS_TOGETHER_MAX = 500, 1000
"""The same where events go together: what is left waits for the next time."""

BACK_AFTER = 3
"""So many failures of a lane, and then a success: the endpoint is back, and no lane need rest."""

DELIVERED = "delivered"

Body = Mapping[str, Any]
"""An event as `store.events.bodies` has it."""

log = structlog.get_logger()


class Sent(NamedTuple):
    """What came of an attempt: DELIVERED, or the kind of failure, and what was said of it.

    `retry_after` is how long the other side asks to wait, as a span. `final`: no other attempt
    would fare better.
    """

    outcome: str
    because: str = ""
    retry_after: Instant = 0
    final: bool = False


class Endpoint(Protocol):
    """Whom events are sent to."""

    @property
    def name(self) -> str:
        """What its lanes are called."""

    @property
    def types(self) -> frozenset[str]:
        """What it is told of."""

    @property
    def timeout_s(self) -> float:
        """How long an attempt may take."""

    @property
    def gathers_s(self) -> float:
        """How long events gather before they are sent together; 0: they are sent one by one."""

    def send(self, bodies: Sequence[Body], now: Instant) -> Sent:
        """Try to deliver events: one, unless it gathers them."""


class Sender:
    """Sends what is due to one endpoint; several threads and processes may work at once."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        endpoint: Endpoint,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._database = database
        self._clock = clock
        self._endpoint = endpoint
        self._dice = dice
        self._failures = 0
        self._rests_until: Instant = 0
        self._lock = threading.Lock()

    def work(self) -> int:
        """Send what is due, and return how many lanes and dead letters that was.

        0 while nothing is due, and while the endpoint rests.
        """
        if self._clock() < self._rests_until:
            return 0
        claimed = self._claimed()
        if claimed and self._endpoint.gathers_s:
            self._tell_together(claimed)
        else:
            for lane in claimed:
                self._tell(lane)
        return len(claimed) + self._try_dead()

    def _claimed(self) -> list[Lane]:
        name, now = self._endpoint.name, self._clock()
        with self._database.read() as tx:
            if not lanes.due(tx, name, now):
                return []
        limit = LANES_TOGETHER_MAX if self._endpoint.gathers_s else LANES_MAX
        with self._database.write() as tx:
            return lanes.claim(tx, name, now, self._until(now), limit)

    def _until(self, now: Instant) -> Instant:
        """Return until when a claim lasts: for one attempt of each lane."""
        return now + round(LANES_MAX * self._endpoint.timeout_s * SECOND)

    def _tell(self, lane: Lane) -> None:
        """Send a lane's events in order, up to the first that fails, and while the claim lasts."""
        found = self._found(lane, EVENTS_MAX)
        last_start = lane.claimed_until - round(self._endpoint.timeout_s * SECOND)
        tried: list[_Tried] = []
        for event, body in found:
            if self._clock() > last_start:
                break
            tried.append(_Tried(event, self._send([body])))
            if not tried[-1].arrived:
                break
        through = lane.latest if len(found) < EVENTS_MAX else found[-1][0].seq
        with self._database.write() as tx:
            if len(tried) == len(found):
                self._record(tx, lane, tried, through)
            elif tried:
                self._record(tx, lane, tried, tried[-1].event.seq)

    def _tell_together(self, claimed: Sequence[Lane]) -> None:
        """Send the events of all lanes at once, and let those that follow gather."""
        found = [(lane, self._found(lane, EVENTS_TOGETHER_MAX)) for lane in claimed]
        told = sorted((each for _, some in found for each in some), key=lambda each: each[0].seq)
        attempt = self._send([body for _, body in told]) if told else None
        with self._database.write() as tx:
            for lane, some in found:
                tried = [_Tried(event, attempt) for event, _ in some if attempt]
                full = len(some) == EVENTS_TOGETHER_MAX
                self._record(tx, lane, tried, some[-1][0].seq if full else lane.latest)

    def _found(self, lane: Lane, limit: int) -> list[tuple[Event, Body]]:
        wanted = Wanted(lane.tenant_id, tuple(sorted(self._endpoint.types)), lane.latest)
        with self._database.read() as tx:
            found = events.after(tx, lane.delivered_through, limit, wanted)
            return list(zip(found, events.bodies(tx, found), strict=True))

    def _send(self, bodies: Sequence[Body]) -> "_Attempt":
        name, at, started = self._endpoint.name, self._clock(), time.perf_counter()
        try:
            sent = self._endpoint.send(bodies, at)
        except Exception as error:  # a body that nobody can send must not hold up the others
            log.exception("sending failed", endpoint=name, event_id=bodies[0]["id"])
            sent = Sent("broken", f"{type(error).__name__}; the log says where")
        seconds = time.perf_counter() - started
        metrics.deliveries_total.labels(name, sent.outcome).inc()
        metrics.delivery_seconds.labels(name).observe(seconds)
        self._note(arrived=sent.outcome == DELIVERED)
        return _Attempt(at, sent, round(seconds * 1000))

    def _note(self, *, arrived: bool) -> None:
        """Let the endpoint rest: after failures in a row, and while events gather."""
        with self._lock:
            self._failures = 0 if arrived else self._failures + 1
            gathers = round(self._endpoint.gathers_s * SECOND) if arrived else 0
            self._rests_until = self._clock() + max(gathers, delivery.rest(self._failures))

    def _record(self, tx: Connection, lane: Lane, tried: Sequence["_Tried"], through: int) -> None:
        """Write what came of a lane: all arrived up to `through`, or the last one failed."""
        attempts.add(tx, [each.row(self._endpoint.name) for each in tried])
        failed = [each for each in tried if not each.arrived]
        arrived = [each.event.seq for each in tried if each.arrived]
        if failed:
            self._record_failure(tx, lane, failed, max(arrived, default=lane.delivered_through))
        else:
            lanes.advance(tx, lane, through, self._clock())
        if arrived and lane.failures >= BACK_AFTER:
            lanes.hasten(tx, self._endpoint.name, self._clock())

    def _record_failure(
        self, tx: Connection, lane: Lane, failed: Sequence["_Tried"], through: int
    ) -> None:
        """Let a lane rest behind `through`, or give up on what failed there."""
        attempt, now = failed[0].attempt, self._clock()
        before = lane.failing_since if through == lane.delivered_through else None
        since = attempt.at if before is None else before
        if attempt.sent.final or delivery.given_up(since, now):
            if lanes.advance(tx, lane, failed[-1].event.seq, now):
                self._bury(tx, failed)
            return
        failures = 1 if before is None else lane.failures + 1
        pause = delivery.pause(failures, self._dice(), attempt.sent.retry_after)
        lanes.rest(tx, lane, through, since, now + pause)

    def _bury(self, tx: Connection, failed: Sequence["_Tried"]) -> None:
        name = self._endpoint.name
        for event, (at, sent, _) in failed:
            letter = DeadLetter(event.tenant_id, name, event.seq, at, sent.because)
            attempts.bury(tx, letter)
            log.warning("event given up", endpoint=name, event_id=event.id, outcome=sent.outcome)

    def _try_dead(self) -> int:
        """Try dead letters once more that somebody asked for; return how many."""
        name, now = self._endpoint.name, self._clock()
        with self._database.read() as tx:
            if not attempts.due(tx, name, now):
                return 0
        with self._database.write() as tx:
            letters = attempts.claim_dead(tx, name, now, self._until(now), LANES_MAX)
        pieces = [letters] if self._endpoint.gathers_s else [[letter] for letter in letters]
        for piece in filter(None, pieces):
            self._try_again(piece)
        return len(letters)

    def _try_again(self, letters: Sequence[DeadLetter]) -> None:
        """Send the events of dead letters; those that are gone by now are forgotten."""
        with self._database.read() as tx:
            found = [event for letter in letters for event in _event(tx, letter)]
            bodies = events.bodies(tx, found)
        attempt = self._send(bodies) if found else None
        tried = [_Tried(event, attempt) for event in found if attempt]
        with self._database.write() as tx:
            attempts.add(tx, [each.row(self._endpoint.name) for each in tried])
            for letter in letters:
                attempts.risen(tx, letter)
            self._bury(tx, [each for each in tried if not each.arrived])


class _Attempt(NamedTuple):
    """When something was sent, what came of it, and how long that took."""

    at: Instant
    sent: Sent
    duration_ms: int


class _Tried(NamedTuple):
    """An event, and the attempt it was part of."""

    event: Event
    attempt: _Attempt

    @property
    def arrived(self) -> bool:
        return self.attempt.sent.outcome == DELIVERED

    def row(self, endpoint: str) -> Attempt:
        at, sent, duration_ms = self.attempt
        place = self.event.tenant_id, self.event.seq, endpoint, at
        return Attempt(*place, sent.outcome, duration_ms, sent.because[:BECAUSE_MAX])


def _event(tx: Connection, letter: DeadLetter) -> list[Event]:
    """Return the event that a dead letter is about, where it is still kept."""
    return events.after(tx, letter.seq - 1, 1, Wanted(letter.tenant_id, (), letter.seq))
