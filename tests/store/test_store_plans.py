"""The hot path looks things up: no statement of it reads a whole table that grows."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from sqlalchemy import event, text

from bridge.domain.entry import EntryId, Kind
from bridge.domain.renewal import failed
from bridge.domain.wallet import WalletId
from bridge.store import (
    deposits,
    inbox,
    keys,
    ledger,
    orders,
    payment_requests,
    renewal_payments,
    renewals,
    reports,
    runs,
)
from bridge.store.database import Connection, Database
from bridge.store.inbox import Hint
from bridge.store.orders import HeldPlace, Seen
from bridge.store.renewal_payments import ByHand
from tests.depositing import deposit, payment_request
from tests.renewing import renewal
from tests.store.drafting import NOON, adjustment, debit, draft, effect, follow, hold, post, posted

BY_HAND = ByHand("t998", "core", "k", "sub-998")
Work = Callable[[Connection], object]

WORK: dict[str, Work] = {
    "debits": lambda tx: ledger.post(tx, [debit(1), debit(1, tenant_id="t5")], NOON),
    "effects": lambda tx: ledger.post(tx, [effect(3), effect(4, tenant_id="new")], NOON),
    "ends of holds and refunds": lambda tx: ledger.post(
        tx, [draft(kind, None, related_version=2) for kind in (Kind.VOID, Kind.DEBIT_REFUND)], NOON
    ),
    "adjustments": lambda tx: ledger.post(tx, [adjustment(1, tenant_id="newer")], NOON),
    "orders added": lambda tx: orders.add(tx, [Seen("main", 5000)]),
    "orders locked": lambda tx: orders.lock(tx, "main", [1, 5000]),
    "orders saved": lambda tx: orders.save(tx, list(orders.known(tx, "main", [1, 2]).values()), []),
    "what orders posted": lambda tx: orders.posted(tx, "main", [1, 2]),
    "credited orders": lambda tx: orders.credited(tx, "main", 0, NOON),
    "sightings": lambda tx: orders.sightings(tx, "main", 1),
    "balance": lambda tx: reports.wallet(tx, "acme", "EUR"),
    "entry": lambda tx: reports.entry(tx, EntryId("acme", "EUR", 1)),
    "entries": lambda tx: reports.entries(tx, "acme", limit=10),
    "more entries": lambda tx: reports.entries(
        tx, "acme", before=EntryId("acme", "EUR", 2), limit=10
    ),
    "entries of an order": lambda tx: reports.order_entries(tx, "main", 1, ["acme", "t5"]),
    "a hold": lambda tx: reports.hold(tx, EntryId("acme", "EUR", 2)),
    "expired holds": lambda tx: reports.expired_holds(tx, NOON, 10),
    "hint put": lambda tx: inbox.put(tx, [Hint("main", 1, NOON, NOON, "webhook")]),
    "hints due": lambda tx: inbox.due(tx, "main", NOON),
    "hints followed": lambda tx: inbox.done(tx, inbox.claim(tx, "main", NOON, 10)),
    "deposits of orders": lambda tx: deposits.concerned(
        tx, "main", [1, 2], [deposit(3).deposit_id], lock=True
    ),
    "deposits saved": lambda tx: deposits.save(tx, [deposit(1)]),
    "deposits of a tenant": lambda tx: deposits.of_tenant(tx, "t5", limit=10),
    "deposits under way": lambda tx: deposits.outstanding(tx, "t5", "EUR"),
    "deposits expired": lambda tx: deposits.expired(tx, NOON, 10),
    "deposits watched": lambda tx: deposits.claim(tx, "main", deposit().watch_at or 0, 10),
    "a payment request paid": lambda tx: payment_requests.pay(
        tx, payment_request(1).request_id, NOON
    ),
    "payment requests of a tenant": lambda tx: payment_requests.of_tenant(tx, "t5", limit=10),
    "renewals due": lambda tx: renewals.due(tx, NOON),
    "renewals renewed": lambda tx: renewals.renew(tx, NOON, 10),
    "renewals settled": lambda tx: renewals.settle(
        tx, ledger.post(tx, [adjustment(5, tenant_id="t999")], NOON), NOON
    ),
    "a renewal paid": lambda tx: renewal_payments.pay(
        tx, ByHand("t998", "core", "k", "sub-998"), NOON
    ),
    "a renewal by its reference": lambda tx: renewals.find(tx, "sub-1"),
    "renewals of a tenant": lambda tx: renewals.of_tenant(tx, "t5"),
    "what renewals need": lambda tx: renewals.coming(tx, [WalletId("t5", "EUR")]),
    "the renewal that is late": renewals.oldest,
    "renewals put off": lambda tx: renewals.put_off(tx, NOON, NOON + 1),
    "held orders counted": orders.held_by_storefront,
    "key": lambda tx: keys.find(tx, "bridge_x"),
    "findings": lambda tx: runs.findings(tx, "run_0", 0, 10),
}
PAGES: dict[str, Work] = {
    "entries": lambda tx: reports.entries(tx, "busy", limit=10),
    "more entries": lambda tx: reports.entries(
        tx, "busy", before=EntryId("busy", "EUR", 500), limit=10
    ),
    "entries of a wallet": lambda tx: reports.entries(tx, "busy", currency="EUR", limit=10),
    "more entries of a wallet": lambda tx: reports.entries(
        tx, "busy", currency="EUR", before=EntryId("busy", "EUR", 500), limit=10
    ),
    "held orders": lambda tx: orders.held(tx, None, 10),
    "more held orders": lambda tx: orders.held(tx, HeldPlace(500, "main", 500), 10),
}


@pytest.fixture
def filled(database: Database) -> Database:
    """Enough rows that an index pays, and figures for PostgreSQL's planner."""
    many = range(1000)
    posted(database, adjustment(1000), hold(5))
    posted(database, *(adjustment(10, tenant_id=f"t{n}") for n in many))
    posted(database, *(effect(10, tenant_id=f"t{n}", order_id=n) for n in many))
    posted(database, *(adjustment(10, tenant_id="busy") for _ in many))
    with database.write() as tx:
        orders.add(tx, [Seen("main", n) for n in many])
        orders.add(tx, [Seen("held", n, verdict="held", changed_at=n) for n in many])
        for n in many:
            deposits.add(tx, deposit(n, tenant_id=f"t{n}", order_id=n))
            payment_requests.add(tx, payment_request(n, tenant_id=f"t{n}"))
            renewals.put(tx, renewal(f"sub-{n}", amount=1, tenant_id=f"t{n}"))
        short = renewal("short", amount=1, tenant_id="t999")
        renewals.put(tx, failed(short, "insufficient_balance", NOON))
        inbox.put(tx, [Hint("main", n, NOON, NOON, "webhook") for n in many])
    analyze(database)
    return database


def analyze(database: Database) -> None:
    """Let PostgreSQL count what there is now; SQLite plans without counting."""
    if not database.is_sqlite:
        with database.write() as tx:
            tx.execute(text("ANALYZE"))


def test_no_statement_reads_a_whole_table(filled: Database) -> None:
    assert plans_with(SCAN, filled, WORK | PAGES) == []


def test_no_page_of_what_grows_is_sorted_before_it_is_cut(filled: Database) -> None:
    """However many entries a tenant has, a page of them costs what a page has."""
    assert plans_with(SORT, filled, PAGES) == []


SORT = {"sqlite": r"\bUSE TEMP B-TREE\b", "postgresql": r"\bSort\b"}
# What a parameter or a WITH makes is read wholly; it is as long as the batch. So is the index of
# the lanes that are due; it has no others.
SCAN = {
    "sqlite": r"\bSCAN (?!(?:item|asked|touched|told|lanes USING INDEX lanes_due)\b"
    r"|\(subquery|CONSTANT|\d)",
    "postgresql": r"\bSeq Scan on\b",
}


def plans_with(
    pattern: Mapping[str, str], database: Database, works: Mapping[str, Work]
) -> list[tuple[str, str]]:
    """The plans in which a pattern is found, each with the name of the work that takes it."""
    sought = pattern["sqlite" if database.is_sqlite else "postgresql"]
    found: list[tuple[str, str]] = []
    with database.write() as tx:
        for name, work in works.items():
            plans = [plan(tx, *statement) for statement in statements_of(tx, work).items()]
            assert plans, name
            found += [(name, one) for one in plans if re.search(sought, one)]
    return found


def statements_of(tx: Connection, work: Work) -> dict[str, Any]:
    """Do the work and return the statements it took, with the parameters of each."""
    seen: dict[str, Any] = {}

    def note(_tx: object, _cursor: object, statement: str, parameters: Any, *rest: object) -> None:
        is_many = rest[-1]
        if "SAVEPOINT" not in statement:
            seen[statement] = parameters[0] if is_many else parameters

    event.listen(tx, "before_cursor_execute", note)
    work(tx)
    event.remove(tx, "before_cursor_execute", note)
    return seen


def plan(tx: Connection, statement: str, parameters: Any) -> str:
    explain = "EXPLAIN QUERY PLAN " if tx.dialect.name == "sqlite" else "EXPLAIN "
    rows = tx.exec_driver_sql(explain + statement, parameters)
    return "\n".join(str(row[-1]) for row in rows)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_plans_made_while_the_ledger_was_empty_do_not_outlive_it(database: Database) -> None:
    """A plan that was cached for empty tables would read all of them at every batch."""
    with database.write() as tx:
        for table in ("entries", "wallets", "effects", "open_holds"):
            tx.execute(text(f"ALTER TABLE {table} SET (autovacuum_enabled = off)"))
    for _ in range(20):
        post(database, debit(1), effect(0), draft(Kind.VOID, None, related_version=1))
    for part in range(10):
        posted(database, *(adjustment(10, tenant_id=f"{part}-{n}") for n in range(500)))
        posted(database, *(effect(10, tenant_id=f"{part}-{n}", order_id=n) for n in range(500)))
    [taken] = posted(database, debit(1, tenant_id="1-1"))
    before = rows_read_by_scans(database)
    for _ in range(20):
        post(database, debit(1, tenant_id="1-1"), effect(10, tenant_id="1-1", order_id=1))
        post(database, follow(Kind.DEBIT_REFUND, taken))
    after = rows_read_by_scans(database)
    assert {name: after[name] - before[name] for name in after if after[name] > before[name]} == {}


def rows_read_by_scans(database: Database) -> dict[str, int]:
    with database.write() as tx:
        tx.execute(text("SELECT pg_stat_force_next_flush()"))
    with database.write() as tx:
        tx.execute(text("SELECT pg_stat_clear_snapshot()"))
        rows = tx.execute(
            text(
                "SELECT relname, seq_tup_read FROM pg_stat_user_tables"
                " WHERE relname IN ('entries', 'wallets', 'effects', 'open_holds', 'tenants')"
            )
        )
        return {row[0]: row[1] for row in rows}
