"""From a request to an entry: what all endpoints that move money share."""

from typing import Annotated, Any, NamedTuple

from fastapi import Depends, Response

from bridge.api import problems
from bridge.api.asks import Key, OptionalKey
from bridge.api.auth import AdminCaller, DebitCaller, DepositCaller
from bridge.api.problems import ProblemError
from bridge.api.services import Desk, DeskHere
from bridge.domain.entry import REPLAYED, Draft, Entry, Outcome, Reason
from bridge.domain.money import format_amount

REPLAYED_HEADER = "Idempotent-Replayed"

_DECLINES: dict[Reason, tuple[int, str]] = {
    Reason.INSUFFICIENT: (402, "less is available than asked for; deposit at least the shortfall"),
    Reason.KEY_REUSED: (
        422,
        "this Idempotency-Key belongs to a request with other content; choose a new one",
    ),
    Reason.UNKNOWN_TENANT: (
        404,
        "no such tenant; it is created by its first deposit, or by PUT /v1/tenants/{tenant_id}",
    ),
    Reason.NOT_FOUND: (404, "no such debit or hold; check the entry id"),
    Reason.HOLD_CLOSED: (
        409,
        "the hold was captured, voided or expired before; GET it to see which",
    ),
    Reason.HOLD_EXPIRED: (409, "the hold's time has run out; place a new one"),
    Reason.HOLD_RUNNING: (409, "the hold's time has not run out yet; void it to end it now"),
    Reason.EXCEEDS_HOLD: (422, "a capture takes at most what was held"),
    Reason.EXCEEDS_DEBIT: (422, "refunds of a debit add up to at most the debit"),
    Reason.BALANCE_LIMIT: (422, "the balance would no longer fit a 64-bit integer"),
}


class Move(NamedTuple):
    """A request that moves money: who sends it, under which key, and where its answer goes."""

    caller: str
    key: str
    desk: Desk
    response: Response

    async def post(self, draft: Draft, *, reserved: int = 0) -> Entry:
        """Post a draft and return its entry, marking the response where it was posted before.

        `reserved` is what a hold set aside for this very draft. ProblemError where it is declined.
        """
        [outcome] = await self.desk.post([draft])
        if outcome.entry is None:
            raise declined(draft, outcome, reserved=reserved)
        if outcome.status == REPLAYED:
            self.response.headers[REPLAYED_HEADER] = "true"
        return outcome.entry


async def _debiting(caller: DebitCaller, key: Key, desk: DeskHere, response: Response) -> Move:
    return Move(caller, key, desk, response)


async def _voiding(
    caller: DebitCaller, desk: DeskHere, response: Response, key: OptionalKey = None
) -> Move:
    return Move(caller, key or "", desk, response)


async def _adjusting(caller: AdminCaller, key: Key, desk: DeskHere, response: Response) -> Move:
    return Move(caller, key, desk, response)


async def _depositing(caller: DepositCaller, key: Key, desk: DeskHere, response: Response) -> Move:
    return Move(caller, key, desk, response)


Debiting = Annotated[Move, Depends(_debiting)]
Voiding = Annotated[Move, Depends(_voiding)]
Adjusting = Annotated[Move, Depends(_adjusting)]
Depositing = Annotated[Move, Depends(_depositing)]


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses of an endpoint that moves money: an entry, or these problems."""
    replayed = {
        "description": "`true` where this request was posted before.",
        "schema": {"type": "string", "enum": ["true"]},
    }
    posted = {201: {"description": "Posted.", "headers": {REPLAYED_HEADER: replayed}}}
    return posted | problems.documented(400, 413, 415, 422, *statuses)


def refused(reason: Reason) -> ProblemError:
    """Return the problem of a request that is refused for a reason of the ledger's."""
    status, advice = _DECLINES[reason]
    return ProblemError(status, reason.value, advice)


def declined(draft: Draft, outcome: Outcome, *, reserved: int = 0) -> ProblemError:
    """Return the problem of a declined draft; `code` is the reason."""
    reason = outcome.reason or Reason.NOT_FOUND
    if reason is Reason.UNKNOWN_TENANT and draft.related_version is not None:
        reason = Reason.NOT_FOUND  # the caller named an entry, not a tenant
    if reason is not Reason.INSUFFICIENT:
        return refused(reason)
    status, advice = _DECLINES[reason]
    shortfall = (draft.amount or reserved) - reserved - outcome.available
    return ProblemError(
        status,
        reason.value,
        f"{advice} of {format_amount(shortfall, draft.currency)} {draft.currency}",
        available=outcome.available,
        shortfall=shortfall,
        currency=draft.currency,
    )
