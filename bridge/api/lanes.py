"""The lanes: what the express lane serves, and how it is asked of the store and answered."""

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import msgspec

from bridge.api import debits, moves
from bridge.api.asks import KEY_MAX, PlainDebit, PlainDebits
from bridge.api.plain import Headers, asked, json_length
from bridge.api.services import Services
from bridge.domain.clock import Instant
from bridge.domain.entry import REPLAYED, Draft, Outcome
from bridge.domain.errors import BridgeError
from bridge.domain.money import is_currency
from bridge.domain.tenant import is_tenant_id
from bridge.domain.wallet import Wallet, WalletId
from bridge.store import shown
from bridge.store.balances import Balances
from bridge.store.batcher import Batcher, Result

Told = tuple[int, bytes, bytes]
"""A status, more header lines and a body."""
Reply = Callable[[], Told | None]
"""What is to be told; raises why nothing can be. None where the framework is to serve after all."""
Answer = Callable[[Reply], None]
"""Takes the reply."""
Ask = Callable[[Answer], None]
"""What asks the store, and hands in the reply: once, at once or later, in the event loop."""


class Lane(Protocol):
    """How one path is served."""

    @property
    def path(self) -> str:
        """The path's name in the metrics."""

    @property
    def scope(self) -> str:
        """What the caller's key must allow."""

    def length(self, headers: Headers) -> int | None:
        """Return how many bytes the body has, None where that is odd."""

    def read(self, services: Services, caller: str, headers: Headers, body: bytes) -> Ask | None:
        """Read a whole request, and return what asks for its reply; None where something is odd."""


def lane_of(line: bytes) -> Lane | None:
    """Return the lane of a request by its first line, None for all that take none."""
    if lane := _DEBITS.get(line):
        return lane
    if found := _BALANCE.fullmatch(line):
        return Balance(*map(bytes.decode, found.groups()))
    return None


class Debits(NamedTuple):
    """Debits of one path: how they are read from a body, and how their outcomes are answered."""

    path: str
    drafts: Callable[[bytes, str, Headers], list[Draft] | None]
    shown: Callable[[Sequence[Draft], Sequence[Outcome]], Told]
    scope: str = "debit"

    def length(self, headers: Headers) -> int | None:
        """Return how many bytes a plain body in JSON has."""
        return json_length(headers)

    def read(self, services: Services, caller: str, headers: Headers, body: bytes) -> Ask | None:
        """Return what posts the drafts in one commit that other requests share."""
        drafts = self.drafts(body, caller, headers)
        if not drafts or not all(_is_good(services, d.tenant_id, d.currency) for d in drafts):
            return None
        return partial(self._post, services.batcher, drafts)

    def _post(self, batcher: Batcher, drafts: Sequence[Draft], answer: Answer) -> None:
        def tell(result: Result) -> None:
            answer(partial(self._reply, drafts, result))

        try:
            batcher.hand_in(drafts, tell)
        except BridgeError as error:
            tell(error)

    def _reply(self, drafts: Sequence[Draft], result: Result) -> Told:
        if isinstance(result, Exception):
            raise result
        return self.shown(drafts, result)


class Balance(NamedTuple):
    """The balance of a tenant in a currency."""

    tenant_id: str
    currency: str
    path: str = "/v1/tenants/{tenant_id}/balances/{currency}"
    scope: str = "read"

    def length(self, headers: Headers) -> int | None:
        """Return 0: there is no body."""
        return None if b"content-length" in headers else 0

    def read(self, services: Services, _caller: str, _headers: Headers, _body: bytes) -> Ask | None:
        """Return what looks the wallet up by a question that other requests share."""
        good = _is_good(services, self.tenant_id, self.currency)
        if not good or not services.balances.can_ask():
            return None
        wallet_id = WalletId(self.tenant_id, self.currency)
        return partial(_look_up, services.balances, wallet_id, services.clock())


def _is_good(services: Services, tenant_id: str, currency: str) -> bool:
    return is_tenant_id(tenant_id, services.tenant_pattern) and is_currency(currency)


def _look_up(balances: Balances, wallet_id: WalletId, now: Instant, answer: Answer) -> None:
    def tell(wallet: Wallet | None) -> None:
        answer(partial(_shown, wallet, now))

    balances.ask(wallet_id, tell)


def _shown(wallet: Wallet | None, now: Instant) -> Told | None:
    return None if wallet is None else (200, b"", msgspec.json.encode(shown.balance(wallet, now)))


# What an id is made of when it need not be escaped in a path.
_BALANCE = re.compile(
    rb"GET /v1/tenants/([A-Za-z0-9._:@+=~-]+)/balances/([A-Z]{3}) HTTP/1\.1", re.ASCII
)

_one = msgspec.json.Decoder(PlainDebit)
_many = msgspec.json.Decoder(PlainDebits)


def _read_one(body: bytes, caller: str, headers: Headers) -> list[Draft] | None:
    one = asked(body, _one)
    key = headers.get(b"idempotency-key", b"").decode()
    return [debits.draft(one, caller, key)] if one and 0 < len(key) <= KEY_MAX else None


def _read_many(body: bytes, caller: str, _headers: Headers) -> list[Draft] | None:
    many = asked(body, _many)
    if many is None:
        return None
    return [debits.draft(one, caller, one.idempotency_key) for one in many.debits]


def _answer_one(drafts: Sequence[Draft], outcomes: Sequence[Outcome]) -> Told:
    [draft], [outcome] = drafts, outcomes
    if outcome.entry is None:
        raise moves.declined(draft, outcome)
    replayed = _REPLAYED if outcome.status == REPLAYED else b""
    return 201, replayed, msgspec.json.encode(shown.entry(outcome.entry))


def _answer_many(drafts: Sequence[Draft], outcomes: Sequence[Outcome]) -> Told:
    data = list(map(debits.became, drafts, outcomes))
    return 200, b"", msgspec.json.encode({"data": data})


_REPLAYED = moves.REPLAYED_HEADER.lower().encode() + b": true\r\n"

_DEBITS = {
    b"POST %b HTTP/1.1" % lane.path.encode(): lane
    for lane in (
        Debits("/v1/debits", _read_one, _answer_one),
        Debits("/v1/debits/batch", _read_many, _answer_many),
    )
}
