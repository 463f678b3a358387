"""The express lane: debits, which are most of what a SaaS core asks, past the framework.

It knows only requests that are plainly good. Whatever else one may be goes on to the framework as
it came, so that one place refuses and explains; both make the same drafts and the same answers.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from pydantic import ValidationError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bridge.api import debits, moves, strict
from bridge.api.answers import shown
from bridge.api.asks import DebitAsk, DebitBatchAsk
from bridge.api.auth import KeyRing
from bridge.api.middleware import BODY_SIZE_MAX, Patience
from bridge.api.problems import ProblemError, invalid
from bridge.api.services import Desk
from bridge.domain.entry import REPLAYED, Draft, Outcome
from bridge.domain.tenant import is_tenant_id

LENGTH_DIGITS_MAX = 6
"""Digits of a Content-Length that surely is within the limit of `LimitBody`."""

_KEY = re.compile(rb"[ -~]{1,255}")
_JSON = (b"content-type", b"application/json")
_REPLAYED = (moves.REPLAYED_HEADER.lower().encode(), b"true")


class Express:
    """Serves plain debits, and passes on all other requests."""

    def __init__(self, app: ASGIApp, desk: Desk, ring: KeyRing) -> None:
        self._app = app
        self._desk = desk
        self._ring = ring
        self._patience = Patience()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; ProblemError where a single debit is declined."""
        lane = _LANES.get(scope["path"]) if scope["type"] == "http" else None
        caller = await self._caller(scope) if lane else None
        if lane is None or caller is None:
            await self._app(scope, receive, send)
            return
        message = await self._patience.receive(receive)
        drafts = self._drafts(lane, caller, scope, message)
        if drafts is None:
            await self._app(scope, _again(message, receive), send)
            return
        scope["route"] = lane
        status, headers, body = lane.answer(drafts, await self._desk.post(drafts))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _caller(self, scope: Scope) -> str | None:
        """Return who sends a request whose headers are plainly good."""
        headers = dict(scope["headers"])
        plain = (
            scope["method"] == "POST"
            and not scope["query_string"]
            and len(headers) == len(scope["headers"])  # none is given twice
            and headers.get(b"content-type") == b"application/json"
            and len(headers.get(b"content-length", b"")) <= LENGTH_DIGITS_MAX
        )
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        plain = plain and scheme == b"Bearer"
        key = await self._ring.find(token.decode("latin-1")) if plain else None
        if key is None or "debit" not in key.scopes:
            return None
        scope["state"]["key"] = key
        return key.name

    def _drafts(
        self, lane: "_Lane", caller: str, scope: Scope, message: Message
    ) -> list[Draft] | None:
        body = message.get("body", b"")
        if message.get("more_body") or len(body) > BODY_SIZE_MAX:
            return None
        try:
            drafts = lane.read(strict.loads(body), caller, dict(scope["headers"]))
        except (ProblemError, ValidationError):
            return None
        pattern = self._desk.services.tenant_pattern
        plain = all(is_tenant_id(draft.tenant_id, pattern) for draft in drafts)
        return drafts if plain else None


_Answer = tuple[int, list[tuple[bytes, bytes]], bytes]


class _Lane(NamedTuple):
    """How one path is served. `path` is its name in the metrics.

    `read` makes drafts of a body, a caller and headers, and raises what is wrong with them.
    """

    path: str
    read: Callable[[Any, str, Mapping[bytes, bytes]], list[Draft]]
    answer: Callable[[Sequence[Draft], Sequence[Outcome]], _Answer]


def _read_one(body: Any, caller: str, headers: Mapping[bytes, bytes]) -> list[Draft]:
    key = headers.get(b"idempotency-key", b"")
    if not _KEY.fullmatch(key):
        raise invalid([("Idempotency-Key", "is required")])
    return [debits.draft(DebitAsk.model_validate(body), caller, key.decode())]


def _answer_one(drafts: Sequence[Draft], outcomes: Sequence[Outcome]) -> _Answer:
    [draft], [outcome] = drafts, outcomes
    if outcome.entry is None:
        raise moves.declined(draft, outcome)
    body = msgspec.json.encode(shown(outcome.entry))
    headers = [_JSON, (b"content-length", b"%d" % len(body))]
    if outcome.status == REPLAYED:
        headers.append(_REPLAYED)
    return 201, headers, body


def _read_many(body: Any, caller: str, _headers: Mapping[bytes, bytes]) -> list[Draft]:
    asked = DebitBatchAsk.model_validate(body)
    return [debits.draft(debit, caller, debit.idempotency_key) for debit in asked.debits]


def _answer_many(drafts: Sequence[Draft], outcomes: Sequence[Outcome]) -> _Answer:
    body = msgspec.json.encode({"data": list(map(debits.became, drafts, outcomes))})
    return 200, [_JSON, (b"content-length", b"%d" % len(body))], body


_LANES = {
    lane.path: lane
    for lane in (
        _Lane("/v1/debits", _read_one, _answer_one),
        _Lane("/v1/debits/batch", _read_many, _answer_many),
    )
}


def _again(message: Message, receive: Receive) -> Receive:
    """Return a `receive` that begins with a message which was received before."""
    first = [message]

    async def once_more() -> Message:
        return first.pop() if first else await receive()

    return once_more
