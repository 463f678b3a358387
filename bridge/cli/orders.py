"""Commands about orders: poll, reconcile, explain, held, acknowledge."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.common import AsJson, ConfigFile, StorefrontName, chosen, opened, tell
from bridge.domain.clock import SECOND, Instant, parse
from bridge.domain.drift import Comparison, Finding, FindingKind
from bridge.domain.errors import BridgeError, InvalidRequestError

if TYPE_CHECKING:
    from bridge.store.explain import Explanation
    from bridge.sync.reconcile import Report
    from bridge.wiring import Wiring

DRIFT_FOUND = 3
"""The exit status of a dry run that found drift."""

OneStorefront = Annotated[str, typer.Argument(metavar="STOREFRONT", help="Its configured name.")]
OrderId = Annotated[int, typer.Argument(metavar="ORDER_ID", min=1, help="WooCommerce's order id.")]


def poll(
    storefront: StorefrontName = None, config: ConfigFile = None, *, as_json: AsJson = False
) -> None:
    """Fetch the orders that changed since the last poll, and credit them."""
    from bridge.cli.output import print_json
    from bridge.sync.poll import poll as poll_one

    rows: list[dict[str, Any]] = []
    statuses = []
    with opened(config) as wiring:
        for name in chosen(wiring, storefront):
            row: dict[str, Any] = {"storefront": name, "counts": {}, "error": ""}
            try:
                row["counts"] = dict(poll_one(wiring.context, wiring.source(name)))
            except BridgeError as error:
                row["error"] = str(error)
                statuses.append(error.exit_status)
            rows.append(row)
    if as_json:
        print_json({"data": rows, "next_cursor": None})
    for row in rows:
        if row["error"]:
            tell(f"error: {row['error']}")
        elif not as_json:
            typer.echo(f"{row['storefront']}: {_told(row['counts'])}")
    if statuses:
        raise typer.Exit(statuses[0])


def reconcile(  # noqa: PLR0913 - each is one option
    storefront: StorefrontName = None,
    config: ConfigFile = None,
    *,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="T", help="Orders created from then on: 2026-11-01."),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="T", help="Up to then; now, if left out.")
    ] = None,
    order: Annotated[
        int | None, typer.Option("--order", metavar="ID", min=1, help="Only this order.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Post nothing; exit status 3 if there is drift.")
    ] = False,
    accept_vanished: Annotated[
        bool, typer.Option("--accept-vanished", help="Many orders were deleted on purpose.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare orders with the ledger and repair the drift.

    Without --since it looks back as far as the sweep does.
    """
    from bridge.sync.reconcile import reconcile as compare

    with opened(config) as wiring:
        names = chosen(wiring, storefront)
        if order is not None and len(names) != 1:
            raise InvalidRequestError("--order needs --storefront: order ids are each storefront's")
        comparisons = [
            _comparison(wiring, name, since, until)._replace(
                order_id=order, dry_run=dry_run, accept_vanished=accept_vanished
            )
            for name in names
        ]
        reports = [
            (one, compare(wiring.context, wiring.source(one.storefront), one))
            for one in comparisons
        ]
    _show_reports(reports, as_json=as_json)
    findings = [finding for _, report in reports for finding in report.findings]
    if dry_run and any(finding.kind is not FindingKind.HELD for finding in findings):
        raise typer.Exit(DRIFT_FOUND)


def explain(
    storefront: OneStorefront,
    order_id: OrderId,
    config: ConfigFile = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Say why an order is, or is not, in a balance."""
    from bridge.cli.output import print_json
    from bridge.store.explain import explain as told_by

    with opened(config) as wiring, wiring.database.read() as tx:
        rules = wiring.rules(wiring.storefront(storefront))
        told = told_by(tx, storefront, order_id, rules)
    if as_json:
        from bridge.api.orders import Explanation

        print_json(Explanation.of(told).model_dump(mode="json"))
    else:
        _show_explanation(told)


def held(
    storefront: StorefrontName = None, config: ConfigFile = None, *, as_json: AsJson = False
) -> None:
    """List the orders that are held, with the reason and the remedy."""
    from bridge.api.orders import HeldOrder
    from bridge.cli.output import moment, print_json, print_table
    from bridge.store import orders

    with opened(config) as wiring, wiring.database.read() as tx:
        names = chosen(wiring, storefront)
        found = [seen for name in names for seen in orders.held(tx, storefront=name)]
    if as_json:
        data = [HeldOrder.of(seen).model_dump(mode="json") for seen in found]
        print_json({"data": data, "next_cursor": None})
        return
    print_table(
        ("storefront", ">order", "status", "since", "reason", "because"),
        (
            (s.storefront, s.order_id, s.status, moment(s.changed_at), s.reason, s.because)
            for s in found
        ),
        "no order is held",
    )


def acknowledge(
    storefront: OneStorefront,
    config: ConfigFile = None,
    *,
    order: Annotated[
        list[int] | None,
        typer.Option("--order", metavar="ID", min=1, help="Only these; all, if left out."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Accept orders whose id was another order's before, and credit the storefront again."""
    from bridge.cli.output import print_json
    from bridge.sync import settle

    with opened(config) as wiring:
        policy = wiring.policy(wiring.storefront(storefront))
        accepted = settle.acknowledge(wiring.context, policy, order)
    if as_json:
        print_json({"storefront": storefront, "accepted": accepted})
    else:
        typer.echo(f"{accepted} orders accepted; {storefront} is credited again")


def _comparison(wiring: "Wiring", name: str, since: str | None, until: str | None) -> Comparison:
    source = wiring.source(name)
    end = wiring.clock() if until is None else _time("--until", until)
    begin = max(end - source.sweep_window_s * SECOND, source.import_from)
    if since is not None:
        begin = _time("--since", since)
    if begin >= end:
        raise InvalidRequestError("--since is not before --until; nothing lies between them")
    return Comparison(name, begin, end)


def _time(option: str, text: str) -> Instant:
    try:
        return parse(text)
    except ValueError as error:
        raise InvalidRequestError(
            f"{option}: {error}; write a date such as 2026-11-22 or 2026-11-22T12:00:00Z"
        ) from None


def _told(counts: dict[str, int]) -> str:
    parts = [f"{count} {verdict}" for verdict, count in sorted(counts.items())]
    return ", ".join(parts) or "nothing new"


def _show_reports(reports: "list[tuple[Comparison, Report]]", *, as_json: bool) -> None:
    from bridge.api.reconciliations import Finding as ShownFinding
    from bridge.cli.output import print_json, print_table

    if as_json:
        data = [
            {
                "id": report.run_id,
                "storefront": comparison.storefront,
                "dry_run": comparison.dry_run,
                "counts": dict(report.counts),
                "findings": [ShownFinding.of(f).model_dump(mode="json") for f in report.findings],
            }
            for comparison, report in reports
        ]
        print_json({"data": data, "next_cursor": None})
        return
    for comparison, report in reports:
        done = "compared, nothing posted" if comparison.dry_run else "compared and repaired"
        typer.echo(f"{comparison.storefront}: {done}: {_told(dict(report.counts))}")
        columns = ("finding", ">order", "tenant", ">target", ">posted", ">drift", "detail")
        print_table(columns, map(_finding_row, report.findings), "no drift")


def _finding_row(finding: Finding) -> tuple[object, ...]:
    from bridge.cli.output import money

    amounts = (
        money(minor, finding.currency) if finding.currency else ""
        for minor in (finding.target, finding.posted, finding.drift)
    )
    return (finding.kind, finding.order_id, finding.tenant_id, *amounts, finding.detail)


def _show_explanation(told: "Explanation") -> None:
    from bridge.cli.output import moment, money, print_table

    for line in _headline(told):
        typer.echo(line)
    if told.lines:
        rows = [(line.name, money(line.amount, told.currency)) for line in told.lines]
        print_table(("amount", ">"), rows, "")
    print_table(
        ("effect", "tenant", ">target", ">posted"),
        (
            (s.effect, s.tenant_id, money(s.target, s.currency), money(s.posted, s.currency))
            for s in told.effects
        ),
        "no effects: nothing is due and nothing was posted",
    )
    print_table(
        ("seen", "way", "status", ">total", "verdict", "because"),
        (
            (moment(s.seen_at), s.way, s.status, s.total, s.verdict, s.because)
            for s in told.sightings
        ),
        "never seen",
    )
    print_table(
        ("entry", "kind", ">amount", ">balance", "recorded"),
        (
            (
                e.id,
                e.kind,
                money(e.amount, e.currency),
                money(e.balance_after, e.currency),
                moment(e.recorded_at),
            )
            for e in told.entries
        ),
        "no entries",
    )


def _headline(told: "Explanation") -> Iterator[str]:
    from bridge.cli.output import moment

    reason = f" ({told.reason})" if told.reason else ""
    yield f"order {told.order_id} of {told.storefront}: {told.verdict}{reason}"
    yield f"because {told.because}"
    yield f"status {told.status}, tenant {told.tenant_id or 'none'}, seen {moment(told.seen_at)}"
    if told.backward_since is not None:
        yield (
            f"it stepped back at {moment(told.backward_since)}; if it is still so ten minutes "
            "later, the credit is taken back"
        )
