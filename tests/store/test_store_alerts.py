"""Alerts and notices: what a tenant wants to be told is kept, and how its wallets stand with it."""

from bridge.domain.alert import Latch, Threshold
from bridge.domain.clock import DAY
from bridge.domain.wallet import WalletId
from bridge.store import alerts
from bridge.store.alerts import LOW, NEGATIVE, Notice
from bridge.store.database import Database
from tests.renewing import keep, renewal
from tests.store.drafting import NOON, adjustment, debit, effect, posted

ACME, BETA = WalletId("acme", "EUR"), WalletId("beta", "EUR")
NOTICE = Notice("acme", "pay@example.com", "de", {"EUR": Threshold(500), "USD": Threshold(0, True)})


def due(database: Database, now: int, limit: int = 10) -> set[WalletId]:
    with database.read() as tx:
        return alerts.due(tx, now, limit)


def save(database: Database, wallet_id: WalletId, latch: Latch, kind: str = LOW) -> None:
    with database.write() as tx:
        alerts.save(tx, {(wallet_id, kind): latch}, DAY)


def test_notices_are_kept_replaced_and_forgotten(database: Database) -> None:
    with database.write() as tx:
        alerts.put_notice(tx, NOTICE, NOON)
        alerts.put_notice(tx, Notice("beta"), NOON)
        assert alerts.notices(tx, ["acme", "beta", "nobody"]) == {
            "acme": NOTICE,
            "beta": Notice("beta"),
        }
        alerts.put_notice(tx, NOTICE._replace(email="", thresholds={}), NOON)
        assert alerts.notices(tx, ["acme"]) == {"acme": Notice("acme", "", "de")}
        alerts.forget_notice(tx, "acme")
        assert alerts.notices(tx, ["acme"]) == {}


def test_latches_are_kept_by_wallet_and_kind(database: Database) -> None:
    low, negative = Latch(NOON, NOON, told=True), Latch(NOON)
    save(database, ACME, low)
    save(database, ACME, negative, NEGATIVE)
    save(database, BETA, Latch())
    with database.read() as tx:
        assert alerts.latches(tx, [ACME]) == {(ACME, LOW): low, (ACME, NEGATIVE): negative}
    save(database, ACME, Latch())
    with database.read() as tx:
        assert alerts.latches(tx, [ACME])[ACME, LOW] == Latch()


def test_a_wallet_below_and_untold_is_due_when_the_cooldown_ends(database: Database) -> None:
    save(database, ACME, Latch(NOON + 5, NOON, told=False))
    save(database, BETA, Latch(NOON + 5, NOON, told=True))
    assert due(database, NOON + DAY - 1) == set()
    assert due(database, NOON + DAY) == {ACME}


def test_wallets_that_were_touched_are_due_at_once_and_stand_as_before(
    database: Database,
) -> None:
    posted(database, adjustment(1), adjustment(1, currency="USD"), adjustment(1, tenant_id="beta"))
    told = Latch(NOON, NOON, told=True)
    save(database, ACME, told)
    with database.write() as tx:
        alerts.touch(tx, "acme", NOON)
        alerts.touch(tx, "nobody", NOON)
        dollars = WalletId("acme", "USD")
        assert alerts.latches(tx, [ACME, dollars]) == {(ACME, LOW): told, (dollars, LOW): Latch()}
    assert due(database, NOON) == {ACME, dollars}
    assert len(due(database, NOON, 1)) == 1
    save(database, ACME, told)
    assert due(database, NOON) == {ACME, dollars}, "nobody has looked at them yet"
    with database.write() as tx:
        alerts.looked_at(tx, {ACME})
    assert due(database, NOON) == {dollars}


def test_a_wallet_is_of_note_where_something_could_be_said_of_it(database: Database) -> None:
    names = ["alerted", "below", "due", "held", "idle", "renewing", "rich", "told", "wishing"]
    posted(database, *(adjustment(100, tenant_id=name) for name in names))
    posted(database, effect(50, tenant_id="held", effect="hold/dispute"))
    ids = {name: WalletId(name, "EUR") for name in names}
    save(database, ids["alerted"], Latch(NOON, NOON, told=True))
    save(database, ids["told"], Latch(None, NOON))
    keep(database, renewal("much", tenant_id="renewing", amount=90, keep_at_least=11))
    keep(database, renewal("little", tenant_id="rich", amount=90, keep_at_least=10))
    with database.write() as tx:
        alerts.put_notice(tx, Notice("wishing", thresholds={"EUR": Threshold(5)}), NOON)
        alerts.put_notice(tx, Notice("rich", "pay@example.com"), NOON)
        marks = [(name, "EUR", 101 if name == "below" else 100) for name in [*names, "nobody"]]
        notable = alerts.notable(tx, marks)
    assert {tenant_id for tenant_id, _ in notable} == {
        *("alerted", "below", "held", "renewing", "wishing")
    }


def test_a_debt_is_of_note_whatever_is_low(database: Database) -> None:
    posted(database, effect(100), debit(80))
    posted(database, effect(0))
    with database.read() as tx:
        assert alerts.notable(tx, [(*ACME, 0)]) == {ACME}


def test_nothing_touched_is_nothing_of_note(database: Database) -> None:
    with database.read() as tx:
        assert alerts.notable(tx, []) == set()


def test_wallets_are_returned_as_they_are(database: Database) -> None:
    [entry] = posted(database, adjustment(7))
    with database.read() as tx:
        assert alerts.wallets(tx, [ACME, BETA]) == [entry.wallet]
