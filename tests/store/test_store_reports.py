"""Answers read from the store: complete, without gaps and without repetition."""

import pytest

from bridge.domain.clock import MINUTE
from bridge.domain.entry import Entry, EntryId, Kind
from bridge.domain.errors import NotFoundError
from bridge.domain.wallet import Wallet
from bridge.store import inbox, orders, reports
from bridge.store.database import Database
from bridge.store.orders import Seen
from tests.store.drafting import (
    NOON,
    adjustment,
    debit,
    effect,
    follow,
    hold,
    post,
    posted,
)


def place(entry: Entry) -> EntryId:
    return EntryId(entry.tenant_id, entry.currency, entry.version)


def pages(database: Database, limit: int, currency: str | None = None) -> list[list[Entry]]:
    """Turn the pages of acme's entries until one is not full."""
    read: list[list[Entry]] = []
    before = None
    while not read or len(read[-1]) == limit:
        with database.read() as tx:
            page = reports.entries(tx, "acme", currency=currency, before=before, limit=limit)
        read.append(page)
        before = place(page[-1]) if page else None
    return read


class TestTenants:
    def test_a_tenant_is_created_once_and_renamed_later(self, database: Database) -> None:
        with database.write() as tx:
            first, created = reports.put_tenant(tx, "acme", "Acme", '{"plan":"pro"}', 10)
            again, anew = reports.put_tenant(tx, "acme", "Acme Ltd", "{}", 20)
        assert (created, anew) == (True, False)
        assert first == reports.Tenant("acme", "Acme", '{"plan":"pro"}', 10)
        assert again == reports.Tenant("acme", "Acme Ltd", "{}", 10)

    def test_orders_that_waited_for_the_tenant_are_looked_at_again(
        self, database: Database
    ) -> None:
        waited = [
            Seen("main", n, verdict="held", reason="tenant_unknown", tenant_id=tenant_id)
            for n, tenant_id in enumerate(("acme", "other", "acme"), 1)
        ]
        with database.write() as tx:
            orders.add(tx, waited)
            reports.put_tenant(tx, "acme", "", "{}", NOON)
            hints = inbox.claim(tx, "main", NOON, 10)
        assert sorted(hint.order_id for hint in hints) == [1, 3]
        assert {hint.way for hint in hints} == {"tenant"}

    def test_a_stranger_is_not_found_and_the_message_says_how_to_make_one(
        self, database: Database
    ) -> None:
        with database.read() as tx:
            with pytest.raises(NotFoundError, match="PUT /v1/tenants"):
                reports.tenant(tx, "nobody")
            with pytest.raises(NotFoundError, match="'nobody'"):
                reports.wallet(tx, "nobody", "EUR")

    def test_tenants_are_paged_in_byte_order(self, database: Database) -> None:
        names = ["B", "Z", "a", "a-b", "a.b", "aa", "ab", "b"]
        posted(database, *(effect(1, tenant_id=name) for name in reversed(names)))
        read: list[str] = []
        with database.read() as tx:
            while page := reports.tenants(tx, read[-1] if read else "", 3):
                read += [tenant.tenant_id for tenant in page]
        assert read == names


class TestBalances:
    def test_wallets_come_in_currency_order(self, database: Database) -> None:
        posted(database, adjustment(5, currency="USD"), adjustment(7), hold(2))
        with database.read() as tx:
            wallets = reports.wallets(tx, "acme")
            assert reports.wallets(tx, "nobody") == []
        assert [(w.currency, w.balance, w.held, w.available, w.version) for w in wallets] == [
            ("EUR", 7, 2, 5, 2),
            ("USD", 5, 0, 5, 1),
        ]

    def test_a_known_tenant_has_nothing_in_other_currencies(self, database: Database) -> None:
        posted(database, adjustment(5))
        with database.read() as tx:
            assert reports.wallet(tx, "acme", "JPY") == Wallet("acme", "JPY")


class TestEntries:
    @pytest.mark.parametrize("limit", [1, 2, 3, 4, 7, 100])
    def test_pages_have_no_gap_and_no_repetition_across_currencies(
        self, database: Database, limit: int
    ) -> None:
        currencies = ["USD", "EUR", "JPY", "EUR", "USD", "EUR", "USD", "KWD"]
        made = posted(database, *(adjustment(n, currency=c) for n, c in enumerate(currencies, 1)))
        posted(database, adjustment(1, tenant_id="other"))
        read = [entry for page in pages(database, limit) for entry in page]
        assert read == sorted(made, key=lambda e: (e.currency, e.version), reverse=True)
        euros = [entry for page in pages(database, limit, "EUR") for entry in page]
        assert euros == [entry for entry in read if entry.currency == "EUR"]

    def test_entries_posted_while_the_pages_are_turned_disturb_nothing(
        self, database: Database
    ) -> None:
        made = posted(database, *(adjustment(n) for n in range(1, 7)))
        with database.read() as tx:
            first = reports.entries(tx, "acme", limit=3)
        posted(database, adjustment(99))
        with database.read() as tx:
            second = reports.entries(tx, "acme", before=place(first[-1]), limit=3)
        assert first + second == made[::-1]

    def test_a_statement_has_the_wallets_entries_oldest_first(self, database: Database) -> None:
        made = posted(database, adjustment(5), adjustment(6), debit(7))
        posted(database, adjustment(8, currency="USD"), adjustment(9, tenant_id="other"))
        with database.read() as tx:
            assert list(reports.statement(tx, "acme", "EUR")) == made

    def test_an_entry_that_is_not_there_is_not_found(self, database: Database) -> None:
        posted(database, adjustment(5))
        with database.read() as tx, pytest.raises(NotFoundError, match=r"acme\.EUR\.2"):
            reports.entry(tx, EntryId("acme", "EUR", 2))


class TestHolds:
    @pytest.mark.parametrize(
        ("kind", "status", "captured", "after_s"),
        [
            (Kind.CAPTURE, "captured", 60, 0),
            (Kind.VOID, "voided", 0, 0),
            (Kind.EXPIRE, "expired", 0, 60),
        ],
    )
    def test_a_hold_tells_how_it_ended(
        self, database: Database, kind: Kind, status: str, captured: int, after_s: int
    ) -> None:
        _, placed = posted(database, adjustment(100), hold(60))
        with database.read() as tx:
            assert reports.hold(tx, place(placed)) == reports.Hold(placed, "open", 0, None)
        [end] = posted(database, follow(kind, placed), now=NOON + after_s * 1_000_000)
        with database.read() as tx:
            ended = reports.hold(tx, place(placed))
        assert ended == (placed, status, captured, end)

    def test_other_entries_and_the_holds_of_disputes_are_no_holds_of_the_api(
        self, database: Database
    ) -> None:
        made = posted(database, effect(100), effect(100, effect="hold/dispute"))
        with database.read() as tx:
            for entry in made:
                with pytest.raises(NotFoundError, match=entry.id.replace(".", r"\.")):
                    reports.hold(tx, place(entry))

    def test_expired_holds_are_listed_the_oldest_first(self, database: Database) -> None:
        posted(database, adjustment(100), adjustment(100, tenant_id="other"))
        late, soon, ended, other = posted(
            database,
            hold(1, expires_at=NOON + 2 * MINUTE),
            hold(1, expires_at=NOON + MINUTE),
            hold(1, expires_at=NOON + MINUTE),
            hold(1, expires_at=NOON + 3 * MINUTE, tenant_id="other"),
        )
        post(database, follow(Kind.VOID, ended))
        with database.read() as tx:
            assert reports.expired_holds(tx, NOON + MINUTE - 1, 9) == []
            assert reports.expired_holds(tx, NOON + MINUTE, 9) == [place(soon)]
            assert reports.expired_holds(tx, NOON + 9 * MINUTE, 2) == [place(soon), place(late)]
            assert reports.expired_holds(tx, NOON + 9 * MINUTE, 9)[-1] == place(other)


class TestEntriesOfAnOrder:
    def test_only_those_of_this_order_at_this_storefront(self, database: Database) -> None:
        posted(database, *(effect(n, order_id=n) for n in (2, 10, 11, 100, 1000)))
        posted(database, effect(5, storefront="other"))
        posted(database, adjustment(5, key="1/deposit#EUR.1"))
        mine = [
            *posted(database, effect(500)),
            *posted(database, effect(-100, effect="refund/10"), now=NOON + 1),
            *posted(database, effect(70, effect="deposit@2"), now=NOON + 2),
            *posted(database, effect(9, tenant_id="b", currency="USD"), now=NOON + 3),
        ]
        with database.read() as tx:
            assert reports.order_entries(tx, "main", 1, ["acme", "b"]) == mine
            assert reports.order_entries(tx, "main", 1, ["b"]) == mine[-1:]
            assert reports.order_entries(tx, "main", 1, []) == []
            assert len(reports.order_entries(tx, "main", 10, ["acme"])) == 1
            assert reports.order_entries(tx, "main", 3, ["acme"]) == []
