"""Statements: the entries of a month or of all time, as a page, as CSV, as PDF."""

import csv
import io
import re
from datetime import datetime
from typing import NamedTuple

from anyio import to_thread
from babel.dates import format_skeleton
from starlette.responses import Response

from bridge.api.pages import pdf, words
from bridge.api.pages.requests import wallet_of
from bridge.api.pages.visit import Visit, moment
from bridge.domain.clock import Instant, from_datetime, isoformat, to_datetime
from bridge.domain.entry import Entry
from bridge.domain.errors import NotFoundError
from bridge.domain.money import format_amount, is_currency
from bridge.domain.wallet import Wallet
from bridge.store import reports, statements
from bridge.store.database import Connection

PAGE_SIZE = 50
"""Entries on one page."""

ENTRIES_MAX = 10_000
"""Entries in a file: the newest ones."""

MONTHS_MAX = 120
"""Months to choose from."""

BOM = "\ufeff"  # or spreadsheets take UTF-8 for something else


class Month(NamedTuple):
    """A month of the portal's zone: `name` is e.g. 2026-11; it ends where the next one begins."""

    name: str
    since: Instant
    until: Instant


class Extract(NamedTuple):
    """Part of a wallet: entries newest first, what was there before and after the whole time.

    `number` is how many there are in that time; `rest` is the number of the entry to go on from, 0
    where all were listed.
    """

    wallet: Wallet
    currencies: list[str]
    months: list[str]
    month: str
    entries: list[Entry]
    before: int
    after: int
    number: int
    rest: int


async def entries(visit: Visit) -> Response:
    """Show entries, fifty to a page."""
    extract = await visit.desk.read(_extract, visit, PAGE_SIZE)
    labels = {name: _label(visit, name) for name in extract.months}
    return visit.render("entries.html", extract=extract, labels=labels, files_max=ENTRIES_MAX)


async def as_csv(visit: Visit) -> Response:
    """Return the entries as CSV: amounts and times as machines read them."""
    extract = await visit.desk.read(_extract, visit, ENTRIES_MAX)
    text = io.StringIO()
    writer = csv.writer(text)
    say = visit.tongue.say
    writer.writerow(
        [
            *(say("Date"), say("Entry"), say("Kind"), say("Description"), say("Reference")),
            *(say("Amount"), say("Reserved"), say("Balance"), say("Currency")),
        ]
    )
    writer.writerows(_row(visit, entry) for entry in reversed(extract.entries))
    return _file(BOM + text.getvalue(), "text/csv; charset=utf-8", extract, "csv")


async def as_pdf(visit: Visit) -> Response:
    """Return the entries as PDF, to print and to keep."""
    extract = await visit.desk.read(_extract, visit, ENTRIES_MAX)
    sheet = _sheet(visit, extract)
    return _file(await to_thread.run_sync(pdf.drawn, sheet), "application/pdf", extract, "pdf")


def _extract(tx: Connection, visit: Visit, limit: int) -> Extract:
    currencies = [w.currency for w in reports.wallets(tx, visit.tenant_id)]
    wallet = wallet_of(tx, visit, _currency(visit, currencies))
    months = _months(tx, visit, wallet)
    chosen = next((month for month in months if month.name == visit.asked("month")), None)
    first, last = 0, wallet.version
    if chosen:
        first = statements.version_before(tx, wallet, chosen.since)
        last = statements.version_before(tx, wallet, chosen.until)
    upper = min(last, _version(visit.asked("before")) - 1)
    found = statements.between(tx, wallet, first, upper, limit=limit)
    return Extract(
        wallet,
        currencies,
        [month.name for month in months],
        chosen.name if chosen else "",
        found,
        statements.balance_at(tx, wallet, first),
        statements.balance_at(tx, wallet, last),
        last - first,
        found[-1].version if found and found[-1].version > first + 1 else 0,
    )


def _currency(visit: Visit, currencies: list[str]) -> str:
    """Return the currency asked for, or the first there is."""
    for currency in (visit.asked("currency"), *currencies, *visit.portal.currencies):
        if is_currency(currency):
            return currency
    raise NotFoundError("the tenant has no wallet, and nothing can be deposited")


def _version(text: str) -> int:
    good = re.fullmatch("[1-9][0-9]{0,17}", text, re.ASCII)
    return int(text) if good else 10**18


def _months(tx: Connection, visit: Visit, wallet: Wallet) -> list[Month]:
    """Return the months since the wallet's first entry, newest first."""
    first = statements.between(tx, wallet, 0, 1, limit=1)
    if not first:
        return []
    local = to_datetime(visit.now).astimezone(visit.portal.zone)
    begin = local.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    until, months = month_after(begin), list[Month]()
    while len(months) < MONTHS_MAX and from_datetime(until) > first[0].recorded_at:
        since, end = from_datetime(begin), from_datetime(until)
        months.append(Month(f"{begin:%Y-%m}", since, end))
        until, begin = begin, _previous(begin)
    return months


def month_after(begin: datetime) -> datetime:
    """Return when the month begins that follows the one which begins here."""
    year, month = divmod(begin.year * 12 + begin.month, 12)
    return begin.replace(year=year, month=month + 1)


def _previous(begin: datetime) -> datetime:
    year, month = divmod(begin.year * 12 + begin.month - 2, 12)
    return begin.replace(year=year, month=month + 1)


def _label(visit: Visit, month: str) -> str:
    first = datetime.strptime(f"{month}-01", "%Y-%m-%d").date()  # noqa: DTZ007 # a mere date
    return format_skeleton(
        "yMMMM", datetime.combine(first, datetime.min.time()), locale=visit.tongue.locale
    )


def _row(visit: Visit, entry: Entry) -> list[str]:
    kind, detail = words.title(visit.tongue, entry), words.detail(visit.tongue, entry)
    currency = entry.currency
    amounts = (entry.amount, entry.held, entry.balance_after)
    return [
        isoformat(entry.recorded_at),
        entry.id,
        kind,
        _harmless(detail),
        _harmless(entry.reference),
        *(format_amount(amount, currency) for amount in amounts),
        currency,
    ]


def _harmless(text: str) -> str:
    """Mark a text as one where a spreadsheet would take it for a formula."""
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _sheet(visit: Visit, extract: Extract) -> pdf.Sheet:
    say, spoken = visit.tongue.say, visit.tongue
    rows = [
        (
            moment(spoken, visit.portal, entry.recorded_at),
            " · ".join(filter(None, (words.title(spoken, entry), words.detail(spoken, entry)))),
            spoken.money(entry.amount or -entry.held, entry.currency),
            spoken.money(entry.balance_after, entry.currency),
        )
        for entry in reversed(extract.entries)
    ]
    heading = (say("Date"), say("Entry"), say("Amount"), say("Balance"))
    facts = _facts(visit, extract)
    return pdf.Sheet(visit.portal.name, say("Statement"), facts, heading, rows, say("Page"))


def _facts(visit: Visit, extract: Extract) -> list[tuple[str, str]]:
    say, spoken, currency = visit.tongue.say, visit.tongue, extract.wallet.currency
    # What was there before the first that is listed, so that the sheet adds up.
    first = extract.entries[-1] if extract.entries else None
    before = first.balance_after - first.amount if first else extract.before
    facts = [
        (say("For"), extract.wallet.tenant_id),
        (say("Time"), _label(visit, extract.month) if extract.month else say("All entries")),
        (say("Balance before"), spoken.money(before, currency)),
        (say("Balance after"), spoken.money(extract.after, currency)),
        (say("Made"), f"{moment(spoken, visit.portal, visit.now)} ({visit.portal.zone})"),
    ]
    if extract.rest:
        note = say("Files have the newest %(number)s entries of a time.", number=ENTRIES_MAX)
        facts.append((say("Note"), note))
    return facts


def _file(content: str | bytes, media_type: str, extract: Extract, ending: str) -> Response:
    name = f"statement-{extract.wallet.currency}-{extract.month or 'all'}.{ending}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=media_type, headers=headers)
