"""Commands about one tenant's money: balance, statement, adjust."""

import csv
import re
import secrets
import sys
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.common import AsJson, ConfigFile, opened, tell
from bridge.domain.clock import isoformat
from bridge.domain.entry import Draft, Entry, Kind, request_digest
from bridge.domain.errors import BridgeError, InvalidRequestError
from bridge.domain.money import AMOUNT_MAX, exponent, format_amount, parse_amount
from bridge.domain.tenant import is_tenant_id

if TYPE_CHECKING:
    from bridge.wiring import Wiring


def printable(text: str) -> str:
    """Return an argument as it is; BadParameter where no id or key can be called that."""
    if not text.isascii() or not text.isprintable():
        raise typer.BadParameter(f"{text!a}: ids and keys are printable ASCII")
    return text


Tenant = Annotated[
    str, typer.Argument(metavar="TENANT", help="The tenant's id.", callback=printable)
]


class Format(StrEnum):
    """How a statement is printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def balance(tenant: Tenant, config: ConfigFile = None, *, as_json: AsJson = False) -> None:
    """Show a tenant's balance, what is held of it and what is available, in each currency."""
    from bridge.cli.output import money, print_json, print_table
    from bridge.store import reports

    with opened(config) as wiring, wiring.database.read() as tx:
        known = reports.tenant(tx, tenant)
        wallets = reports.wallets(tx, tenant)
    if as_json:
        from bridge.api.answers import Balance, TenantWithBalances

        now = wiring.clock()
        balances = [Balance.of(wallet, now) for wallet in wallets]
        print_json(TenantWithBalances.of(known, balances=balances).model_dump(mode="json"))
        return
    print_table(
        ("currency", ">balance", ">held", ">available", ">entries"),
        (
            (
                w.currency,
                *(money(n, w.currency) for n in (w.balance, w.held, w.available)),
                w.version,
            )
            for w in wallets
        ),
        f"{tenant} has no entries yet",
    )


def statement(
    tenant: Tenant,
    config: ConfigFile = None,
    *,
    currency: Annotated[
        str | None, typer.Option("--currency", metavar="CODE", help="Only this currency.")
    ] = None,
    format: Annotated[Format, typer.Option("--format")] = Format.TABLE,  # noqa: A002 - its name
    as_json: AsJson = False,
) -> None:
    """Print a tenant's entries, oldest first, with the balance after each."""
    from bridge.store import reports

    if currency is not None:
        exponent(currency)
    with opened(config) as wiring, wiring.database.read() as tx:
        reports.tenant(tx, tenant)
        codes = [wallet.currency for wallet in reports.wallets(tx, tenant)]
        wanted = codes if currency is None else [currency]
        entries = [entry for code in wanted for entry in reports.statement(tx, tenant, code)]
    _PRINTERS[Format.JSON if as_json else format](entries)


def adjust(  # noqa: PLR0913, PLR0917 - each is one word of the command line
    tenant: Tenant,
    amount: Annotated[
        str, typer.Argument(metavar="AMOUNT", help="Minor units, e.g. 1000 or -1000 (10.00 EUR).")
    ],
    currency: Annotated[str, typer.Argument(metavar="CURRENCY", help="ISO 4217, e.g. EUR.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in the statement.")],
    actor: Annotated[str, typer.Option("--actor", help="Who decided it.")],
    config: ConfigFile = None,
    *,
    key: Annotated[
        str,
        typer.Option(
            "--key", help="Given again, the adjustment is made only once.", callback=printable
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Raise or lower a balance by hand, with a reason. It may leave a debt."""
    minor = _minor_units(amount, currency)
    with opened(config) as wiring:
        draft = _adjustment(
            wiring,
            tenant=tenant,
            minor=minor,
            currency=currency,
            reason=reason,
            actor=actor,
            key=key or secrets.token_hex(16),
        )
        entry = _post(wiring, draft)
    if as_json:
        _print_entry(entry)
    else:
        from bridge.cli.output import money

        after = money(entry.balance_after, currency)
        typer.echo(f"{entry.id}: {money(minor, currency)}, the balance is {after}")


def _minor_units(text: str, currency: str) -> int:
    """Read an amount of minor units; what looks like 10.00 is refused, for it may be meant so."""
    decimals = exponent(currency)
    if re.fullmatch(r"[+-]?[0-9]{1,19}", text, re.ASCII) and 0 < abs(int(text)) <= AMOUNT_MAX:
        return int(text)
    try:
        meant = parse_amount(text.removeprefix("+"), currency)
    except InvalidRequestError:
        meant = 0
    if meant:
        advice = f"for {text} {currency} write {meant}"
    else:
        advice = f"{format_amount(1000, currency)} {currency} is 1000"
    raise InvalidRequestError(
        f"AMOUNT {text!r} is not a whole number of minor units other than 0 ({currency} has "
        f"{decimals} decimals); {advice}"
    )


def _adjustment(  # noqa: PLR0913 - an adjustment's own fields
    wiring: "Wiring",
    *,
    tenant: str,
    minor: int,
    currency: str,
    reason: str,
    actor: str,
    key: str,
) -> Draft:
    crediting = wiring.config.crediting
    if not is_tenant_id(tenant, crediting.tenant_pattern):
        raise InvalidRequestError(
            f"{tenant!a} is not a tenant id; they match {crediting.tenant_pattern.pattern}"
        )
    for name, text in (("--reason", reason), ("--actor", actor)):
        if not text.strip() or not text.isprintable() or len(text) > TEXT_MAX:
            raise InvalidRequestError(f"{name} is 1 to {TEXT_MAX} printable characters")
    return Draft(
        kind=Kind.ADJUSTMENT,
        tenant_id=tenant,
        currency=currency,
        amount=minor,
        caller="cli",
        key=key,
        digest=request_digest(Kind.ADJUSTMENT, tenant, minor, currency, reason, actor),
        contra="adjustments",
        source=f"admin/{actor}",
        description=reason,
        opens_wallet=crediting.unknown_tenants == "create",
    )


TEXT_MAX = 1000
"""Characters in a reason, as in the API."""


def _post(wiring: "Wiring", draft: Draft) -> Entry:
    from bridge.store import ledger, renewals

    with wiring.database.write() as tx:
        now = wiring.clock()
        [outcome] = ledger.post(tx, [draft], now)
        renewals.settle(tx, [outcome], now)
    if outcome.entry is None:
        from bridge.api.moves import declined

        raise DeclinedError(f"nothing was posted ({outcome.reason}): {declined(draft, outcome)}")
    if outcome.status == "replayed":
        tell("this was posted before under the same --key; nothing was posted now")
    return outcome.entry


class DeclinedError(BridgeError):
    """The ledger declined what was asked."""

    code = "declined"


_COLUMNS = (
    "recorded_at",
    "id",
    "kind",
    *("amount", "amount_minor", "held", "held_minor", "balance_after", "balance_after_minor"),
    "currency",
    "contra",
    "reference",
    "description",
    "source",
    "occurred_at",
)


def _print_csv(entries: Iterable[Entry]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for entry in entries:
        writer.writerow(_csv_row(entry))


def _csv_row(entry: Entry) -> Sequence[object]:
    amounts = (
        shown
        for minor in (entry.amount, entry.held, entry.balance_after)
        for shown in (format_amount(minor, entry.currency), minor)
    )
    return (
        isoformat(entry.recorded_at),
        entry.id,
        entry.kind,
        *amounts,
        entry.currency,
        entry.contra,
        entry.reference,
        entry.description,
        entry.source,
        isoformat(entry.occurred_at),
    )


def _print_json(entries: Iterable[Entry]) -> None:
    from bridge.api import answers
    from bridge.cli.output import print_json

    data = [answers.Entry.of(entry).model_dump(mode="json") for entry in entries]
    print_json({"data": data, "next_cursor": None})


def _print_entry(entry: Entry) -> None:
    from bridge.api import answers
    from bridge.cli.output import print_json

    print_json(answers.Entry.of(entry).model_dump(mode="json"))


def _print_table(entries: Iterable[Entry]) -> None:
    from bridge.cli.output import moment, money, print_table

    print_table(
        ("recorded", "entry", "kind", ">amount", ">held", ">balance", "reference", "description"),
        (
            (
                moment(e.recorded_at),
                e.id,
                e.kind,
                *(money(n, e.currency) if n else "" for n in (e.amount, e.held)),
                money(e.balance_after, e.currency),
                e.reference,
                e.description,
            )
            for e in entries
        ),
        "no entries",
    )


_PRINTERS = {Format.TABLE: _print_table, Format.CSV: _print_csv, Format.JSON: _print_json}
