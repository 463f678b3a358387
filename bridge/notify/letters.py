"""Letters: what tenants and operators are told of events, in plain text and in simple HTML."""

from collections import Counter
from collections.abc import Sequence
from datetime import tzinfo
from html import escape
from typing import Any, NamedTuple

from babel.dates import format_date

from bridge.domain.clock import DAY, parse, to_datetime
from bridge.domain.event import EventType
from bridge.domain.money import format_amount
from bridge.domain.renewal import Refusal
from bridge.notify.sender import Body
from bridge.store import alerts, events
from bridge.store.alerts import Notice
from bridge.store.database import Connection, Database
from bridge.store.events import Wanted
from bridge.tongue import Tongue, languages, tongue

TENANT_TYPES = frozenset(
    {
        EventType.BALANCE_LOW,
        EventType.RENEWAL_UPCOMING,
        EventType.RENEWAL_PAYMENT_FAILED,
        EventType.DEPOSIT_CREDITED,
    }
)
"""What tenants get letters of."""

OPERATOR_TYPES = frozenset(
    {EventType.ORDER_HELD, EventType.STOREFRONT_STALE, EventType.RECONCILIATION_DRIFT_FOUND}
)
"""What operators get letters of."""

OPERATORS_GATHER_S = 300
"""Seconds between two letters to operators: a storm of events is one letter, not a storm."""

LINES_MAX = 20
"""Events that a letter to operators tells one by one; the others are counted."""


class Letter(NamedTuple):
    """Something to be read by people: paragraphs, and perhaps a link, as its words and address."""

    to: tuple[str, ...]
    language: str
    subject: str
    paragraphs: Sequence[str]
    link: tuple[str, str] | None = None
    closing: str = ""

    def plain(self) -> str:
        """Return the plain text."""
        link = [f"{self.link[0]}:\n{self.link[1]}"] if self.link else []
        closing = [f"-- \n{self.closing}"] if self.closing else []
        return "\n\n".join([*self.paragraphs, *link, *closing]) + "\n"

    def html(self) -> str:
        """Return the same as HTML: no images, nothing to load, readable at any size."""
        paragraphs = "".join(f"<p>{_lines(text)}</p>" for text in self.paragraphs)
        link = closing = ""
        if self.link:
            words, address = map(escape, self.link)
            link = f'<p><a href="{address}" style="{_BUTTON}">{words}</a></p>'
        if self.closing:
            closing = f'<p style="color:#595959">{escape(self.closing)}</p>'
        return _PAGE.format(
            language=escape(self.language),
            subject=escape(self.subject),
            content=f"{paragraphs}{link}{closing}",
        )


_BUTTON = (
    "display:inline-block;padding:12px 20px;border-radius:6px;"
    "background:#1f4f82;color:#ffffff;font-weight:bold;text-decoration:none"
)
_PAGE = (
    '<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width"><title>{subject}</title></head>'
    '<body style="margin:0;padding:24px;background:#ffffff;color:#1a1a1a;'
    'font:16px/1.5 sans-serif"><main style="max-width:36em">'
    '<h1 style="font-size:20px">{subject}</h1>{content}</main></body></html>\n'
)


def _lines(text: str) -> str:
    return escape(text).replace("\n", "<br>")


class TenantLetters(NamedTuple):
    """Writes to tenants, at the address and in the language of their notices.

    `name` is who writes. `language` is that of tenants who said none; dates are those of `zone`.
    """

    database: Database
    name: str
    language: str
    zone: tzinfo

    def write(self, bodies: Sequence[Body]) -> Letter | None:
        """Return the letter about one event; None if nobody is to be told, or nothing is new.

        Nothing new is a low balance within a day of a letter about a renewal it does not cover.
        """
        (body,) = bodies
        tenant_id: str = body["tenant_id"]
        with self.database.read() as tx:
            notice = alerts.notices(tx, {tenant_id}).get(tenant_id, Notice(tenant_id))
            if body["type"] == EventType.BALANCE_LOW and _renewal_is_short(tx, body):
                return None
        language = notice.language if notice.language in languages() else self.language
        told = _told(_Telling(tongue(language), self.zone, body)) if notice.email else None
        if told is None:
            return None
        subject, paragraphs = told
        say = tongue(language).say
        address = body["data"].get("deposit_url")
        link = (say("Make a deposit"), address) if address else None
        if link:
            paragraphs.append(say("The link only offers a deposit. You decide there."))
        return Letter((notice.email,), language, subject, paragraphs, link, self.name)


def _renewal_is_short(tx: Connection, low: Body) -> bool:
    """Tell whether, within a day, a letter says which renewal a low balance does not cover."""
    happened = parse(low["timestamp"])
    first = events.since(tx, happened - DAY)
    short = Wanted(low["tenant_id"], _SHORT)
    return any(
        body["data"]["shortfall"] and body["data"]["currency"] == low["data"]["currency"]
        for body in events.bodies(tx, events.after(tx, first, _SHORT_MAX, short))
        if parse(body["timestamp"]) <= happened + DAY
    )


_SHORT = (EventType.RENEWAL_UPCOMING.value, EventType.RENEWAL_PAYMENT_FAILED.value)
_SHORT_MAX = 100


class _Telling(NamedTuple):
    """An event, and the words for it."""

    tongue: Tongue
    zone: tzinfo
    body: Body

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = self.body["data"]
        return data

    def say(self, text: str, **values: object) -> str:
        return self.tongue.say(text, **values)

    def money(self, member: str) -> str:
        return self.tongue.money(self.data[member], self.data["currency"])

    def date(self, moment: str) -> str:
        day = to_datetime(parse(moment)).astimezone(self.zone).date()
        return format_date(day, "long", locale=self.tongue.locale)


def _told(telling: _Telling) -> tuple[str, list[str]] | None:
    """Return the subject and the paragraphs of a letter to a tenant."""
    tellers = {
        EventType.BALANCE_LOW: _low,
        EventType.RENEWAL_UPCOMING: _upcoming,
        EventType.RENEWAL_PAYMENT_FAILED: _payment_failed,
        EventType.DEPOSIT_CREDITED: _receipt,
    }
    return tellers[telling.body["type"]](telling)


def _low(telling: _Telling) -> tuple[str, list[str]]:
    say, available = telling.say, telling.money("available")
    moment = telling.date(telling.body["timestamp"])
    return say("Your balance is low: %(amount)s", amount=available), [
        say("On %(day)s, %(amount)s of your balance was available.", day=moment, amount=available),
        say("You are told when it is less than %(amount)s.", amount=telling.money("threshold")),
    ]


def _upcoming(telling: _Telling) -> tuple[str, list[str]] | None:
    """Tell of a renewal only if there is too little for it."""
    if not telling.data["shortfall"]:
        return None
    say, day = telling.say, telling.date(telling.data["due_at"])
    return say("Your balance does not cover the renewal on %(day)s", day=day), [
        say(
            "On %(day)s, %(amount)s is due for the renewal %(reference)s.",
            day=day,
            amount=telling.money("amount"),
            reference=telling.data["reference"],
        ),
        say("For it, your balance is %(amount)s short.", amount=telling.money("shortfall")),
    ]


def _payment_failed(telling: _Telling) -> tuple[str, list[str]]:
    say, data = telling.say, telling.data
    paragraphs = [
        say(
            "On %(day)s, %(amount)s was due for the renewal %(reference)s, and is not paid yet.",
            day=telling.date(data["due_at"]),
            amount=telling.money("amount"),
            reference=data["reference"],
        )
    ]
    if data["reason"] == Refusal.EXCEEDS_MAX_AMOUNT:
        paragraphs.append(say("It is more than may be paid without asking you."))
    elif data["shortfall"]:
        shortfall = telling.money("shortfall")
        paragraphs += [
            say("For it, your balance is %(amount)s short.", amount=shortfall),
            say("It is paid as soon as a deposit covers it."),
        ]
    if data["lapses_at"]:
        until = telling.date(data["lapses_at"])
        paragraphs.append(say("If it is not paid until %(day)s, it lapses.", day=until))
    return say("Your renewal could not be paid"), paragraphs


def _receipt(telling: _Telling) -> tuple[str, list[str]]:
    say, data, amount = telling.say, telling.data, telling.money("amount")
    lines = [f"{say('Deposit')}: {amount}"]
    if data["bonus"]:
        lines.append(f"{say('Bonus')}: {telling.money('bonus')}")
    lines.append(f"{say('Date')}: {telling.date(data['credited_at'])}")
    if data["order_id"]:
        lines.append(say("Order %(number)s", number=data["order_id"]))
    return say("Receipt of your deposit: %(amount)s", amount=amount), [
        say("Thank you. Your deposit has arrived in your balance."),
        "\n".join(lines),
    ]


class OperatorLetters(NamedTuple):
    """Writes to operators, in English as the log is; `name` is who writes."""

    operators: tuple[str, ...]
    name: str

    def write(self, bodies: Sequence[Body]) -> Letter:
        """Return one letter about all of the events."""
        counts = Counter(_CALLED[body["type"]] for body in bodies)
        subject = ", ".join(f"{called}: {number}" for called, number in counts.items())
        lines = [_line(body) for body in bodies[:LINES_MAX]]
        if len(bodies) > LINES_MAX:
            lines.append(f"And {len(bodies) - LINES_MAX} more: bridge status, bridge events list")
        return Letter(self.operators, "en", f"bridge: {subject}", lines, closing=self.name)


_CALLED = {
    EventType.ORDER_HELD: "order held",
    EventType.STOREFRONT_STALE: "storefront stale",
    EventType.RECONCILIATION_DRIFT_FOUND: "drift found",
}


def _line(body: Body) -> str:
    """Tell an event, and where to look further."""
    data, storefront = body["data"], body["data"]["storefront"]
    if body["type"] == EventType.ORDER_HELD:
        said = (
            f"Order {data['order_id']} of {storefront} is held: {data['reason']}\n{data['because']}"
            f"\nLook further: bridge explain {storefront} {data['order_id']}"
        )
    elif body["type"] == EventType.STOREFRONT_STALE:
        said = (
            f"The storefront {storefront} brings nothing new; last read: "
            f"{data['succeeded_at'] or 'never'}\n{data['because'] or ''}"
            "\nLook further: bridge status"
        )
    else:
        amounts = (f"{format_amount(minor, c)} {c}" for c, minor in data["amounts"].items())
        said = (
            f"Drift on {data['findings']} wallets of {storefront}: {', '.join(amounts)}"
            f"{' (not posted: a dry run)' if data['dry_run'] else ''}\nRun {data['run_id']}"
            f"\nLook further: bridge reconcile --storefront {storefront} --dry-run"
        )
    return f"{body['timestamp']}\n{said}"
