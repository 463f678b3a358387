"""Commands that say how it goes: status and verify."""

from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from bridge.cli.common import AsJson, ConfigFile, opened
from bridge.domain.clock import SECOND, Instant, isoformat

if TYPE_CHECKING:
    from bridge.cli.backlog import Backlog
    from bridge.config import Storefront
    from bridge.store.cursors import State
    from bridge.store.runs import Run

SILENT_AFTER_POLLS = 10
"""Polls without success after which a storefront counts as silent."""


class Standing(NamedTuple):
    """Where a storefront stands, and what somebody should do about it."""

    state: "State"
    verdicts: dict[str, int]
    concerns: list[str]


def status(config: ConfigFile = None, *, as_json: AsJson = False) -> None:
    """Show how fresh each storefront is, and what needs attention.

    Exit status 1 while a storefront is failing, silent or stopped, has held orders, or had a sweep
    that did not end well; while an endpoint fails for long or has dead letters; and while renewals
    or events wait that should not, or renewals are put off after an error.
    """
    from bridge.cli import backlog
    from bridge.store import cursors, inbox, orders, runs

    with opened(config) as wiring, wiring.database.read() as tx:
        now = wiring.clock()
        waiting = inbox.waiting(tx)
        standings = []
        for storefront in wiring.config.storefronts:
            state = cursors.state(tx, storefront.name)
            verdicts = orders.verdicts(tx, storefront.name)
            concerns = _concerns(storefront, state, verdicts, now)
            sweeps = runs.recent(tx, 1, storefront=storefront.name, kind="sweep")
            ended = runs.recent(tx, 1, storefront=storefront.name, status="done")
            concerns += _swept(sweeps, ended)
            standings.append(Standing(state, verdicts, concerns))
        behind = backlog.read(tx, wiring.subscribers, now)
    if as_json:
        _print_json(standings, waiting, behind)
    else:
        _print_table(standings, waiting, now)
        backlog.print_lines(behind, now)
    if behind.concerns or any(standing.concerns for standing in standings):
        raise typer.Exit(1)


def verify(config: ConfigFile = None, *, as_json: AsJson = False) -> None:
    """Recompute the whole ledger and compare; exit status 1 if anything is wrong."""
    from bridge.cli.output import money, print_json
    from bridge.store import audit

    with opened(config) as wiring, wiring.database.read() as tx:
        found = audit.verify(tx)
        totals = audit.totals(tx)
    if as_json:
        print_json({**found._asdict(), "totals": totals})
    else:
        for problem in found.problems:
            typer.echo(problem)
        for currency, contras in sorted(totals.items()):
            for contra, minor in sorted(contras.items()):
                typer.echo(f"{contra}: {money(minor, currency)}")
        right = f"{len(found.problems)} problems" if found.problems else "all right"
        typer.echo(f"{found.wallets} wallets, {found.entries} entries: {right}")
    if found.problems:
        raise typer.Exit(1)


def _concerns(
    storefront: "Storefront", state: "State", verdicts: dict[str, int], now: Instant
) -> list[str]:
    """Say what needs attention, and what to do."""
    concerns = []
    silent_after = SILENT_AFTER_POLLS * storefront.poll_interval_s * SECOND
    if state.stopped_at is not None:
        concerns.append(f"stopped: {state.stopped_because}")
    if state.failing_since is not None:
        concerns.append(f"failing since {isoformat(state.failing_since)}: {state.failure}")
    elif state.succeeded_at is None:
        concerns.append("was never read; is bridge running?")
    elif now - state.succeeded_at > silent_after:
        concerns.append(f"was last read {isoformat(state.succeeded_at)}; is bridge running?")
    if count := verdicts.get("held"):
        concerns.append(f"{count} orders held; see: bridge held --storefront {storefront.name}")
    return concerns


def _swept(sweeps: "list[Run]", ended: "list[Run]") -> list[str]:
    """Say that the last sweep failed, unless a later run ended well."""
    return [
        f"the last sweep failed: {sweep.failure}"
        for sweep in sweeps
        if sweep.failure and all(run.run_id < sweep.run_id for run in ended)
    ]


def _print_json(standings: list[Standing], waiting: int, behind: "Backlog") -> None:
    from bridge.cli.output import print_json

    data = [
        _times(standing.state) | {"orders": standing.verdicts, "concerns": standing.concerns}
        for standing in standings
    ]
    print_json({"storefronts": data, "inbox_waiting": waiting, **behind.as_json()})


def _times(state: "State") -> dict[str, Any]:
    """Return the state with its instants as RFC 3339."""
    return {
        name: isoformat(value) if isinstance(value, int) else value
        for name, value in state._asdict().items()
    }


def _print_table(standings: list[Standing], waiting: int, now: Instant) -> None:
    from bridge.cli.output import ago, moment, print_table

    print_table(
        ("storefront", "last read", "cursor", "swept", ">credited", ">waiting", ">held", "state"),
        (
            (
                state.name,
                ago(state.succeeded_at, now),
                moment(state.cursor),
                ago(state.swept_at, now),
                *(verdicts.get(verdict, 0) for verdict in ("credited", "waiting", "held")),
                "needs attention" if concerns else "fine",
            )
            for state, verdicts, concerns in standings
        ),
        "no storefronts are configured",
    )
    for standing in standings:
        for concern in standing.concerns:
            typer.echo(f"{standing.state.name}: {concern}")
    typer.echo(f"{waiting} hints wait")
