"""Watching balances: which alerts there are to be said of wallets that were touched."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from bridge.domain.alert import Change, Latch, Threshold, follow
from bridge.domain.clock import Instant
from bridge.domain.event import EventType, Happened
from bridge.domain.wallet import Wallet, WalletId
from bridge.store import alerts, renewals
from bridge.store.alerts import LOW, NEGATIVE, Notice
from bridge.store.database import Connection
from bridge.store.outbox import Told

Offer = Callable[[str, int, str, Instant], str]
"""`domain.offer.Offers.link`."""

_NOTHING: Mapping[str, Threshold] = {}


class Rules(NamedTuple):
    """What is low where a tenant did not say, by currency; and the pause between two alerts."""

    thresholds: Mapping[str, Threshold]
    otherwise: Threshold
    cooldown: Instant


class Watch(NamedTuple):
    """Says alerts by rules, with the link by which a tenant can deposit what is missing."""

    rules: Rules
    offer: Offer

    def notable(self, tx: Connection, told: Iterable[Told]) -> set[WalletId]:
        """Return the wallets told of at which `look` must look: it is silent on all others."""
        wallets = {wallet for one in told for wallet in one.wallets}
        rules = self.rules
        marks = {code: rules.thresholds.get(code, rules.otherwise).below for _, code in wallets}
        return alerts.notable(tx, [(tenant, code, marks[code]) for tenant, code in wallets])

    def look(
        self, tx: Connection, ids: Collection[WalletId], due: Collection[WalletId], now: Instant
    ) -> list[Happened]:
        """Follow the balances of wallets, and return the alerts there are.

        Those that are `due` were to be looked at by now, and are so no more.
        """
        if due:
            alerts.looked_at(tx, due)
        known = alerts.latches(tx, ids)
        # Kept also where they are as before: a cooldown may still have to end.
        after = {key: latch for key, latch in known.items() if key[0] in due}
        told: list[Happened] = []
        for wallet, mark in self._marked(tx, ids):
            below = {LOW: mark > 0 and wallet.available < mark, NEGATIVE: wallet.balance < 0}
            for kind, is_below in below.items():
                latch = known.get((wallet.id, kind), Latch())
                change = follow(latch, below=is_below, cooldown=self.rules.cooldown, now=now)
                if change.latch != latch:
                    after[wallet.id, kind] = change.latch
                if change.fires or change.recovers:
                    told += self._said(kind, change, wallet, mark, now)
        alerts.save(tx, after, self.rules.cooldown)
        return told

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
        configured = self.rules.thresholds.get(wallet_id.currency, self.rules.otherwise)
        return wished.get(wallet_id.currency, configured)

    def _said(
        self, kind: str, change: Change, wallet: Wallet, mark: int, now: Instant
    ) -> list[Happened]:
        if kind == NEGATIVE:
            return [_fact(EventType.BALANCE_NEGATIVE, wallet, mark, now)] if change.fires else []
        if change.recovers:
            return [_fact(EventType.BALANCE_RECOVERED, wallet, mark, now)]
        missing = mark - wallet.available
        url = self.offer(wallet.tenant_id, missing, wallet.currency, now) or None
        return [_fact(EventType.BALANCE_LOW, wallet, mark, now, deposit_url=url)]


def _fact(
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
