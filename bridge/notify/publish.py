"""Publishing: what waits in the outbox becomes events, on the lanes of who wants to know.

All of a batch in one database transaction: events, lanes, alerts, and what is forgotten. So a crash
between any two steps leaves the batch as if it was never begun. What is to be published is read
before, so that the lock is held for writing alone.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from bridge import metrics
from bridge.domain.clock import Clock, Instant
from bridge.domain.event import Happened
from bridge.domain.offer import Offers
from bridge.domain.wallet import WalletId
from bridge.notify.balances import Rules, Watch
from bridge.store import alerts, events, lanes, outbox
from bridge.store.database import Connection, Database
from bridge.store.outbox import Taken, Told

SPANS_MAX = 5000
"""Spans and facts published at once, up to one commit's more: many, since entries share rows."""

BUSY, BITE = 1500, 150
"""While fewer than BUSY wait, they are published by BITE, so that who writes meanwhile waits less.

On SQLite for the lock, which 150 keep for about 2 milliseconds, and 5000 for 5 to 10.
"""

DUE_MAX = 500
"""Wallets that are looked at at once because somebody touched them, or a cooldown has ended."""


class Subscriber(NamedTuple):
    """An endpoint, and which events it is told of."""

    endpoint: str
    types: frozenset[str]


class _Batch(NamedTuple):
    """What is to be published behind the `last` event, and wallets to look at.

    Those that are `due` are among them. Whatever happens to wallets later than this was read is
    told by rows of its own, and looked at with them.
    """

    last: int
    taken: Taken
    wallets: Collection[WalletId]
    due: Collection[WalletId]


class Publisher:
    """Publishes what waits; many processes may try, one at a time does.

    Offers are the links by which a tenant can deposit what is missing.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        rules: Rules,
        subscribers: Sequence[Subscriber],
        offers: Offers,
    ) -> None:
        self._database = database
        self._clock = clock
        self._watch = Watch(rules, offers.link)
        self._subscribers = subscribers
        self._offers = offers

    def publish(self) -> bool:
        """Publish one batch; True where it was a full one, so that more may wait."""
        now = self._clock()
        with self._database.read() as tx:
            batch = self._batch(tx, now)
        if not batch.taken.ids and not batch.due:
            return False
        with self._database.write() as tx:
            # Another one publishes, or has since we looked.
            if events.head(tx) != batch.last:
                return False
            published = self._publish(tx, batch, now)
        for event_type, number in published.items():
            metrics.events_published_total.labels(event_type).inc(number)
        return batch.taken.full or len(batch.due) == DUE_MAX

    def _batch(self, tx: Connection, now: Instant) -> _Batch:
        taken = outbox.take(tx, SPANS_MAX)
        if taken.size < BUSY:
            taken = taken.first(BITE)
        due = alerts.due(tx, now, DUE_MAX)
        notable = self._watch.notable(tx, taken.told)
        return _Batch(events.last(tx), taken, notable | due, due)

    def _publish(self, tx: Connection, batch: _Batch, now: Instant) -> Mapping[str, int]:
        """Publish, and return the number of events by type."""
        offered = [self._offering(one, now) for one in batch.taken.told]
        warned = Told(now, facts=self._watch.look(tx, batch.wallets, batch.due, now))
        published = events.publish(tx, [*offered, warned], batch.last, now)
        new = range(batch.last + 1, batch.last + 1 + published.total())
        for endpoint, types in self._subscribers:
            lanes.extend(tx, endpoint, types, new, now)
        outbox.drop(tx, batch.taken.ids)
        return published

    def _offering(self, told: Told, now: Instant) -> Told:
        """Return facts with the address where the deposit that is missing is offered."""
        return told._replace(facts=[self._offered(fact, now) for fact in told.facts])

    def _offered(self, fact: Happened, now: Instant) -> Happened:
        if "shortfall" not in fact.data:
            return fact
        currency, shortfall = fact.data["currency"], fact.data["shortfall"]
        url = self._offers.link(fact.tenant_id, shortfall, currency, now) if shortfall else ""
        return fact._replace(data={**fact.data, "deposit_url": url or None})
