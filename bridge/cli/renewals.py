"""Commands about renewals: what there is, what comes, and paying it."""

import secrets
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.common import AsJson, ConfigFile, opened
from bridge.cli.tenants import DeclinedError, Tenant, printable
from bridge.domain.clock import Instant, isoformat, parse
from bridge.domain.entry import REPLAYED
from bridge.domain.errors import InvalidRequestError

if TYPE_CHECKING:
    from bridge.api.forecasts import Ahead
    from bridge.domain.renewal import Renewal

MONTHS_MAX = 36
"""How far a forecast looks, as in the API."""

app = typer.Typer(help="Show, pay or end what tenants pay again and again.", no_args_is_help=True)

Reference = Annotated[
    str, typer.Argument(metavar="REFERENCE", help="The SaaS core's own.", callback=printable)
]
Whose = Annotated[
    str,
    typer.Option(
        "--tenant",
        metavar="TENANT",
        help="Needed only where several tenants have one by the reference.",
        callback=printable,
    ),
]


@app.command("list")
def list_(tenant: Tenant, config: ConfigFile = None, *, as_json: AsJson = False) -> None:
    """List a tenant's renewals, those that ended too."""
    from bridge.store import renewals, reports

    with opened(config) as wiring, wiring.database.read() as tx:
        reports.tenant(tx, tenant)
        found = renewals.of_tenant(tx, tenant)
    if as_json:
        from bridge.api.renewals import Renewal
        from bridge.cli.output import print_json

        data = [Renewal.of(renewal).model_dump(mode="json") for renewal in found]
        print_json({"data": data, "next_cursor": None})
    else:
        _print_table(found)


@app.command()
def show(
    reference: Reference, config: ConfigFile = None, *, tenant: Whose = "", as_json: AsJson = False
) -> None:
    """Show how a renewal stands."""
    from bridge.store import renewals

    with opened(config) as wiring, wiring.database.read() as tx:
        found = renewals.find(tx, reference, tenant)
    _print(found, as_json=as_json)


@app.command()
def pay(  # noqa: PLR0913 - each is one word of the command line
    reference: Reference,
    config: ConfigFile = None,
    *,
    tenant: Whose = "",
    period: Annotated[
        str, typer.Option("--period", metavar="DAY", help="The present one unless given.")
    ] = "",
    key: Annotated[
        str,
        typer.Option("--key", help="Given again, it is paid only once.", callback=printable),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Pay the present period from the balance, before it is due, overdue or lapsed."""
    from bridge.store import renewals
    from bridge.store.renewal_payments import ByHand

    with opened(config) as wiring:
        with wiring.database.read() as tx:
            tenant = renewals.find(tx, reference, tenant).tenant_id
        asked = ByHand(tenant, "cli", key or secrets.token_hex(16), reference, period)
        renewal, outcome = wiring.renewals.pay(asked)
    if outcome.entry is None:
        from bridge.api.moves import declined
        from bridge.domain.renewal import draft

        advice = declined(draft(renewal, by_hand=True), outcome)
        raise DeclinedError(f"nothing was paid ({outcome.reason}): {advice}")
    if as_json:
        from bridge.api.answers import Entry
        from bridge.api.renewals import Paid, Renewal
        from bridge.cli.output import print_json

        paid = Paid(renewal=Renewal.of(renewal), entry=Entry.of(outcome.entry))
        print_json(paid.model_dump(mode="json"))
        return
    before = "was paid before" if outcome.status == REPLAYED else "is paid"
    typer.echo(f"{before} by {outcome.entry.id}; next due {isoformat(renewal.due_at)}")


@app.command()
def end(
    reference: Reference, config: ConfigFile = None, *, tenant: Whose = "", as_json: AsJson = False
) -> None:
    """End a renewal: nothing is debited any more, what was paid stays."""
    with opened(config) as wiring:
        ended = wiring.renewals.end(reference, tenant)
    _print(ended, as_json=as_json)


def renew(config: ConfigFile = None, *, as_json: AsJson = False) -> None:
    """Announce, debit and lapse whatever is due, as the service does by itself."""
    with opened(config) as wiring:
        counts: Counter[str] = wiring.renewals.run(lambda: False)
    named = {name.removeprefix("renewal."): number for name, number in sorted(counts.items())}
    if as_json:
        from bridge.cli.output import print_json

        print_json(named)
    else:
        told = ", ".join(f"{number} {name}" for name, number in named.items())
        typer.echo(told or "nothing is due")


def forecast(
    tenant: Tenant,
    config: ConfigFile = None,
    *,
    months: Annotated[int, typer.Option("--months", min=1, max=MONTHS_MAX)] = 12,
    to: Annotated[
        str, typer.Option("--to", metavar="DAY", help="Say what must be deposited to carry there.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Show what renewals will take, and until when a tenant's balance lasts."""
    from bridge.api.forecasts import ahead
    from bridge.domain.renewal import months_later
    from bridge.store import reports

    with opened(config) as wiring, wiring.database.read() as tx:
        now = wiring.clock()
        reports.tenant(tx, tenant)
        until = months_later(now, months)
        carry_to = _carried(to, now, until) if to else None
        seen = ahead(tx, tenant, until)
    if as_json:
        from bridge.api.forecasts import TenantForecast
        from bridge.cli.output import print_json

        print_json(TenantForecast.of(tenant, seen.forecasts, carry_to).model_dump(mode="json"))
    else:
        _print_forecast(seen, carry_to)


def _carried(text: str, now: Instant, until: Instant) -> Instant:
    try:
        instant = parse(text)
    except ValueError as error:
        raise InvalidRequestError(f"--to: {error}; write a day such as 2027-06-30") from None
    if not now <= instant <= until:
        raise InvalidRequestError(
            f"--to is from now on, within --months: before {isoformat(until)}"
        )
    return instant


def _print(renewal: "Renewal", *, as_json: bool) -> None:
    if as_json:
        from bridge.api.renewals import Renewal
        from bridge.cli.output import print_json

        print_json(Renewal.of(renewal).model_dump(mode="json"))
    else:
        _print_table([renewal])


def _print_table(found: "list[Renewal]") -> None:
    from bridge.cli.output import moment, money, print_table

    print_table(
        ("tenant", "reference", "status", "due", ">amount", "period", "because"),
        (
            (
                one.tenant_id,
                one.reference,
                one.status,
                moment(one.due_at),
                money(one.amount, one.currency),
                one.period,
                one.reason,
            )
            for one in found
        ),
        "no renewals",
    )


def _print_forecast(seen: "Ahead", carry_to: Instant | None) -> None:
    from bridge.cli.output import moment, money, print_table

    for currency, one in seen.forecasts.items():
        print_table(
            ("due", "reference", ">amount", ">left", ">deposit for it"),
            (
                (
                    moment(coming.due_at),
                    coming.reference,
                    money(coming.amount, currency),
                    money(coming.left, currency),
                    money(coming.deposit, currency) if coming.deposit else "",
                )
                for coming in one.coming
            ),
            f"{currency}: nothing is due until {moment(one.until)}",
        )
        out = one.runs_out_at
        lasts = f"too little from {moment(out)} on" if out else f"enough until {moment(one.until)}"
        typer.echo(f"{currency}: {money(one.available, currency)} available, {lasts}")
        if carry_to is not None and carry_to <= one.until:
            needed = money(one.deposit_until(carry_to), currency)
            typer.echo(f"{currency}: deposit {needed} to carry to {moment(carry_to)}")
