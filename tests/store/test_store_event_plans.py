"""Telling looks things up as the hot path does: none of its statements reads a table that grows."""

import pytest

from bridge.domain.alert import Latch
from bridge.domain.clock import DAY, HOUR
from bridge.domain.event import EventId, EventType, Happened
from bridge.domain.wallet import WalletId
from bridge.store import alerts, attempts, bulk, deliveries, events, lanes, outbox
from bridge.store.alerts import LOW, Notice
from bridge.store.attempts import Attempt, DeadLetter
from bridge.store.database import Database
from bridge.store.events import Wanted
from bridge.store.lanes import Lane
from bridge.store.outbox import Span, Told
from tests.store.drafting import NOON, adjustment, posted
from tests.store.test_store_plans import SCAN, Work, analyze, plans_with

ACME = WalletId("t5", "EUR")
HAPPENED = Happened(EventType.ORDER_HELD, "t5", NOON, {})
LETTER = DeadLetter("t5", "core", 6, NOON, "HTTP 500")
TOLD = [Told(NOON, [Span("t5", "EUR", "wallet.credited", 1, 1)]), Told(NOON, facts=[HAPPENED])]
LANE = Lane("t5", "core", 0, 6, claimed_until=0)

WORK: dict[str, Work] = {
    "rows dropped": lambda tx: outbox.drop(tx, [1, 2]),
    "the head": events.head,
    "events published": lambda tx: events.publish(tx, TOLD, 5000, NOON),
    "events of a lane": lambda tx: events.after(tx, 3, 20, Wanted("t5", ("order.held",), 900)),
    "events of all": lambda tx: events.after(tx, 3, 20),
    "bodies": lambda tx: events.bodies(tx, events.after(tx, 3, 20)),
    "an event": lambda tx: events.get(tx, EventId(5, NOON)),
    "where to go on": lambda tx: events.behind(tx, EventId(5, NOON)),
    "events since": lambda tx: events.since(tx, NOON),
    "lanes extended": lambda tx: lanes.extend(tx, "core", ["order.held"], range(1, 10), NOON),
    "lanes due": lambda tx: lanes.due(tx, "core", NOON),
    "lanes claimed": lambda tx: lanes.claim(tx, "core", NOON, NOON + 1, 8),
    "lanes behind": lanes.standings,
    "a lane advanced": lambda tx: lanes.advance(tx, LANE, 6, NOON),
    "a lane that rests": lambda tx: lanes.rest(tx, LANE, 3, NOON, NOON + HOUR),
    "attempts added": lambda tx: attempts.add(tx, [Attempt(*LETTER[:1], 6, "core", 1, "", 1, "")]),
    "attempts of an event": lambda tx: attempts.of_event(tx, "t5", 6, 10),
    "the last failure": lambda tx: deliveries.last_failure(tx, "core"),
    "a letter buried": lambda tx: attempts.bury(tx, LETTER),
    "letters due": lambda tx: attempts.due(tx, "core", NOON),
    "letters claimed": lambda tx: attempts.claim_dead(tx, "core", NOON, NOON + 1, 8),
    "a letter risen": lambda tx: attempts.risen(tx, LETTER),
    "wallets of note": lambda tx: alerts.notable(tx, [(*ACME, 500)]),
    "latches": lambda tx: alerts.latches(tx, [ACME]),
    "latches saved": lambda tx: alerts.save(tx, {(ACME, LOW): Latch()}, DAY),
    "wallets to look at": lambda tx: alerts.due(tx, NOON, 10),
    "wallets looked at": lambda tx: alerts.looked_at(tx, [ACME]),
    "a tenant touched": lambda tx: alerts.touch(tx, "t5", NOON),
    "wallets": lambda tx: alerts.wallets(tx, [ACME]),
    "notices": lambda tx: alerts.notices(tx, ["t5"]),
    "a notice": lambda tx: alerts.put_notice(tx, Notice("t5"), NOON),
}


@pytest.fixture
def filled(database: Database) -> Database:
    """Enough rows that an index pays, and figures for PostgreSQL's planner."""
    many = range(1, 1001)
    posted(database, *(adjustment(10, tenant_id=f"t{n}") for n in many))
    with database.write() as tx:
        facts = [HAPPENED._replace(tenant_id=f"t{n}") for n in many]
        spans = [Span(f"t{n}", "EUR", "wallet.credited", 1, 1) for n in many]
        events.publish(tx, [Told(NOON, facts=facts), Told(NOON, spans)], 0, NOON)
        lanes.extend(tx, "core", ["order.held"], range(1, 1001), NOON)
        bulk.insert(tx, lanes.LANES, [Lane(f"t{n}", "told all", n, n) for n in range(9000)])
        attempts.add(tx, [Attempt(f"t{n}", n, "core", NOON, "refused", 1, "") for n in many])
        for n in many:
            outbox.add(tx, [HAPPENED])
            attempts.bury(tx, LETTER._replace(seq=n))
            alerts.put_notice(tx, Notice(f"t{n}"), NOON)
        below = Latch(NOON, NOON)
        alerts.save(tx, {(WalletId(f"t{n}", "EUR"), LOW): below for n in many}, DAY)
    analyze(database)
    return database


def test_no_statement_of_telling_reads_a_whole_table(filled: Database) -> None:
    assert plans_with(SCAN, filled, WORK) == []
