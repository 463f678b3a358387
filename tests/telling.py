"""What waits in the outbox, a publisher, and the events that it makes."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

from bridge.domain.alert import Threshold
from bridge.domain.clock import DAY, Clock
from bridge.domain.event import Event, Happened
from bridge.domain.offer import Offers
from bridge.notify.balances import Rules
from bridge.notify.publish import Publisher, Subscriber
from bridge.store import events, outbox
from bridge.store.database import Database
from bridge.store.lanes import LANES as TABLE
from bridge.store.lanes import Lane
from bridge.store.outbox import Span

NO_OFFERS = Offers("", (), 0, ())
SILENT = Rules({}, Threshold(), DAY)
"""Rules by which no balance is low."""


def waiting(database: Database) -> list[Span | Happened]:
    """What nobody has published yet, in order."""
    with database.read() as tx:
        told = outbox.take(tx, 10_000).told
    return list(chain.from_iterable((*one.spans, *one.facts) for one in told))


def facts(database: Database) -> list[Happened]:
    """What happened beside the entries, and nobody has published yet."""
    return [item for item in waiting(database) if isinstance(item, Happened)]


def publisher(
    database: Database,
    clock: Clock,
    *subscribers: Subscriber,
    rules: Rules = SILENT,
    offers: Offers = NO_OFFERS,
) -> Publisher:
    return Publisher(database, clock, rules, subscribers, offers)


def published(database: Database) -> list[Event]:
    """All events, in order."""
    with database.read() as tx:
        return events.after(tx, 0, 10_000)


def told(database: Database) -> list[dict[str, Any]]:
    """All events as endpoints get them."""
    with database.read() as tx:
        return events.bodies(tx, events.after(tx, 0, 10_000))


def types(happened: Sequence[Event] | Sequence[Happened]) -> list[str]:
    return [str(one.type) for one in happened]


def lanes(database: Database) -> list[Lane]:
    """All lanes, by tenant and endpoint."""
    with database.read() as tx:
        rows = tx.execute(TABLE.select().order_by(TABLE.c.tenant_id, TABLE.c.endpoint))
        return [Lane._make(row) for row in rows]
