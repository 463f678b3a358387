"""Watching balances: looking only where there can be something to say misses nothing."""

from collections.abc import Collection
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from bridge.domain.alert import Latch, Threshold
from bridge.domain.clock import DAY, HOUR
from bridge.domain.event import EventType, Happened
from bridge.domain.renewal import Status
from bridge.domain.wallet import Wallet, WalletId
from bridge.notify.balances import Rules, Watch
from bridge.store import alerts, bulk, renewals
from bridge.store.alerts import ALERTS, LOW, NEGATIVE, WALLETS, Notice
from bridge.store.database import Connection, Database
from bridge.store.outbox import Span, Told
from tests.examples import NOON
from tests.renewing import renewal

TENANTS, CURRENCIES = ("acme", "beta"), ("EUR", "USD")
WALLET_IDS = [WalletId(tenant, currency) for tenant in TENANTS for currency in CURRENCIES]
INT64_MAX = 2**63 - 1

# Few amounts, so that balances often lie at a mark and beside it; the largest sums leave 64 bits.
amounts = st.sampled_from([1, 2, 3, 5, INT64_MAX])
nothing_or_amounts = st.sampled_from([0, 0, 0, 1, 2, 3, INT64_MAX])
balances = st.sampled_from([-INT64_MAX - 1, -1, 0, 1, 2, 3, 4, 5, 6, INT64_MAX])
thresholds = st.builds(Threshold, nothing_or_amounts, st.booleans())
moments = st.integers(0, 3).map(lambda hours: NOON - hours * HOUR)
latches = st.just(Latch()) | st.builds(Latch, st.none() | moments, moments, st.booleans()).map(
    lambda latch: latch._replace(told=latch.told and latch.since is not None)
)


@st.composite
def renewals_of(draw: st.DrawFn, wallet_id: WalletId) -> Any:
    return renewal(
        draw(st.sampled_from("ab")) + wallet_id.currency,
        NOON + draw(st.integers(0, 1)) * DAY,
        tenant_id=wallet_id.tenant_id,
        currency=wallet_id.currency,
        amount=draw(amounts),
        keep_at_least=draw(nothing_or_amounts),
        auto_renew=draw(st.integers(0, 1)),
        max_amount=draw(st.none() | amounts),
    )._replace(status=draw(st.sampled_from(Status)))


def fill(tx: Connection, data: st.DataObject, cooldown: int) -> None:
    """Make wallets in some state, with what may be to be said of them."""
    for wallet_id in WALLET_IDS:
        wallet = Wallet(*wallet_id, data.draw(balances), data.draw(nothing_or_amounts))
        bulk.insert(tx, WALLETS, [wallet])
        known = data.draw(st.dictionaries(st.sampled_from([LOW, NEGATIVE]), latches, max_size=1))
        alerts.save(tx, {(wallet_id, kind): latch for kind, latch in known.items()}, cooldown)
        for one in data.draw(st.lists(renewals_of(wallet_id), max_size=2)):
            renewals.put(tx, one)
    for tenant in data.draw(st.sets(st.sampled_from(TENANTS))):
        wished = data.draw(st.dictionaries(st.sampled_from(CURRENCIES), thresholds))
        alerts.put_notice(tx, Notice(tenant, thresholds=wished), NOON)
    if data.draw(st.booleans()):
        alerts.touch(tx, "acme", NOON)


def said(
    tx: Connection, watch: Watch, ids: Collection[WalletId], due: Collection[WalletId]
) -> tuple[list[Happened], list[Any]]:
    """What is said of wallets, and how their alerts stand then; nothing is kept."""
    kept = tx.begin_nested()
    told = watch.look(tx, ids, due, NOON)
    after = tx.execute(select(ALERTS).order_by(*ALERTS.primary_key)).all()
    kept.rollback()
    return told, [tuple(row) for row in after]


def test_looking_at_wallets_of_note_says_exactly_what_looking_at_all_would(
    database: Database,
) -> None:
    offer = "https://billing.example.com/{}/{}/{}/{}".format

    @settings(max_examples=200)
    @given(
        st.builds(Rules, st.dictionaries(st.just("EUR"), thresholds), thresholds, st.just(HOUR)),
        st.just(set(WALLET_IDS)) | st.sets(st.sampled_from(WALLET_IDS)),
        st.data(),
    )
    def misses_nothing(rules: Rules, touched: set[WalletId], data: st.DataObject) -> None:
        watch = Watch(rules, offer)
        with database.write() as tx:
            fill(tx, data, rules.cooldown)
            due = alerts.due(tx, NOON, 100)
            notable = watch.notable(
                tx, [Told(NOON, [Span(*one, "wallet.debited", 1, 1) for one in touched])]
            )
            assert notable <= touched
            everything = said(tx, watch, touched | due, due)
            assert said(tx, watch, notable | due, due) == everything
            tx.rollback()

    misses_nothing()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_wishes_that_change_while_a_wallet_is_looked_at_are_looked_at_next(
    database: Database,
) -> None:
    def wish(*_: object) -> str:
        with database.write() as tx:
            alerts.put_notice(tx, Notice("acme", thresholds={"EUR": Threshold(1)}), NOON)
            alerts.touch(tx, "acme", NOON)
        return ""

    with database.write() as tx:
        bulk.insert(tx, WALLETS, [Wallet("acme", "EUR", 5)])
    watch = Watch(Rules({}, Threshold(10), HOUR), wish)
    with database.write() as tx:
        [low] = watch.look(tx, WALLET_IDS[:1], [], NOON)
    assert low.type is EventType.BALANCE_LOW
    with database.write() as tx:
        due = alerts.due(tx, NOON, 10)
        assert due == {WALLET_IDS[0]}
        [recovered] = watch.look(tx, due, due, NOON)
    assert recovered.type is EventType.BALANCE_RECOVERED
    with database.read() as tx:
        assert alerts.due(tx, NOON + HOUR, 10) == set()
