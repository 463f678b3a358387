"""Commands about events: what was told, what could not be, and telling it again."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.common import AsJson, ConfigFile, opened, tell
from bridge.domain.clock import DAY, Instant, isoformat, parse
from bridge.domain.errors import InvalidRequestError, NotFoundError

if TYPE_CHECKING:
    from bridge.store.attempts import DeadLetter
    from bridge.store.database import Connection
    from bridge.wiring import Wiring

app = typer.Typer(
    help="Events: read, and delivered once more where that failed.", no_args_is_help=True
)

Endpoint = Annotated[
    str | None, typer.Option("--endpoint", metavar="NAME", help="Only this endpoint.")
]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at most.")]


@app.command("list")
def show(  # noqa: PLR0913 - each is an option
    config: ConfigFile = None,
    *,
    after: Annotated[
        str | None, typer.Option("--after", metavar="EVENT", help="Those behind this one.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="TIME", help="Those published since; a day ago unless given."
        ),
    ] = None,
    tenant: Annotated[
        str | None, typer.Option("--tenant", metavar="TENANT", help="Only this tenant's.")
    ] = None,
    types: Annotated[
        list[str] | None,
        typer.Option(
            "--type", metavar="TYPE", help="Such as wallet.debited or renewal.*; several."
        ),
    ] = None,
    dead: Annotated[
        bool, typer.Option("--dead", help="Those that were given up, the latest first.")
    ] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List events, the oldest first; or, with --dead, those that an endpoint never took."""
    from bridge.cli.output import print_json
    from bridge.store import events
    from bridge.store.events import Wanted

    if dead and (after or since or tenant or types):
        raise InvalidRequestError("--dead lists all that was given up; it goes with --limit alone")
    with opened(config) as wiring, wiring.database.read() as tx:
        if dead:
            return _show_dead(tx, limit, as_json=as_json)
        seq = _behind(tx, after, since, wiring.clock())
        found = events.after(tx, seq, limit + 1, Wanted(tenant, _types(types)))
        bodies = events.bodies(tx, found[:limit])
    cursor = found[limit - 1].id if len(found) > limit else None
    if as_json:
        print_json({"data": bodies, "next_cursor": cursor})
        return None
    _print_events(bodies)
    if cursor:
        tell(f"there are more: --after {cursor}")
    return None


@app.command()
def retry(
    event_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[EVENT]...", help="Else all that were given up.")
    ] = None,
    config: ConfigFile = None,
    *,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Have events that were given up tried once more, by the daemon."""
    from bridge.cli.output import print_json
    from bridge.domain.event import EventId
    from bridge.store import attempts, events

    with opened(config) as wiring, wiring.database.write() as tx:
        _check(wiring, endpoint)
        seqs = [events.get(tx, EventId.parse(text)).seq for text in event_ids or ()]
        number = attempts.retry(tx, wiring.clock(), endpoint=endpoint, seqs=seqs)
    if seqs and not number:
        raise NotFoundError("none of these was given up; see: bridge events list --dead")
    if as_json:
        print_json({"retried": number})
    else:
        typer.echo(f"{number} dead letters will be tried once more")


@app.command()
def replay(
    since: Annotated[
        str,
        typer.Option("--since", metavar="TIME|EVENT", help="From this time, or this event, on."),
    ],
    config: ConfigFile = None,
    *,
    endpoint: Endpoint = None,
    as_json: AsJson = False,
) -> None:
    """Have events delivered again, those that were taken too; the daemon does it.

    Without --endpoint to all that take webhooks: letters are written again only where asked for.
    """
    from bridge.cli.output import print_json, print_table
    from bridge.store import lanes

    with opened(config) as wiring, wiring.database.write() as tx:
        seq = _before(tx, since)
        now = wiring.clock()
        set_back = {
            name: lanes.set_back(tx, name, sorted(types), seq, now)
            for name, types in _chosen(wiring, endpoint).items()
        }
    if as_json:
        print_json({"set_back": set_back})
        return
    print_table(("endpoint", ">tenants"), sorted(set_back.items()), "no endpoints are configured")


def _behind(tx: "Connection", after: str | None, since: str | None, now: Instant) -> int:
    """Return the number behind which the list begins."""
    from bridge.domain.event import EventId
    from bridge.store import events

    if after is not None:
        return events.behind(tx, EventId.parse(after))
    return events.since(tx, now - DAY if since is None else _moment(since))


def _before(tx: "Connection", since: str) -> int:
    """Return the number before an event, or before the first of a time."""
    from bridge.domain.event import EventId
    from bridge.store import events

    if since.startswith("evt_"):
        return events.get(tx, EventId.parse(since)).seq - 1
    return events.since(tx, _moment(since))


def _moment(text: str) -> Instant:
    try:
        return parse(text)
    except ValueError as error:
        raise InvalidRequestError(
            f"--since is no time ({error}); write a date such as 2026-11-22 or a time such as "
            "2026-11-22T12:00:00Z"
        ) from None


def _types(patterns: list[str] | None) -> tuple[str, ...]:
    from bridge.domain.event_types import chosen

    try:
        return tuple(sorted(chosen(patterns))) if patterns else ()
    except ValueError as error:
        raise InvalidRequestError(f"--type {error}") from None


def _chosen(wiring: "Wiring", endpoint: str | None) -> dict[str, frozenset[str]]:
    """Return the endpoint that is named, or all that take webhooks, with their types."""
    _check(wiring, endpoint)
    if endpoint is None:
        return {one.name: one.wanted for one in wiring.config.events.endpoints}
    return {endpoint: dict(wiring.subscribers)[endpoint]}


def _check(wiring: "Wiring", endpoint: str | None) -> None:
    """Raise NotFoundError where an endpoint is named that nothing is sent to."""
    names = [one.endpoint for one in wiring.subscribers]
    if endpoint is not None and endpoint not in names:
        known = ", ".join(names) or "none"
        raise NotFoundError(f"no endpoint {endpoint!a:.60} is configured; there are: {known}")


def _print_events(bodies: list[dict[str, Any]]) -> None:
    from bridge.cli.output import print_table

    print_table(
        ("event", "time", "type", "tenant", "tells"),
        (
            (
                body["id"],
                f"{body['timestamp'][:19]}Z",
                body["type"],
                body["tenant_id"] or "-",
                _tells(body["data"]),
            )
            for body in bodies
        ),
        "no events",
    )


def _tells(data: dict[str, Any]) -> str:
    """Say what an event is about, in a few words."""
    from bridge.cli.output import money

    named = data.get("reference") or data.get("id") or data.get("storefront") or ""
    amount = data.get("available", data.get("amount") or data.get("held"))
    if amount is None or "currency" not in data:
        return str(named)
    return f"{money(amount, data['currency'])} {named}".strip()


def _show_dead(tx: "Connection", limit: int, *, as_json: bool) -> None:
    from bridge.cli.output import print_json, print_table
    from bridge.store import attempts

    letters = [_dead(tx, letter) for letter in attempts.dead(tx, limit)]
    if as_json:
        print_json({"data": letters, "next_cursor": None})
        return
    print_table(
        ("event", "endpoint", "tenant", "given up", "because"),
        (
            (
                one["event_id"],
                one["endpoint"],
                one["tenant_id"] or "-",
                one["died_at"],
                one["because"],
            )
            for one in letters
        ),
        "no dead letters",
    )


def _dead(tx: "Connection", letter: "DeadLetter") -> dict[str, Any]:
    from bridge.store import events

    found = events.after(tx, letter.seq - 1, 1)
    return {
        # An event may be pruned before its letter is.
        "event_id": found[0].id if found and found[0].seq == letter.seq else None,
        "endpoint": letter.endpoint,
        "tenant_id": letter.tenant_id or None,
        "died_at": isoformat(letter.died_at),
        "because": letter.because,
        "retry_at": None if letter.retry_at is None else isoformat(letter.retry_at),
    }
