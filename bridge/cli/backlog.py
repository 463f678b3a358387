"""What `bridge status` says of what is to be done: events to tell, and renewals to make."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from bridge.domain.clock import HOUR, MINUTE, Instant, isoformat

if TYPE_CHECKING:
    from bridge.domain.renewal import Renewal
    from bridge.notify.publish import Subscriber
    from bridge.store.database import Connection
    from bridge.store.lanes import Standing

FAILING_MAX = HOUR
"""How long an endpoint may fail before somebody should know."""

OUTBOX_AGE_MAX = MINUTE
"""How old the oldest fact in the outbox may be; the daemon publishes within a second."""

RENEWALS_LATE_MAX = 5 * MINUTE
"""How late renewals may be; the daemon looks every few seconds."""


class Endpoint(NamedTuple):
    """How an endpoint does: tenants with events to send, and what was given up.

    To one that is not `configured` any more nothing is sent, and nobody need worry.
    """

    name: str
    configured: bool
    behind: int
    failing_since: Instant | None
    dead: int
    concerns: list[str]


class Backlog(NamedTuple):
    """What waits: facts in the outbox, events for endpoints, and since when renewals do.

    `put_off` is how many of those could not be looked at, and are tried again.
    """

    endpoints: list[Endpoint]
    outbox_waiting: int
    outbox_oldest: Instant | None
    renewals_since: Instant | None
    put_off: int
    late: list[str]

    @property
    def concerns(self) -> list[str]:
        """Everything that needs attention."""
        return [*self.late, *(text for one in self.endpoints for text in one.concerns)]

    def as_json(self) -> dict[str, Any]:
        """Return the members of the status that tell of this."""
        endpoints = [
            one._asdict() | {"failing_since": _time(one.failing_since)} for one in self.endpoints
        ]
        outbox = {"waiting": self.outbox_waiting, "oldest": _time(self.outbox_oldest)}
        renewals = {"late_since": _time(self.renewals_since), "put_off": self.put_off}
        return {
            "endpoints": endpoints,
            "outbox": outbox,
            "renewals": renewals,
            "concerns": self.late,
        }


def read(tx: "Connection", subscribers: "Sequence[Subscriber]", now: Instant) -> Backlog:
    """Return how it stands."""
    from bridge.billing.renewals import WAIT
    from bridge.store import outbox, renewals

    waiting, oldest = outbox.waiting(tx)
    due = renewals.oldest(tx)
    since = due if due is not None and due < now else None
    put_off = renewals.put_off(tx, now, now + WAIT)
    late = _late(oldest, since, now) + _put_off(put_off)
    return Backlog(_endpoints(tx, subscribers, now), waiting, oldest, since, len(put_off), late)


def print_lines(backlog: Backlog, now: Instant) -> None:
    """Say how it stands, a line for each."""
    from bridge.cli.output import ago, print_table

    if backlog.endpoints:
        print_table(
            ("endpoint", ">tenants behind", "failing since", ">dead letters"),
            (
                (
                    one.name if one.configured else f"{one.name} (gone from the configuration)",
                    one.behind,
                    "-" if one.failing_since is None else ago(one.failing_since, now),
                    one.dead,
                )
                for one in backlog.endpoints
            ),
            "",
        )
    for one in backlog.endpoints:
        for concern in one.concerns:
            typer.echo(f"{one.name}: {concern}")
    for concern in backlog.late:
        typer.echo(concern)
    typer.echo(f"{backlog.outbox_waiting} facts wait to be published")


def _endpoints(
    tx: "Connection", subscribers: "Sequence[Subscriber]", now: Instant
) -> list[Endpoint]:
    """Return the endpoints that are configured, and those that still have something."""
    from bridge.store import attempts, lanes

    standings = {one.endpoint: one for one in lanes.standings(tx)}
    dead = attempts.dead_by_endpoint(tx)
    names = [one.endpoint for one in subscribers]
    found = [_endpoint(tx, name, standings.get(name), dead.get(name, 0), now) for name in names]
    gone = [
        Endpoint(name, False, standing.behind, standing.failing_since, dead.get(name, 0), [])
        for name, standing in standings.items()
        if name not in names
    ]
    return found + gone


def _endpoint(
    tx: "Connection", name: str, standing: "Standing | None", dead: int, now: Instant
) -> Endpoint:
    from bridge.store import deliveries

    behind, since = (standing.behind, standing.failing_since) if standing else (0, None)
    concerns = []
    if since is not None and now - since > FAILING_MAX:
        failure = deliveries.last_failure(tx, name) or "what came of it is kept no more"
        concerns.append(f"failing since {isoformat(since)}: {failure}")
    if dead:
        concerns.append(
            f"{dead} events were given up; see: bridge events list --dead, and then: "
            f"bridge events retry --endpoint {name}"
        )
    return Endpoint(name, True, behind, since, dead, concerns)


def _late(outbox_oldest: Instant | None, renewals_since: Instant | None, now: Instant) -> list[str]:
    late = []
    if outbox_oldest is not None and now - outbox_oldest > OUTBOX_AGE_MAX:
        late.append(f"events wait since {isoformat(outbox_oldest)}; is bridge running?")
    if renewals_since is not None and now - renewals_since > RENEWALS_LATE_MAX:
        minutes = (now - renewals_since) // MINUTE
        late.append(f"renewals are {minutes} min late; is bridge running?")
    return late


def _put_off(renewals: "Sequence[Renewal]") -> list[str]:
    return [
        f"{len(renewals)} renewals could not be looked at, the first of them {one.reference!a:.140}"
        f" of {one.tenant_id}; tried again {isoformat(one.look_at or 0)}; the log says why"
        for one in renewals[:1]
    ]


def _time(instant: Instant | None) -> str | None:
    return None if instant is None else isoformat(instant)
