"""Why an order is, or is not, in a balance."""

from typing import Any

import pytest

from bridge.domain.crediting import AmountLine, Rules
from bridge.domain.errors import NotFoundError
from bridge.domain.order import Order, Refund
from bridge.store import orders, snapshot
from bridge.store.database import Database
from bridge.store.explain import Explanation, SlotState, explain
from bridge.store.orders import Seen, Sighting
from tests.depositing import KEYS, deposit, sealed
from tests.examples import line, order
from tests.store.drafting import NOON, effect, posted

ORDER = order(id=7, total="100.00")
POLLED = Sighting("main", 7, 1, NOON, "poll", "completed", "100.00", "credited", "completed")


def see(database: Database, order: Order | None, **fields: Any) -> None:
    row = Seen("main", 7, digest=b"d", fetched_at=NOON, sightings=1)
    if order:
        row = row._replace(snapshot=snapshot.take(order).decode(), status=order.status)
    with database.write() as tx:
        orders.add(tx, [row._replace(**fields)])
        orders.save(tx, [], [POLLED])


def explained(database: Database, rules: Rules = Rules()) -> Explanation:  # noqa: B008 - a value
    with database.read() as tx:
        return explain(tx, "main", 7, rules)


def test_a_credited_order_shows_its_rule_its_amount_and_its_entries(database: Database) -> None:
    see(database, ORDER, verdict="credited", because="completed credits", tenant_id="acme")
    made = posted(database, effect(10_000, order_id=7))
    posted(database, effect(5, order_id=70), effect(6, order_id=8))
    told = explained(database)
    assert (told.status, told.verdict, told.because) == (
        "completed",
        "credited",
        "completed credits",
    )
    assert (told.tenant_id, told.currency, told.seen_at) == ("acme", "EUR", NOON)
    assert sum(line.amount for line in told.lines) == 10_000
    assert all(isinstance(line, AmountLine) for line in told.lines)
    assert told.effects == [SlotState("acme", "EUR", "deposit", 10_000, 10_000)]
    assert (told.sightings, told.entries) == ([POLLED], made)


def test_drift_shows_as_target_beside_posted(database: Database) -> None:
    refunded = ORDER._replace(refunds=(Refund(3, "-20.00", None),))
    see(database, refunded, verdict="credited", tenant_id="acme")
    posted(database, effect(9_000, order_id=7), effect(100, order_id=7, tenant_id="wrong"))
    assert explained(database).effects == [
        SlotState("acme", "EUR", "deposit", 10_000, 9_000),
        SlotState("acme", "EUR", "refund/3", -2_000, 0),
        SlotState("wrong", "EUR", "deposit", 0, 100),
    ]


def test_a_held_order_keeps_what_it_has_and_says_why(database: Database) -> None:
    because = "two tags"
    two = ORDER._replace(tags=("acme", "other"))
    see(database, two, verdict="held", reason="tag_conflict", because=because)
    [entry] = posted(database, effect(10_000, order_id=7))
    told = explained(database)
    assert (told.verdict, told.reason, told.because) == ("held", "tag_conflict", because)
    assert told.effects == [SlotState("acme", "EUR", "deposit", 10_000, 10_000)]
    assert (told.lines, told.entries) == ((), [entry])


def test_the_bonus_of_a_deposit_is_an_effect_and_a_line_of_its_own(database: Database) -> None:
    made = deposit(amount=10_000, bonus=500)
    fee = line(kind="fee", name=f"Deposit {made.deposit_id}", total="100.00")
    started = ORDER._replace(lines=(fee,), seals=(sealed(made),))
    see(database, started, verdict="credited", tenant_id="acme")
    posted(database, effect(10_000, order_id=7), effect(500, order_id=7, effect="promotion/bonus"))
    told = explained(database, Rules(deposit_keys=KEYS))
    assert told.effects == [
        SlotState("acme", "EUR", "deposit", 10_000, 10_000),
        SlotState("acme", "EUR", "promotion/bonus", 500, 500),
    ]
    assert told.lines == (AmountLine(fee.name, 10_000), AmountLine("bonus", 500))
    assert [entry.kind for entry in told.entries] == ["deposit", "bonus"]


def test_an_order_that_could_not_be_read_is_explained_too(database: Database) -> None:
    see(database, None, verdict="held", reason="unreadable", because="no total")
    told = explained(database)
    assert (told.reason, told.currency, told.lines, told.effects) == ("unreadable", "", (), [])


def test_what_a_former_order_of_this_id_posted_is_not_this_ones(database: Database) -> None:
    see(database, ORDER, verdict="credited", tenant_id="acme", generation=2)
    posted(database, effect(55, order_id=7), effect(10_000, order_id=7, effect="deposit@2"))
    assert explained(database).effects == [SlotState("acme", "EUR", "deposit", 10_000, 10_000)]


def test_an_order_nobody_saw_is_not_found_and_the_message_says_how_to_fetch_it(
    database: Database,
) -> None:
    with (
        database.read() as tx,
        pytest.raises(NotFoundError, match="reconcile --storefront main --order 7"),
    ):
        explain(tx, "main", 7, Rules())
