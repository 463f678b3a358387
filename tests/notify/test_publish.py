"""Publishing: what happened is told once, in order, whoever publishes and whenever he dies."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from bridge import metrics
from bridge.domain.alert import Threshold
from bridge.domain.clock import DAY, HOUR, SECOND
from bridge.domain.entry import Draft
from bridge.domain.event import EventType, Happened
from bridge.domain.offer import Offers, read_offer
from bridge.domain.signing import derived
from bridge.notify import publish
from bridge.notify.balances import Rules
from bridge.notify.publish import Publisher, Subscriber
from bridge.store import alerts, events, outbox, renewals
from bridge.store.alerts import Notice
from bridge.store.database import Connection, Database
from bridge.store.lanes import Lane
from tests.conftest import FakeClock
from tests.notify import publishing
from tests.renewing import renewal
from tests.store.drafting import NOON, adjustment, debit, effect, post, posted
from tests.telling import lanes, published, publisher, told, types, waiting

ROOT = Path(__file__).parents[2]
KEYS = derived(["correct horse battery staple stapler"], "deposit-offer")
OFFERS = Offers("https://billing.example.com", KEYS, 14 * DAY, {"EUR"})
LOW = Rules({"EUR": Threshold(500)}, Threshold(), DAY)
COVERED = Rules({}, Threshold(next_renewal=True), DAY)
EVERYTHING = frozenset(EventType)


@pytest.fixture
def low(database: Database, clock: FakeClock) -> Publisher:
    """A publisher for which fewer than 5.00 EUR are low."""
    return publisher(database, clock, rules=LOW, offers=OFFERS)


def add(database: Database, *happened: Happened) -> None:
    with database.write() as tx:
        outbox.add(tx, happened)


def short(amount: int) -> Happened:
    facts = {"reference": "sub-1", "currency": "EUR", "available": 0, "shortfall": amount}
    return Happened(EventType.RENEWAL_PAYMENT_FAILED, "acme", NOON, facts)


def held(tenant_id: str = "") -> Happened:
    return Happened(EventType.ORDER_HELD, tenant_id, NOON, {"order_id": 7})


def move(database: Database, publisher: Publisher, *drafts: Draft) -> list[str]:
    """Post drafts, publish, and return the alerts there were."""
    before = len(published(database))
    post(database, *drafts)
    while publisher.publish():
        pass
    said = types(published(database)[before:])
    return [one.removeprefix("balance.") for one in said if one.startswith("balance.")]


def offered(event: dict[str, Any]) -> int:
    """The amount that an event's link offers."""
    link = event["data"]["deposit_url"].partition("?link=")[2]
    offer = read_offer(KEYS, link, NOON)
    assert offer
    assert (offer.tenant_id, offer.currency) == ("acme", "EUR")
    return offer.amount


# What is published


def test_nothing_is_published_where_nothing_happened(database: Database, clock: FakeClock) -> None:
    assert not publisher(database, clock).publish()
    assert published(database) == []


def test_entries_and_facts_become_events_in_the_order_in_which_they_happened(
    database: Database, clock: FakeClock
) -> None:
    posted(database, adjustment(100), debit(1))
    add(database, held())
    posted(database, effect(5, tenant_id="beta"))
    clock.advance(1)
    publisher(database, clock).publish()
    assert [(event["tenant_id"], event["type"]) for event in told(database)] == [
        ("acme", "wallet.credited"),
        ("acme", "wallet.debited"),
        (None, "order.held"),
        ("beta", "wallet.credited"),
    ]
    assert {event.published_at for event in published(database)} == {NOON + SECOND}
    assert waiting(database) == []


def test_events_are_counted_by_type_once_they_are_published(
    database: Database, clock: FakeClock
) -> None:
    def count() -> float:
        labels = {"type": "order.held"}
        return metrics.registry.get_sample_value("bridge_events_published_total", labels) or 0

    before = count()
    add(database, held(), held())
    publisher(database, clock).publish()
    assert count() == before + 2


@pytest.mark.parametrize(
    "limits", [{"SPANS_MAX": 2, "BUSY": 2}, {"BITE": 2, "BUSY": 6}], ids=["much", "a little"]
)
def test_a_batch_leaves_the_rest_for_the_next(
    database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, limits: dict[str, int]
) -> None:
    for name, limit in limits.items():
        monkeypatch.setattr(publish, name, limit)
    for _ in range(5):
        posted(database, adjustment(1))
    one = publisher(database, clock)
    assert [one.publish() for _ in range(4)] == [True, True, False, False]
    assert [event.seq for event in published(database)] == [1, 2, 3, 4, 5]


def test_where_much_waits_it_is_published_at_once(
    database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "BUSY", 6)
    monkeypatch.setattr(publish, "BITE", 2)
    for _ in range(6):
        posted(database, adjustment(1))
    one = publisher(database, clock)
    assert [one.publish() for _ in range(2)] == [False, False]
    assert [event.seq for event in published(database)] == list(range(1, 7))


def test_every_endpoint_gets_a_lane_with_the_types_it_wants(
    database: Database, clock: FakeClock
) -> None:
    posted(database, adjustment(100), debit(1), adjustment(1, tenant_id="beta"))
    add(database, held())
    core = Subscriber("core", EVERYTHING)
    mail = Subscriber("mail", frozenset({EventType.WALLET_DEBITED}))
    publisher(database, clock, core, mail).publish()
    assert lanes(database) == [
        Lane("", "core", 3, 4, due_at=NOON),
        Lane("acme", "core", 0, 2, due_at=NOON),
        Lane("acme", "mail", 1, 2, due_at=NOON),
        Lane("beta", "core", 2, 3, due_at=NOON),
    ]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_who_comes_while_another_publishes_does_nothing(
    database: Database, database_url: str, clock: FakeClock
) -> None:
    posted(database, adjustment(1))
    other = Database(database_url)
    with contextlib.closing(other), database.write() as tx:
        assert events.head(tx) == 0
        publisher(other, clock).publish()
        assert published(other) == []
    publisher(database, clock).publish()
    assert len(published(database)) == 1


def test_what_somebody_else_publishes_between_reading_and_writing_is_published_once(
    database: Database, database_url: str, clock: FakeClock
) -> None:
    class Overtaken(Database):
        """Before it writes, somebody else has published."""

        @contextlib.contextmanager
        def write(self) -> Iterator[Connection]:
            publisher(database, clock).publish()
            with super().write() as tx:
                yield tx

    posted(database, adjustment(1))
    with contextlib.closing(Overtaken(database_url)) as overtaken:
        assert not publisher(overtaken, clock).publish()
    assert [event.seq for event in published(database)] == [1]


def test_a_publisher_killed_before_any_statement_leaves_all_or_nothing(
    database: Database,
) -> None:
    posted(database, adjustment(300), debit(1), adjustment(1, tenant_id="beta"))
    add(database, held("acme"))
    url = database.url.render_as_string(hide_password=False)
    for number in count(1):
        command = [sys.executable, "-m", publishing.__name__, url, str(number)]
        life = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
        made = published(database)
        assert len(made) in {0, 6}
        assert (waiting(database) == []) == bool(made)
        if life.returncode == 0:
            break
        assert life.returncode == -9, life.stderr
    assert number > 10
    assert types(made) == [
        *("wallet.credited", "wallet.debited", "wallet.credited", "order.held"),
        *("balance.low", "balance.low"),
    ]
    assert [event.seq for event in made] == [1, 2, 3, 4, 5, 6]
    assert lanes(database) == [
        Lane("acme", "core", 0, 5, due_at=NOON),
        Lane("beta", "core", 2, 6, due_at=NOON),
    ]


# Alerts


def test_a_balance_is_low_once_and_recovered_once(database: Database, low: Publisher) -> None:
    assert move(database, low, adjustment(501)) == []
    assert move(database, low, debit(1)) == []
    assert move(database, low, debit(1)) == ["low"]
    assert move(database, low, debit(1)) == []
    assert move(database, low, adjustment(2)) == ["recovered"]
    first, second = (e for e in told(database) if e["type"].startswith("balance."))
    assert offered(first) == 1
    del first["data"]["deposit_url"]
    money = {"currency": "EUR", "held": 0, "threshold": 500}
    assert first["data"] == money | {"balance": 499, "available": 499}
    assert second["data"] == money | {"balance": 500, "available": 500}


def test_a_balance_that_hovers_is_told_again_only_after_the_cooldown(
    database: Database, low: Publisher, clock: FakeClock
) -> None:
    assert move(database, low, adjustment(499)) == ["low"]
    for _ in range(5):
        clock.advance(600)
        assert move(database, low, adjustment(1)) in (["recovered"], [])
        assert move(database, low, debit(1)) == []
    clock.now = NOON + DAY
    assert move(database, low) == ["low"], "looked at without any entry"
    assert move(database, low) == []


def test_a_dip_between_two_looks_is_no_alert(database: Database, low: Publisher) -> None:
    assert move(database, low, adjustment(600), debit(200), adjustment(200)) == []


def test_holds_make_a_balance_low_as_debits_do(database: Database, low: Publisher) -> None:
    dispute = effect(200, effect="hold/dispute")
    posted(database, adjustment(600), dispute)
    assert move(database, low) == ["low"]


def test_a_debt_is_told_even_where_no_balance_is_low(database: Database, clock: FakeClock) -> None:
    one = publisher(database, clock)
    posted(database, effect(100), debit(80))
    posted(database, effect(0))
    assert move(database, one) == ["negative"]
    assert told(database)[-1]["data"]["balance"] == -80
    assert move(database, one, adjustment(80)) == []


def test_what_a_tenant_wants_to_be_told_goes_before_the_configuration(
    database: Database, low: Publisher
) -> None:
    with database.write() as tx:
        alerts.put_notice(tx, Notice("acme", thresholds={"EUR": Threshold(100)}), NOON)
    assert move(database, low, adjustment(400), adjustment(400, tenant_id="beta")) == ["low"]
    assert told(database)[-1]["tenant_id"] == "beta"
    assert move(database, low, debit(301)) == ["low"]


def test_a_mark_that_changed_is_looked_at_at_once(database: Database, low: Publisher) -> None:
    assert move(database, low, adjustment(400), adjustment(1, currency="USD")) == ["low"]

    def wish(below: int) -> list[str]:
        with database.write() as tx:
            alerts.put_notice(tx, Notice("acme", thresholds={"EUR": Threshold(below)}), NOON)
            alerts.touch(tx, "acme", NOON)
        return move(database, low)

    assert wish(300) == ["recovered"]
    assert wish(350) == []
    with database.read() as tx:
        assert alerts.due(tx, NOON + HOUR, 10) == set(), "looked at once, not for ever"


def test_a_balance_that_does_not_cover_the_next_renewal_is_low(
    database: Database, clock: FakeClock
) -> None:
    one = publisher(database, clock, rules=COVERED, offers=OFFERS)
    assert move(database, one, adjustment(1900)) == []
    with database.write() as tx:
        renewals.put(tx, renewal(amount=1900))
    assert move(database, one, debit(1)) == ["low"]
    assert told(database)[-1]["data"]["threshold"] == 1900
    assert offered(told(database)[-1]) == 1


# Offers


def test_a_shortfall_is_told_with_a_link_that_offers_the_deposit(
    database: Database, low: Publisher
) -> None:
    add(database, short(1500), short(0))
    low.publish()
    first, second = told(database)
    assert offered(first) == 1500
    assert second["data"]["deposit_url"] is None


def test_without_a_page_there_is_no_link(database: Database, clock: FakeClock) -> None:
    add(database, short(1500))
    publisher(database, clock, rules=LOW).publish()
    [event] = told(database)
    assert event["data"]["deposit_url"] is None
