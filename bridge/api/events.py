"""Events: read in order by a core that catches up, and one with what became of it."""

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field

from bridge.api import auth
from bridge.api.answers import Time
from bridge.api.asks import PAGE_SIZE, Ask, Limit
from bridge.api.auth import READ
from bridge.api.ids import checked_tenant
from bridge.api.problems import documented, invalid
from bridge.api.services import DeskHere
from bridge.api.strict import StrictRoute
from bridge.domain import event as domain
from bridge.domain.clock import isoformat
from bridge.domain.errors import NotFoundError
from bridge.domain.event import EventId, EventType
from bridge.domain.event_types import EVERY, chosen
from bridge.store import attempts, deliveries, events
from bridge.store.database import Connection
from bridge.store.events import EventNotFoundError, Wanted

router = APIRouter(tags=["events"], route_class=StrictRoute, responses=documented(404, 422))

SCAN_MAX = 100_000
"""Events that one page looks through for rare types; then it ends, and the next one goes on."""

ATTEMPTS_MAX = 100
"""Attempts that are shown of one event, the latest first."""

LINKS = ("pay_url", "deposit_url")
"""What only a key reads that may open deposits: whoever has such a link can do so, too."""

EVENT_ID = "evt_17_1795390769000000"


class EventsAsk(Ask):
    """Which events, and behind which one they begin."""

    after: str | None = Field(
        default=None,
        max_length=60,
        description="The event seen last, or a page's `next_cursor`; without, the oldest kept.",
        examples=[EVENT_ID],
    )
    types: str | None = Field(
        default=None,
        max_length=1000,
        description="Types and families, with commas between; all unless given.",
        examples=["wallet.debited,renewal.*"],
    )
    tenant_id: str | None = Field(default=None, description="One tenant's only.")
    limit: Limit = PAGE_SIZE


class Event(BaseModel):
    """An event, as endpoints get it too. `tenant_id` is null where it concerns operators alone."""

    id: str = Field(examples=[EVENT_ID])
    type: EventType
    timestamp: Time
    tenant_id: str | None
    data: dict[str, Any] = Field(
        description=(
            "By type: see the webhooks of this document. A key without the scope `deposit` reads"
            " neither `pay_url` nor `deposit_url`."
        )
    )


class Events(BaseModel):
    """A page of events, the oldest first. A page with a cursor may be empty: go on behind it."""

    data: list[Event]
    next_cursor: str | None


class Attempt(BaseModel):
    """A try to deliver an event; `outcome` is delivered, or a kind of failure."""

    endpoint: str
    attempted_at: Time
    outcome: str
    duration_ms: int
    because: str

    @classmethod
    def of(cls, attempt: attempts.Attempt) -> Self:
        """Show an attempt."""
        return cls(
            endpoint=attempt.endpoint,
            attempted_at=isoformat(attempt.attempted_at),
            outcome=attempt.outcome,
            duration_ms=attempt.duration_ms,
            because=attempt.because,
        )


class Lane(BaseModel):
    """How an event stands with an endpoint; `dead` ones are tried no more by themselves."""

    endpoint: str
    state: Literal["delivered", "waiting", "dead"]


class EventWithAttempts(Event):
    """An event, and what became of it."""

    attempts: list[Attempt]
    lanes: list[Lane]


@router.get("/v1/events", dependencies=[READ], responses=documented(410))
async def list_events(
    ask: Annotated[EventsAsk, Query()], desk: DeskHere, request: Request
) -> Events:
    """List events from one on, the oldest first, so that a core can catch up. Scope: `read`.

    404 for an `after` that is not of this database, as after a backup was restored, and 410 where
    what followed it is kept no more: then read the balances, and begin without `after`.
    """
    if ask.tenant_id is not None:
        checked_tenant(desk.services, ask.tenant_id)
    after = _parsed(ask.after) if ask.after is not None else None
    wanted = Wanted(ask.tenant_id, _types(ask.types))
    bodies, cursor = await desk.read(_page, after, wanted, ask.limit)
    told = [Event(**body) for body in bodies]
    _withhold(request, told)
    return Events(data=told, next_cursor=cursor)


@router.get("/v1/events/{event_id}", dependencies=[READ])
async def get_event(
    event_id: Annotated[str, Path(examples=[EVENT_ID])], desk: DeskHere, request: Request
) -> EventWithAttempts:
    """Return an event and what became of it, endpoint by endpoint. Scope: `read`."""
    told = await desk.read(_told, _parsed(event_id), desk.services.subscribers)
    _withhold(request, [told])
    return told


def _withhold(request: Request, events: Iterable[Event]) -> None:
    """Take the links out unless the request's key may open deposits."""
    if auth.has(request, "deposit"):
        return
    for event, link in product(events, LINKS):
        event.data.pop(link, None)


def _parsed(text: str) -> EventId:
    try:
        return EventId.parse(text)
    except NotFoundError as error:
        raise EventNotFoundError(str(error)) from None


def _types(patterns: str | None) -> tuple[str, ...]:
    """Return the types to look for, none for all."""
    if patterns is None:
        return ()
    try:
        types = chosen(pattern.strip() for pattern in patterns.split(","))
    except ValueError as error:
        raise invalid([("types", str(error))]) from None
    return () if types == EVERY else tuple(sorted(types))


def _page(
    tx: Connection, after: EventId | None, wanted: Wanted, limit: int
) -> tuple[list[dict[str, Any]], str | None]:
    """Return up to `limit` bodies, and the id to go on behind."""
    seq = events.behind(tx, after) if after else 0
    edge = _edge(tx, seq) if wanted.types else None
    wanted = wanted._replace(through=edge.seq if edge else None)
    found = events.after(tx, seq, limit + 1, wanted)
    last = found[limit - 1] if len(found) > limit else edge
    return events.bodies(tx, found[:limit]), last.id if last else None


def _edge(tx: Connection, seq: int) -> domain.Event | None:
    """Return the last event that a page behind `seq` looks at; None where that is the latest."""
    for first in events.after(tx, seq, 1):
        return next(iter(events.after(tx, first.seq + SCAN_MAX - 1, 1)), None)
    return None


def _told(
    tx: Connection, event_id: EventId, subscribers: Mapping[str, frozenset[str]]
) -> EventWithAttempts:
    event = events.get(tx, event_id)
    [body] = events.bodies(tx, [event])
    tried = attempts.of_event(tx, event.tenant_id, event.seq, ATTEMPTS_MAX)
    lanes = [
        Lane(**lane._asdict())
        for lane in deliveries.of_event(tx, event)
        if event.type in subscribers.get(lane.endpoint, ())
    ]
    return EventWithAttempts(**body, attempts=list(map(Attempt.of, tried)), lanes=lanes)
