"""Publishing: what waits in the outbox becomes events, on the lanes of who wants to know.

All of a batch in one database transaction: events, lanes, alerts, and what is forgotten. So a crash
between any two steps leaves the batch as if it was never begun.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from bridge import metrics
from bridge.domain.alert import Change, Latch, Threshold, follow
from bridge.domain.clock import Clock, Instant
from bridge.domain.event import Event, EventType, Happened, Told
from bridge.domain.offer import Offers
from bridge.domain.wallet import Wallet, WalletId
from bridge.store import alerts, events, lanes, outbox, renewals
from bridge.store.alerts import LOW, NEGATIVE, Notice
from bridge.store.database import Connection, Database

ENTRIES_MAX = 250
"""Entries published at once, up to one commit's more: on SQLite nobody else writes meanwhile."""

DUE_MAX = 500
"""Wallets that are looked at at once because somebody touched them, or a cooldown has ended."""

_NOTHING: Mapping[str, Threshold] = {}


class Subscriber(NamedTuple):
    """An endpoint, and which events it is told of."""

    endpoint: str
    types: frozenset[str]


class Rules(NamedTuple):
    """What is low where a tenant did not say, by currency; and the pause between two alerts."""

    thresholds: Mapping[str, Threshold]
    otherwise: Threshold
    cooldown: Instant


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
        self._rules = rules
        self._subscribers = subscribers
        self._offers = offers

    def publish(self) -> bool:
        """Publish one batch; True where it was a full one, so that more may wait."""
        with self._database.read() as tx:
            if outbox.is_empty(tx) and not alerts.due(tx, self._clock(), 1):
                return False
        with self._database.write() as tx:
            head = events.head(tx)
            if head is None:
                return False
            published, full = self._publish(tx, head)
        for event_type, number in Counter(event.type for event in published).items():
            metrics.events_published_total.labels(event_type).inc(number)
        return full

    def _publish(self, tx: Connection, head: int) -> tuple[list[Event], bool]:
        now = self._clock()
        rows = outbox.take(tx, ENTRIES_MAX)
        told = events.facts(tx, rows)
        due = alerts.due(tx, now, DUE_MAX)
        touched = {wallet for fact in told if (wallet := _wallet(fact))}
        warned = self._warned(tx, touched | due, due, now)
        offered = (self._offering(fact, now) for fact in told)
        published = events.publish(tx, [*offered, *warned], head, now)
        for endpoint, types in self._subscribers:
            lanes.extend(tx, endpoint, (e for e in published if e.type in types), now)
        outbox.drop(tx, rows)
        full = len(told) >= ENTRIES_MAX or len(rows) == outbox.ROWS_MAX or len(due) == DUE_MAX
        return published, full

    def _offering(self, fact: Happened | Told, now: Instant) -> Happened | Told:
        """Return the fact with the address where the deposit that is missing is offered."""
        if isinstance(fact, Told) or "shortfall" not in fact.data:
            return fact
        currency, shortfall = fact.data["currency"], fact.data["shortfall"]
        url = self._offer(fact.tenant_id, currency, shortfall, now) if shortfall else None
        return fact._replace(data={**fact.data, "deposit_url": url})

    def _offer(self, tenant_id: str, currency: str, amount: int, now: Instant) -> str | None:
        return self._offers.link(tenant_id, amount, currency, now) or None

    def _warned(
        self, tx: Connection, ids: set[WalletId], due: Collection[WalletId], now: Instant
    ) -> list[Happened]:
        """Follow the balances of wallets, and return the alerts there are."""
        known = alerts.latches(tx, ids)
        # Kept also where they are as before: they are not due any more.
        after = {key: latch for key, latch in known.items() if key[0] in due}
        told: list[Happened] = []
        for wallet, mark in self._marked(tx, ids):
            below = {LOW: mark > 0 and wallet.available < mark, NEGATIVE: wallet.balance < 0}
            for kind, is_below in below.items():
                latch = known.get((wallet.id, kind), Latch())
                change = follow(latch, below=is_below, cooldown=self._rules.cooldown, now=now)
                if change.latch != latch:
                    after[wallet.id, kind] = change.latch
                if change.fires or change.recovers:
                    told += self._alerts(kind, change, wallet, mark, now)
        alerts.save(tx, after, self._rules.cooldown)
        return told

    def _alerts(
        self, kind: str, change: Change, wallet: Wallet, mark: int, now: Instant
    ) -> list[Happened]:
        if kind == NEGATIVE:
            return [_said(EventType.BALANCE_NEGATIVE, wallet, mark, now)] if change.fires else []
        if change.recovers:
            return [_said(EventType.BALANCE_RECOVERED, wallet, mark, now)]
        url = self._offer(*wallet.id, mark - wallet.available, now)
        return [_said(EventType.BALANCE_LOW, wallet, mark, now, deposit_url=url)]

    def _marked(self, tx: Connection, ids: Collection[WalletId]) -> list[tuple[Wallet, int]]:
        """Return the wallets, each with the mark below which it is low; at 0 it never is."""
        wishes = alerts.notices(tx, {wallet_id.tenant_id for wallet_id in ids})
        marks = {one: self._threshold(one, wishes.get(one.tenant_id)) for one in ids}
        asking = [one for one, mark in marks.items() if mark.next_renewal]
        coming = renewals.coming(tx, asking)
        return [
            (wallet, marks[wallet.id].amount(coming.get(wallet.id, 0)))
            for wallet in alerts.wallets(tx, ids)
        ]

    def _threshold(self, wallet_id: WalletId, notice: Notice | None) -> Threshold:
        wished = notice.thresholds if notice else _NOTHING
        configured = self._rules.thresholds.get(wallet_id.currency, self._rules.otherwise)
        return wished.get(wallet_id.currency, configured)


def _wallet(fact: Happened | Told) -> WalletId | None:
    """Return the wallet that a fact names: a renewal that comes up may make a balance low."""
    if isinstance(fact, Told):
        return WalletId(fact.tenant_id, fact.currency)
    if "currency" not in fact.data or not fact.tenant_id:
        return None
    return WalletId(fact.tenant_id, fact.data["currency"])


def _said(
    event_type: EventType, wallet: Wallet, mark: int, now: Instant, **more: str | None
) -> Happened:
    data = {
        "currency": wallet.currency,
        "balance": wallet.balance,
        "held": wallet.held,
        "available": wallet.available,
        "threshold": mark,
        **more,
    }
    return Happened(event_type, wallet.tenant_id, now, data)
