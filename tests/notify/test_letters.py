"""What letters say: whole, in English and German, and the same in plain text and in HTML."""

from datetime import UTC
from html.parser import HTMLParser
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bridge.domain.clock import HOUR, parse
from bridge.domain.event import EventType, Happened
from bridge.notify.letters import (
    OPERATOR_TYPES,
    TENANT_TYPES,
    Letter,
    OperatorLetters,
    TenantLetters,
)
from bridge.store import alerts, outbox
from bridge.store.alerts import Notice
from bridge.store.database import Database
from tests.conftest import FakeClock
from tests.telling import publisher

LINK = "https://billing.example.com/billing/offer?link=abc.def"

RENEWAL = {
    "reference": "sub-1",
    "period": "2026-11-30",
    "amount": 1900,
    "currency": "EUR",
    "due_at": "2026-11-30T23:30:00.000000Z",
    "auto_renew": True,
    "metadata": {},
    "available": 500,
    "shortfall": 1400,
    "deposit_url": LINK,
}
FAILED = RENEWAL | {
    "reason": "insufficient_balance",
    "failures": 1,
    "retry_at": "2026-12-01T23:30:00.000000Z",
    "lapses_at": "2026-12-07T23:30:00.000000Z",
}
LOW = {"currency": "EUR", "available": 500, "threshold": 1900, "deposit_url": LINK}
CREDITED = {
    "id": "dep1",
    "amount": 10_000,
    "bonus": 500,
    "currency": "EUR",
    "order_id": 63,
    "credited_at": "2026-11-22T12:00:00.000000Z",
}


class Words(HTMLParser):
    """The words of a page without its markup, and where its links lead."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.links: list[str | None] = []
        self.tags: list[str] = []
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.words += data.split()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name == "href"]


@pytest.fixture
def letters(database: Database, clock: FakeClock) -> TenantLetters:
    with database.write() as tx:
        for language in ("en", "de"):
            notice = Notice(language, f"boss@{language}.example", language)
            alerts.put_notice(tx, notice, clock())
    return TenantLetters(database, "Example & Sons", "en", ZoneInfo("Europe/Berlin"))


def body(kind: EventType, data: dict[str, Any], tenant_id: str | None = "en") -> dict[str, Any]:
    moment = "2026-11-22T23:30:00.000000Z"
    return {
        "id": "evt_1_1",
        "type": kind.value,
        "timestamp": moment,
        "tenant_id": tenant_id,
        "data": data,
    }


@pytest.mark.parametrize(
    ("kind", "data", "language", "subject", "paragraphs"),
    [
        (
            EventType.RENEWAL_UPCOMING,
            RENEWAL,
            "en",
            "Your balance does not cover the renewal on December 1, 2026",
            [
                "On December 1, 2026, €19.00 is due for the renewal sub-1.",
                "For it, your balance is €14.00 short.",
                "The link only offers a deposit. You decide there.",
            ],
        ),
        (
            EventType.RENEWAL_PAYMENT_FAILED,
            FAILED,
            "de",
            "Ihre Verlängerung konnte nicht bezahlt werden",
            [
                (
                    "Am 1. Dezember 2026 waren 19,00\xa0€ für die Verlängerung sub-1 fällig und "
                    "sind noch nicht bezahlt."
                ),
                "Dafür fehlen in Ihrem Guthaben 14,00\xa0€.",
                "Bezahlt wird sie, sobald eine Einzahlung sie deckt.",
                "Ist sie bis zum 8. Dezember 2026 nicht bezahlt, so verfällt sie.",
                "Der Link bietet nur eine Einzahlung an. Sie entscheiden dort.",
            ],
        ),
        (
            EventType.RENEWAL_PAYMENT_FAILED,
            FAILED
            | {
                "reason": "exceeds_max_amount",
                "shortfall": 0,
                "lapses_at": None,
                "deposit_url": None,
            },
            "en",
            "Your renewal could not be paid",
            [
                "On December 1, 2026, €19.00 was due for the renewal sub-1, and is not paid yet.",
                "It is more than may be paid without asking you.",
            ],
        ),
        (
            EventType.DEPOSIT_CREDITED,
            CREDITED,
            "de",
            "Quittung über Ihre Einzahlung: 100,00\xa0€",
            [
                "Vielen Dank. Ihre Einzahlung ist in Ihrem Guthaben angekommen.",
                (
                    "Einzahlung: 100,00\xa0€\nBonus: 5,00\xa0€\nDatum: 22. November 2026\n"
                    "Bestellung 63"
                ),
            ],
        ),
        (
            EventType.DEPOSIT_CREDITED,
            CREDITED | {"bonus": 0, "order_id": None},
            "en",
            "Receipt of your deposit: €100.00",
            [
                "Thank you. Your deposit has arrived in your balance.",
                "Deposit: €100.00\nDate: November 22, 2026",
            ],
        ),
    ],
)
def test_a_tenant_is_told_what_happened_and_what_to_do(
    letters: TenantLetters,
    kind: EventType,
    data: dict[str, Any],
    language: str,
    subject: str,
    paragraphs: list[str],
) -> None:
    letter = letters.write([body(kind, data, language)])
    assert letter is not None
    assert letter.to == (f"boss@{language}.example",)
    assert (letter.language, letter.subject, list(letter.paragraphs)) == (
        language,
        subject,
        paragraphs,
    )
    assert (letter.link is not None) == bool(data.get("deposit_url"))
    said = Words(letter.html())
    assert said.links == [LINK] * (letter.link is not None)
    plain = letter.plain().replace(LINK, "").replace("\n-- \n", "\n")
    told = " ".join(said.words)
    assert all(" ".join(line.split()).rstrip(":") in told for line in plain.splitlines())


def test_a_renewal_that_will_be_paid_is_no_reason_for_a_letter(letters: TenantLetters) -> None:
    covered = RENEWAL | {"available": 1900, "shortfall": 0, "deposit_url": None}
    assert letters.write([body(EventType.RENEWAL_UPCOMING, covered)]) is None


@pytest.mark.parametrize(
    ("hours_before", "changes", "is_written"),
    [
        (0, {}, False),
        (23, {}, False),
        (-23, {}, False),
        (25, {}, True),
        (-25, {}, True),
        (0, {"shortfall": 0}, True),
        (0, {"currency": "USD"}, True),
    ],
)
@pytest.mark.parametrize("kind", [EventType.RENEWAL_UPCOMING, EventType.RENEWAL_PAYMENT_FAILED])
def test_a_low_balance_is_no_news_beside_the_renewal_that_it_does_not_cover(
    letters: TenantLetters,
    kind: EventType,
    hours_before: int,
    changes: dict[str, Any],
    is_written: bool,  # a value of the table above
) -> None:
    low = body(EventType.BALANCE_LOW, LOW)
    moment = parse(low["timestamp"]) - hours_before * HOUR
    with letters.database.write() as tx:
        outbox.add(tx, [Happened(kind, "en", moment, FAILED | changes)])
    publisher(letters.database, lambda: moment).publish()
    assert (letters.write([low]) is not None) == is_written
    assert letters.write([body(EventType.BALANCE_LOW, LOW, "de")]) is not None


@pytest.mark.parametrize("tenant_id", ["de", "en"])
@pytest.mark.parametrize("kind", sorted(TENANT_TYPES))
def test_every_type_for_tenants_has_a_letter(
    letters: TenantLetters, kind: EventType, tenant_id: str
) -> None:
    data = FAILED | CREDITED | {"threshold": 1900, "currency": "JPY"}
    letter = letters.write([body(kind, data, tenant_id)])
    assert letter is not None
    assert "%(" not in letter.plain()
    assert letter.plain().isascii() == (tenant_id == "en" and "¥" not in letter.plain())


def test_html_says_nothing_that_was_not_said(letters: TenantLetters) -> None:
    letter = Letter(
        ("a@b.example",),
        "en",
        "<script>",
        ["<b>one</b>\ntwo", "&amp;"],
        ("<i>", 'https://x.example/"onclick="'),
        "Sons & Co",
    )
    said = Words(letter.html())
    assert {"script", "b", "i"}.isdisjoint(said.tags)
    assert said.links == ['https://x.example/"onclick="']
    assert said.tags.count("br") == 1
    assert "<script>" in said.words


def test_pages_can_be_read_aloud_and_load_nothing() -> None:
    page = Words(Letter(("a@b.example",), "en", "Subject", ["Text"]).html())
    assert {"main", "h1", "title"} <= set(page.tags)
    assert {"img", "link", "script", "style", "table"}.isdisjoint(page.tags)


STALE = {
    "storefront": "main",
    "stale_since": "2026-11-22T12:00:00.000000Z",
    "succeeded_at": None,
    "because": None,
}
DRIFT = {
    "run_id": "run-1",
    "storefront": "main",
    "kind": "sweep",
    "findings": 2,
    "amounts": {"EUR": -1050, "JPY": 300},
    "dry_run": True,
}
HELD = {
    "storefront": "main",
    "order_id": 63,
    "status": "completed",
    "reason": "tag_missing",
    "because": "the order has no tag",
}


def test_operators_are_told_where_to_look_further() -> None:
    bodies = [
        body(EventType.STOREFRONT_STALE, STALE, None),
        body(EventType.RECONCILIATION_DRIFT_FOUND, DRIFT, None),
        body(EventType.ORDER_HELD, HELD, None),
    ]
    letter = OperatorLetters(("ops@example.com",), "Example").write(bodies)
    assert letter.to == ("ops@example.com",)
    assert letter.subject == "bridge: storefront stale: 1, drift found: 1, order held: 1"
    stale, drift, held = letter.paragraphs
    assert "last read: never" in stale
    assert "Drift on 2 wallets of main: -10.50 EUR, 300 JPY (not posted: a dry run)" in drift
    assert "Order 63 of main is held: tag_missing\nthe order has no tag" in held
    assert "bridge explain main 63" in held
    assert {each["type"] for each in bodies} == OPERATOR_TYPES


def test_dates_are_those_of_the_zone(database: Database, clock: FakeClock) -> None:
    with database.write() as tx:
        alerts.put_notice(tx, Notice("en", "a@b.example", "en"), clock())
    letters = TenantLetters(database, "", "en", UTC)
    letter = letters.write([body(EventType.RENEWAL_UPCOMING, RENEWAL)])
    assert letter is not None
    assert "November 30, 2026" in letter.subject
