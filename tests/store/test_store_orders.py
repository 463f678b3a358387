"""Orders as last seen, on both databases."""

from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from bridge.domain.drift import Slot
from bridge.domain.wallet import WalletId
from bridge.store import orders
from bridge.store.database import Database
from bridge.store.orders import OvertakenError, Seen, Sighting
from tests.store.drafting import NOON, effect, posted

ACME = WalletId("acme", "EUR")


def seen(order_id: int, storefront: str = "main", **fields: Any) -> Seen:
    return Seen(storefront, order_id, fingerprint="key@then", digest=b"d")._replace(**fields)


def save(database: Database, *rows: Seen) -> None:
    with database.write() as tx:
        orders.add(tx, rows)


def sighting(order_id: int, number: int) -> Sighting:
    return Sighting("main", order_id, number, NOON, "poll", "completed", "5.00", "credited", "paid")


def test_locked_orders_can_be_written_over(database: Database) -> None:
    save(database, seen(1, status="completed"), seen(3))
    later = seen(1, status="refunded", backward_since=7)
    with database.write() as tx:
        assert orders.lock(tx, "main", [3, 1, 1]) == {1: seen(1, status="completed"), 3: seen(3)}
        assert orders.lock(tx, "main", []) == {}
        orders.save(tx, [later], [])
        assert orders.known(tx, "main", [3, 1]) == {1: later, 3: seen(3)}


def test_an_order_that_is_there_already_is_not_added_and_stays_as_it_is(
    database: Database,
) -> None:
    save(database, seen(2, status="completed"))
    with pytest.raises(OvertakenError), database.write() as tx:
        orders.add(tx, [seen(2, status="pending"), seen(1)])
    with database.read() as tx:
        assert orders.known(tx, "main", [1, 2]) == {2: seen(2, status="completed")}


def test_looking_and_locking_make_no_orders(database: Database) -> None:
    save(database, seen(1))
    with database.read() as tx:
        assert orders.known(tx, "main", [1, 2]) == {1: seen(1)}
        assert orders.known(tx, "other", [1]) == {}
    with database.write() as tx:
        assert orders.lock(tx, "main", [1, 2]) == {1: seen(1)}


def test_the_same_id_at_two_storefronts_is_two_orders(database: Database) -> None:
    save(database, seen(1, status="completed"), seen(1, "other", status="pending"))
    with database.read() as tx:
        assert orders.known(tx, "main", [1])[1].status == "completed"
        assert orders.known(tx, "other", [1])[1].status == "pending"


def test_every_field_is_kept(database: Database) -> None:
    full = Seen(
        "main", 2**60, "f", 3, b"\x00\xff", "{}", "held", "why", "Grüße", "t", "s", 1, 2, 3, 4, 5
    )
    save(database, full)
    with database.read() as tx:
        assert orders.known(tx, "main", [2**60]) == {2**60: full}


def test_sightings_are_kept_in_order_and_never_written_over(database: Database) -> None:
    with database.write() as tx:
        orders.save(tx, [], [sighting(1, 1), sighting(1, 2), sighting(2, 1)])
        orders.save(tx, [], [sighting(1, 3)])
        assert orders.sightings(tx, "main", 1) == [sighting(1, n) for n in (1, 2, 3)]
    with pytest.raises(IntegrityError), database.write() as tx:
        orders.save(tx, [], [sighting(1, 3)])


def test_what_was_posted_is_told_by_slot_and_generation(database: Database) -> None:
    later = orders.effect_name("deposit", 2)
    posted(
        database,
        effect(500),
        effect(-100, effect="refund/3"),
        effect(70, effect=later),
        effect(9, tenant_id="other", currency="USD"),
        effect(8, order_id=10),
        effect(7, storefront="other"),
    )
    with database.read() as tx:
        assert orders.posted(tx, "main", [1, 2]) == {
            1: {
                (Slot(ACME, "deposit"), 1): 500,
                (Slot(ACME, "refund/3"), 1): -100,
                (Slot(ACME, "deposit"), 2): 70,
                (Slot(WalletId("other", "USD"), "deposit"), 1): 9,
            }
        }


def test_the_credited_orders_of_a_window_are_those_with_something_posted(
    database: Database,
) -> None:
    save(
        database,
        *(seen(n, created_at=n * 10) for n in range(1, 6)),
        seen(2, "other", created_at=20),
    )
    posted(database, *(effect(5, order_id=n) for n in (1, 2, 4, 5)))
    posted(database, effect(0, order_id=4))
    with database.read() as tx:
        assert orders.credited(tx, "main", 20, 50) == [2, 5]
        assert orders.credited(tx, "main", 51, 99) == []
        assert orders.credited(tx, "other", 0, 99) == []


def test_held_orders_are_listed_by_what_they_have_in_common(database: Database) -> None:
    save(
        database,
        seen(1, verdict="held", reason="tag_missing", changed_at=1),
        seen(2, verdict="held", reason="tenant_unknown", tenant_id="acme", changed_at=2),
        seen(3, verdict="held", reason="tenant_unknown", tenant_id="other", changed_at=3),
        seen(4, verdict="credited", tenant_id="acme"),
        seen(5, "other", verdict="held", reason="tag_missing", changed_at=9),
    )

    def held(**where: str) -> list[int]:
        with database.read() as tx:
            return [row.order_id for row in orders.held(tx, **where)]

    assert held() == [5, 3, 2, 1]
    assert held(storefront="main") == [3, 2, 1]
    assert held(reason="tenant_unknown", tenant_id="acme") == [2]


def test_verdicts_are_counted_for_each_storefront(database: Database) -> None:
    save(database, seen(1), seen(2, verdict="held"), seen(3, verdict="held"), seen(1, "other"))
    with database.read() as tx:
        assert orders.verdicts(tx, "main") == {"nothing": 1, "held": 2}
        assert orders.verdicts(tx, "third") == {}


def test_known_tenants_are_told_from_strangers(database: Database) -> None:
    posted(database, effect(5), effect(5, tenant_id="Acme"))
    with database.read() as tx:
        assert orders.tenants_known(tx, ["acme", "ACME", "acme ", "nobody"]) == {"acme"}
        assert orders.tenants_known(tx, []) == set()
