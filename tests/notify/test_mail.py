"""Letters by SMTP, from the outbox: to tenants in their language, to operators without storms."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC
from email.message import EmailMessage
from typing import Any

import pytest

from bridge.domain.clock import HOUR, SECOND, Instant
from bridge.domain.event import Event, EventType, Happened
from bridge.notify.letters import (
    OPERATOR_TYPES,
    OPERATORS_GATHER_S,
    TENANT_TYPES,
    OperatorLetters,
    TenantLetters,
)
from bridge.notify.mail import MailEndpoint, Relay
from bridge.notify.sender import Body, Sent
from bridge.store import alerts, attempts
from bridge.store.alerts import Notice
from bridge.store.database import Database
from tests.conftest import FakeClock
from tests.notify.conftest import FakeResolver
from tests.notify.receiver import NAME, TLS
from tests.notify.relay import PASSWORD, Post, relaying
from tests.notify.sending import dead, outcomes, publish, sender, work

TENANTS, OPERATORS = "email:tenants", "email:operators"
LINK = "https://billing.example.com/billing/offer?link=abc.def"


def to_tenants(database: Database, relay: Relay) -> MailEndpoint:
    letters = TenantLetters(database, "Example Billing", "en", UTC)
    return MailEndpoint(TENANTS, TENANT_TYPES, relay, "Büro <billing@example.com>", letters.write)


def to_operators(relay: Relay) -> MailEndpoint:
    letters = OperatorLetters(("ops@example.com", "two@example.com"), "Example Billing")
    return MailEndpoint(
        OPERATORS, OPERATOR_TYPES, relay, "b@example.com", letters.write, OPERATORS_GATHER_S
    )


@pytest.fixture
def post() -> Post:
    return Post()


def notice(database: Database, clock: FakeClock, language: str = "de") -> None:
    with database.write() as tx:
        alerts.put_notice(tx, Notice("acme", "boss@acme.example", language), clock())


def low(clock: FakeClock, tenant_id: str = "acme") -> Happened:
    data = {
        "currency": "EUR",
        "balance": 400,
        "held": 0,
        "available": 400,
        "threshold": 1900,
        "deposit_url": LINK,
    }
    return Happened(EventType.BALANCE_LOW, tenant_id, clock(), data)


def held(clock: FakeClock, number: int, tenant_id: str = "") -> Happened:
    data = {
        "storefront": "main",
        "order_id": number,
        "status": "completed",
        "reason": "tag_missing",
        "because": "the order has no <_tenant_id>",
    }
    return Happened(EventType.ORDER_HELD, tenant_id, clock(), data)


def parts(letter: EmailMessage) -> tuple[str, str]:
    """The plain text and the HTML of a letter."""
    plain, html = letter.iter_parts()
    assert (plain.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    return plain.get_content().replace("\r\n", "\n"), html.get_content()


def test_a_tenant_is_told_in_its_language_with_the_link_to_a_deposit(
    database: Database, clock: FakeClock, post: Post
) -> None:
    notice(database, clock)
    (event,) = publish(database, clock(), low(clock), to=(TENANTS,))
    with relaying(post) as relay:
        work(sender(database, clock, to_tenants(database, relay)))
    (letter,) = post.letters
    plain, html = parts(letter)
    assert letter["From"] == "Büro <billing@example.com>"
    assert letter["To"] == "boss@acme.example"
    assert letter["Subject"] == "Ihr Guthaben ist niedrig: 4,00\xa0€"
    assert letter["Message-ID"] == f"<{event.id}@example.com>"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["Date"].datetime.isoformat() == "2026-11-22T12:00:00+00:00"
    assert f"Jetzt einzahlen:\n{LINK}" in plain
    assert f'<a href="{LINK}"' in html
    assert '<html lang="de">' in html
    assert post.envelopes[0].mail_from == "billing@example.com"
    assert outcomes(database, event) == ["delivered"]


@pytest.mark.parametrize("language", ["", "en", "xx"])
def test_who_said_no_language_that_there_is_gets_the_usual_one(
    database: Database, clock: FakeClock, post: Post, language: str
) -> None:
    notice(database, clock, language)
    publish(database, clock(), low(clock), to=(TENANTS,))
    with relaying(post) as relay:
        work(sender(database, clock, to_tenants(database, relay)))
    assert post.letters[0]["Subject"] == "Your balance is low: €4.00"


def test_a_tenant_without_an_address_gets_no_letter_and_nothing_is_owed(
    database: Database, clock: FakeClock, post: Post
) -> None:
    (event,) = publish(database, clock(), low(clock, "beta"), to=(TENANTS,))
    with relaying(post) as relay:
        work(sender(database, clock, to_tenants(database, relay)))
    assert (post.letters, outcomes(database, event)) == ([], ["delivered"])


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_letters_travel_by_tls(
    database: Database,
    clock: FakeClock,
    post: Post,
    resolver: FakeResolver,
    monkeypatch: pytest.MonkeyPatch,
    tls: Any,
) -> None:
    notice(database, clock)
    resolver.names[NAME] = [["127.0.0.1"]]
    monkeypatch.setenv("SSL_CERT_FILE", str(TLS / "ca.pem"))
    publish(database, clock(), low(clock), to=(TENANTS,))
    with relaying(post, tls, login=tls == "starttls") as relay:
        work(sender(database, clock, to_tenants(database, relay)))
    assert len(post.letters) == 1
    assert PASSWORD not in repr(relay)


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_relay_with_a_certificate_of_nobody_known_gets_no_letter(
    database: Database, clock: FakeClock, post: Post, resolver: FakeResolver, tls: Any
) -> None:
    notice(database, clock)
    resolver.names[NAME] = [["127.0.0.1"]]
    (event,) = publish(database, clock(), low(clock), to=(TENANTS,))
    with relaying(post, tls) as relay:
        work(sender(database, clock, to_tenants(database, relay)))
    assert (post.letters, outcomes(database, event)) == ([], ["tls"])


def test_a_relay_without_starttls_gets_no_letter_in_clear(
    database: Database, clock: FakeClock, post: Post
) -> None:
    notice(database, clock)
    (event,) = publish(database, clock(), low(clock), to=(TENANTS,))
    with relaying(post) as relay:
        secure = relay._replace(tls="starttls")
        work(sender(database, clock, to_tenants(database, secure)))
    assert (post.letters, outcomes(database, event)) == ([], ["refused"])


def test_a_wrong_password_is_tried_again_when_it_may_be_right(
    database: Database,
    clock: FakeClock,
    post: Post,
    resolver: FakeResolver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    notice(database, clock)
    resolver.names[NAME] = [["127.0.0.1"]]
    monkeypatch.setenv("SSL_CERT_FILE", str(TLS / "ca.pem"))
    (event,) = publish(database, clock(), low(clock), to=(TENANTS,))
    with relaying(post, "starttls", login=True) as relay:
        target = to_tenants(database, relay)
        work(sender(database, clock, replace(target, relay=relay._replace(password="no"))))
        clock.advance(10)
        work(sender(database, clock, target))
    assert outcomes(database, event) == ["refused", "delivered"]


def test_a_relay_that_is_away_or_busy_is_tried_again_with_the_same_letter(
    database: Database, clock: FakeClock, post: Post
) -> None:
    notice(database, clock)
    (event,) = publish(database, clock(), low(clock), to=(TENANTS,))
    away = to_tenants(database, Relay("127.0.0.1", 1, "none"))
    work(sender(database, clock, away))
    with relaying(post) as relay:
        target = to_tenants(database, relay)
        for recipient, message in (
            ("450 4.2.1 <{address}> is busy", "250 OK"),
            ("250 OK", "451 later"),
            ("250 OK", "250 OK"),
        ):
            post.recipient, post.message = recipient, message
            clock.advance(600)
            work(sender(database, clock, target))
    assert outcomes(database, event) == ["unreachable", "refused", "refused", "delivered"]
    assert [letter["Message-ID"] for letter in post.letters] == [f"<{event.id}@example.com>"]


def test_who_dies_with_the_letter_on_its_way_sends_it_again_as_the_same_letter(
    database: Database, clock: FakeClock, post: Post
) -> None:
    class Dying(MailEndpoint):
        def send(self, bodies: Sequence[Body], now: Instant) -> Sent:
            super().send(bodies, now)
            raise KeyboardInterrupt

    notice(database, clock)
    publish(database, clock(), low(clock), to=(TENANTS,))
    with relaying(post) as relay:
        target = to_tenants(database, relay)
        fields = (target.name, target.types, relay, target.sender, target.write)
        with pytest.raises(KeyboardInterrupt):
            work(sender(database, clock, Dying(*fields)))
        clock.advance(HOUR / SECOND)
        work(sender(database, clock, target))
    first, second = post.letters
    assert first["Message-ID"] == second["Message-ID"]


@pytest.mark.parametrize(
    ("recipient", "message", "because"),
    [
        ("550 5.1.1 <{address}>: nobody", "250 OK", "SMTP 550: 5.1.1 <…>: nobody"),
        ("250 OK", "554 we do not like it", "SMTP 554: we do not like it"),
    ],
)
def test_a_final_no_is_a_dead_letter_at_once_and_tells_no_address(
    database: Database, clock: FakeClock, post: Post, recipient: str, message: str, because: str
) -> None:
    notice(database, clock)
    first, _ = publish(database, clock(), low(clock), low(clock), to=(TENANTS,))
    post.recipient, post.message = recipient, message
    with relaying(post) as relay:
        sending = sender(database, clock, to_tenants(database, relay))
        sending.work()
        assert (dead(database)[-1].seq, dead(database)[-1].because) == (first.seq, because)
        post.recipient = post.message = "250 OK"
        work(sending)
        assert len(post.letters) == 1, "the next letter has its turn"
        with database.write() as tx:
            attempts.retry(tx, clock(), endpoint=TENANTS)
        work(sending)
    assert (len(post.letters), dead(database)) == (2, [])


def test_an_address_cannot_bring_headers_of_its_own(
    database: Database, clock: FakeClock, post: Post
) -> None:
    """Were there one in the database, in spite of the API's check, it would be a failure."""
    with database.write() as tx:
        crafted = Notice("acme", "a@acme.example\r\nBcc: all@example.com", "en")
        alerts.put_notice(tx, crafted, clock())
    (event,) = publish(database, clock(), low(clock), to=(TENANTS,))
    with relaying(post) as relay:
        work(sender(database, clock, to_tenants(database, relay)))
    assert (post.letters, outcomes(database, event)) == ([], ["broken"])


def test_a_storm_of_held_orders_is_one_letter(
    database: Database, clock: FakeClock, post: Post
) -> None:
    """Of all tenants and of those without one; what comes after it gathers for the next."""
    storm = [held(clock, n, f"tenant-{n % 30}" if n % 2 else "") for n in range(1, 501)]
    published = publish(database, clock(), *storm, to=(OPERATORS,))
    with relaying(post) as relay:
        sending = sender(database, clock, to_operators(relay))
        work(sending)
        (letter,) = post.letters
        assert letter["Subject"] == "bridge: order held: 500"
        assert letter["To"] == "ops@example.com, two@example.com"
        plain, html = parts(letter)
        assert "Order 20 of main is held: tag_missing" in plain
        assert "Order 21 of main" not in plain
        assert "And 480 more" in plain
        assert "&lt;_tenant_id&gt;" in html
        assert {outcomes(database, event)[0] for event in published} == {"delivered"}
        publish(database, clock(), held(clock, 501), held(clock, 502, "acme"), to=(OPERATORS,))
        work(sending)
        assert len(post.letters) == 1
        clock.advance(OPERATORS_GATHER_S)
        work(sending)
    assert [letter["Subject"] for letter in post.letters[1:]] == ["bridge: order held: 2"]


def test_while_no_letter_is_due_nothing_is_written(database: Database, clock: FakeClock) -> None:
    database.written.clear()
    relay = Relay("127.0.0.1", 1, "none")
    assert sender(database, clock, to_operators(relay)).work() == 0
    assert sender(database, clock, to_tenants(database, relay)).work() == 0
    assert not database.written.is_set()


def test_letters_to_operators_that_fail_are_tried_again_together(
    database: Database, clock: FakeClock, post: Post
) -> None:
    published = publish(database, clock(), held(clock, 1), held(clock, 2, "acme"), to=(OPERATORS,))
    with relaying(post) as relay:
        sending = sender(database, clock, to_operators(relay))
        post.message = "451 later"
        work(sending)
        post.message = "250 OK"
        clock.advance(600)
        work(sending)
    assert [letter["Subject"] for letter in post.letters] == ["bridge: order held: 2"]
    assert [outcomes(database, event) for event in published] == [["refused", "delivered"]] * 2


def test_dead_letters_to_operators_come_as_one_letter_too(
    database: Database, clock: FakeClock, post: Post
) -> None:
    publish(database, clock(), *(held(clock, n) for n in (1, 2, 3)), to=(OPERATORS,))
    with relaying(post) as relay:
        sending = sender(database, clock, to_operators(relay))
        post.recipient = "550 nobody"
        work(sending)
        assert len(dead(database)) == 3
        post.recipient = "250 OK"
        with database.write() as tx:
            attempts.retry(tx, clock())
        clock.advance(30)
        work(sending)
    assert [letter["Subject"] for letter in post.letters] == ["bridge: order held: 3"]


def test_one_operator_whose_address_is_gone_costs_the_others_nothing(
    database: Database, clock: FakeClock, post: Post
) -> None:
    class Picky(Post):
        async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
            self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
        ) -> str:
            self.recipient = "550 gone" if address.startswith("two") else "250 OK"
            return await super().handle_RCPT(server, session, envelope, address, options)

    picky = Picky()
    (event,) = publish(database, clock(), held(clock, 1), to=(OPERATORS,))
    with relaying(picky) as relay:
        work(sender(database, clock, to_operators(relay)))
    assert [envelope.rcpt_tos for envelope in picky.envelopes] == [["ops@example.com"]]
    assert because(database, event) == "taken for 1 addresses, 1 refused"


def because(database: Database, event: Event) -> str:
    with database.read() as tx:
        (attempt,) = attempts.of_event(tx, event.tenant_id, event.seq, 10)
    return attempt.because
