"""Past the framework nothing is answered otherwise than by it, and nothing is counted otherwise."""

import asyncio
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from shutil import copy
from types import MappingProxyType
from typing import Any, NamedTuple

import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from bridge import logs, metrics
from bridge.api.app import _framework, internal_app, refusing
from bridge.api.asks import BATCH_MAX
from bridge.api.auth import KEY_CACHED_S, Authenticate, KeyRing
from bridge.api.express import Express, Protocol
from bridge.api.middleware import Explain, LimitBody, Observe
from bridge.api.services import Desk, Services
from bridge.daemon.listeners import server
from bridge.store import bulk, keys, tables
from bridge.store.database import Database
from tests.api.calling import Api, debit, served
from tests.conftest import FakeClock
from tests.store.drafting import adjustment, posted

BATCH = "/v1/debits/batch"
BALANCE = "/v1/tenants/acme/balances/EUR"
BALANCES = "/v1/tenants/{tenant_id}/balances/{currency}"
API_KEYS = tables.table(tables.ApiKey)

Headers = Mapping[bytes, bytes | None]


class Request(NamedTuple):
    """A request as it comes over the wire: its head, and its body in these pieces."""

    headers: tuple[tuple[bytes, bytes], ...] = ()
    pieces: tuple[bytes, ...] = (b"",)
    method: str = "POST"
    path: str = "/v1/debits"
    broken_off: bool = False

    @property
    def head(self) -> bytes:
        line = f"{self.method} {self.path} HTTP/1.1\r\n".encode()
        return line + b"".join(b"%b: %b\r\n" % header for header in self.headers) + b"\r\n"


class Reply(NamedTuple):
    """What came back, but for the time and the request's name; status 0 where nothing did."""

    status: int = 0
    headers: Sequence[tuple[bytes, bytes]] = ()
    body: Any = None
    counted: Mapping[tuple[str, str], float] = MappingProxyType({})
    logged: Sequence[dict[str, Any]] = ()


class Wire(asyncio.Transport):
    """The connection as the server sees it; keeps what is written."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> None:
        if not self.closed:
            self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        """Nothing comes unasked."""

    resume_reading = pause_reading


class Way:
    """An application behind the protocol that serves it, asked over a wire."""

    def __init__(self, app: ASGIApp, runner: asyncio.Runner, lines: io.StringIO) -> None:
        self._config = server(app, drain_timeout_s=1).config
        self._runner = runner
        self._lines = lines

    def ask(self, request: Request) -> Reply:
        before, seen = counted(), self._lines.tell()
        [reply] = self._runner.run(self.answers([request])) or [Reply()]
        after = counted()
        return reply._replace(
            counted={k: n - before.get(k, 0) for k, n in after.items() if n != before.get(k, 0)},
            logged=logged(self._lines.getvalue()[seen:]),
        )

    async def answers(self, requests: Sequence[Request]) -> list[Reply]:
        """Send requests one behind the other, without waiting, and return all answers."""
        wire, state = Wire(), ServerState()
        protocol = Protocol(self._config, state, {})
        protocol.connection_made(wire)
        for request in requests:
            first, *rest = request.pieces or (b"",)
            for piece in (request.head + first, *rest):
                if piece and not wire.closed:
                    protocol.data_received(piece)
        if requests[-1].broken_off:
            protocol.connection_lost(ConnectionResetError())
        await until_quiet(protocol, state)
        if not requests[-1].broken_off:
            protocol.connection_lost(None)
        return Answers(b"".join(wire.written)).found


async def until_quiet(protocol: Protocol, state: ServerState) -> None:
    """Wait until nothing is under way any more, nor anything begins."""
    seen: Any = None
    while True:
        cycle: Any = protocol.cycle
        ended = cycle is None or cycle.response_complete or cycle.disconnected
        lane = protocol._serving or protocol._unread
        if cycle is seen and ended and not lane and not state.tasks:
            return
        seen = cycle
        await asyncio.sleep(0.001)


class Answers:
    """Reads what was written on a wire: answers, one behind the other."""

    def __init__(self, written: bytes) -> None:
        self.found: list[Reply] = []
        self._parser = httptools.HttpResponseParser(self)
        self._parser.feed_data(written)

    def on_message_begin(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = b""

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() not in {b"x-request-id", b"date"}:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.found.append(Reply(self._parser.get_status_code(), sorted(self._headers), None))

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        is_json = any(b"json" in value for name, value in self._headers if name == b"content-type")
        shown = json.loads(self._body) if is_json and self._body else self._body.decode()
        self.found[-1] = self.found[-1]._replace(body=shown)


class Both(NamedTuple):
    """The whole application and the framework alone, on databases that hold the same."""

    whole: Way
    alone: Way
    apis: tuple[Api, Api]
    tokens: Mapping[str, bytes]

    def ask(self, request: Request) -> Reply:
        """Ask both, and return the one answer they give."""
        whole, alone = self.whole.ask(request), self.alone.ask(request)
        assert whole == alone
        return whole

    def post(
        self, body: Any, path: str = "/v1/debits", headers: Headers = MappingProxyType({})
    ) -> Reply:
        """Ask both for a debit."""
        return self.ask(self.plain(body, path, headers))

    def look(
        self,
        path: str,
        key: str = "core",
        headers: Headers = MappingProxyType({}),
        method: str = "GET",
    ) -> Reply:
        """Ask both for what a key may read."""
        return self.ask(look(self.tokens[key], path, headers)._replace(method=method))

    def plain(
        self, body: Any, path: str = "/v1/debits", headers: Headers = MappingProxyType({})
    ) -> Request:
        """A debit by the key that may debit."""
        return plain(self.tokens["core"], body, path, headers)


def plain(token: bytes, body: Any, path: str, headers: Headers) -> Request:
    """A debit as a SaaS core sends it, with some headers changed, or left out where None."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    usual: Headers = {
        b"host": b"bridge",
        b"authorization": b"Bearer " + token,
        b"idempotency-key": b"d1",
        b"content-type": b"application/json",
        b"content-length": b"%d" % len(raw),
    }
    sent = {name: value for name, value in {**usual, **headers}.items() if value is not None}
    return Request(tuple(sent.items()), (raw,), path=path)


def look(token: bytes, path: str = BALANCE, headers: Headers = MappingProxyType({})) -> Request:
    """A look at a balance as a SaaS core sends it, with some headers changed, or left out."""
    usual: Headers = {b"host": b"bridge", b"authorization": b"Bearer " + token}
    sent = {name: value for name, value in {**usual, **headers}.items() if value is not None}
    return Request(tuple(sent.items()), (b"",), "GET", path)


def open_balances(api: Api) -> None:
    """Wait for the connection by which balances are looked up."""

    async def opened() -> None:
        while not api.balances.can_ask():  # noqa: ASYNC110 - it tells nobody when it is
            await asyncio.sleep(0.001)

    api._runner.run(opened())


@pytest.fixture
def both(
    database: Database, migrated_sqlite: Path, tmp_path: Path, clock: FakeClock, lines: io.StringIO
) -> Iterator[Both]:
    logs.configure(json=True, level="info", stream=lines)
    other = Database(f"sqlite:///{copy(migrated_sqlite, tmp_path / 'other.db')}")
    with served(database, clock) as api, served(other, clock) as apart:
        scopes = {"core": ["debit", "read"], "reader": ["read"], "gone": ["debit"]}
        tokens = {name: api.new_key(name, *some).encode() for name, some in scopes.items()}
        fund(database, other)
        yield Both(
            Way(internal_app(api.services), api._runner, lines),
            Way(framework_alone(apart.services), apart._runner, lines),
            (api, apart),
            tokens,
        )
    other.close()


def fund(database: Database, other: Database) -> None:
    """Let both have the same keys and the same wallets."""
    with database.read() as tx:
        known = tx.execute(select(API_KEYS)).all()
    with other.write() as tx:
        bulk.insert(tx, API_KEYS, list(map(tuple, known)))
    drafts = adjustment(5000), adjustment(10**15, tenant_id="rich"), adjustment(1, currency="USD")
    for one in (database, other):
        posted(one, *drafts)


def framework_alone(services: Services) -> ASGIApp:
    """What `internal_app` would be without the express lane."""
    desk = Desk(services)
    return Observe(Explain(LimitBody(Authenticate(_framework(desk), KeyRing(desk)))))


@pytest.fixture
def warm(both: Both) -> Both:
    """Both have seen the keys, which the express lane leaves to the framework the first time."""
    for token in both.tokens.values():
        headers = ((b"authorization", b"Bearer " + token),)
        both.ask(Request(headers, method="GET", path="/v1/tenants"))
    open_balances(both.apis[0])
    return both


def counted() -> dict[tuple[str, str], float]:
    """Return how often each route was answered how, and timed."""
    found = {}
    for collector in (metrics.requests_total, metrics.request_seconds):
        for metric in collector.collect():
            for sample in metric.samples:
                if sample.name.endswith(("_total", "_count")):
                    labels = sample.labels
                    found[labels["route"], labels.get("status", "")] = sample.value
    return found


def logged(text: str) -> list[dict[str, Any]]:
    """Return the access log, and whatever else is not from the batcher, without times."""
    lines = [json.loads(line) for line in text.splitlines()]
    for line in lines:
        for changing in ("timestamp", "ms", "request_id", "exception"):
            line.pop(changing, None)
    return [line for line in lines if line["logger"].startswith("bridge.api")]


def batch(*bodies: Any) -> Any:
    keyed = [{"idempotency_key": f"b{n}", **body} for n, body in enumerate(bodies)]
    return {"debits": keyed}


async def unreachable(*_: object) -> None:
    """The framework where nothing should come to it."""
    raise AssertionError


def warm_lane(api: Api, behind: ASGIApp = unreachable) -> Express:
    """The express lane, which has seen the key, and what is behind it."""
    desk = Desk(api.services)
    ring = KeyRing(desk)
    assert api._runner.run(ring.find(api.token))
    return Express(behind, desk, ring, refusing)


def test_plain_debits_do_not_reach_the_framework(money: Api) -> None:
    money.fund(5000)
    way = Way(warm_lane(money), money._runner, io.StringIO())

    def status(body: Any, path: str, key: bytes = b"") -> int:
        headers: Headers = {b"idempotency-key": key or None}
        return way.ask(plain(money.token.encode(), body, path, headers)).status

    assert status(debit(1900), "/v1/debits", b"d1") == 201
    assert status(debit(1900), "/v1/debits", b"d1") == 201
    assert status(debit(9999), "/v1/debits", b"d2") == 402
    assert status(batch(debit(1), debit(2)), BATCH) == 200
    assert money.balance() == (5000 - 1900 - 3, 0)


def test_what_common_clients_send_does_not_reach_the_framework(money: Api) -> None:
    money.fund(5000)
    way = Way(warm_lane(money), money._runner, io.StringIO())
    texts: dict[str, Any] = {
        "description": 'Gr\u00f6\u00dfe "XL"\n',
        "reference": "",
        "metadata": {"\u20ac": "\\"},
    }
    bodies = (
        json.dumps(debit(1, **texts, period=None)).encode(),
        json.dumps(debit(2, **texts), ensure_ascii=False, indent=2).encode(),
    )
    clients: tuple[Headers, ...] = (
        {b"content-type": b"application/json; charset=utf-8", b"connection": b"Keep-Alive"},
        {b"accept": b"*/*", b"user-agent": b"python-requests/2.32", b"x-request-id": b"r-1"},
    )
    for n, headers in enumerate(clients):
        [whole] = plain(money.token.encode(), bodies[n], "/v1/debits", headers).pieces
        key: Headers = {b"idempotency-key": b"c%d" % n, **headers}
        asked = plain(money.token.encode(), whole, "/v1/debits", key)
        assert way.ask(asked).status == 201
        assert way.ask(asked._replace(pieces=(b"", whole[:7], whole[7:]))).status == 201
    assert money.balance() == (5000 - 3, 0)


def test_a_server_that_stops_answers_what_it_has_taken_and_closes(money: Api) -> None:
    money.fund(5000)
    config = server(warm_lane(money), drain_timeout_s=1).config

    async def stop_meanwhile() -> tuple[list[bytes], bool]:
        request, wire = plain(money.token.encode(), debit(1), "/v1/debits", {}), Wire()
        protocol = Protocol(config, ServerState(), {})
        protocol.connection_made(wire)
        protocol.data_received(request.head + request.pieces[0])
        protocol.shutdown()
        assert not wire.closed
        await until_quiet(protocol, protocol.server_state)
        protocol.connection_lost(None)
        return wire.written, wire.closed

    [written], closed = money._runner.run(stop_meanwhile())
    assert b"HTTP/1.1 201 Created\r\n" in written
    assert b"\r\nconnection: close\r\n" in written
    assert closed
    assert money.balance() == (4999, 0)


def test_a_caller_that_goes_away_before_the_answer_is_counted_as_gone(money: Api) -> None:
    money.fund(5000)
    config = server(warm_lane(money), drain_timeout_s=1).config

    async def go_away() -> list[bytes]:
        request, wire = plain(money.token.encode(), debit(1), "/v1/debits", {}), Wire()
        protocol = Protocol(config, ServerState(), {})
        protocol.connection_made(wire)
        protocol.data_received(request.head + request.pieces[0])
        wire.close()
        protocol.connection_lost(None)
        await until_quiet(protocol, protocol.server_state)
        return wire.written

    gone = ("/v1/debits", "499")
    before = counted().get(gone, 0)
    assert money._runner.run(go_away()) == []
    assert counted()[gone] == before + 1
    assert money.balance() == (4999, 0)


def test_a_debit_its_repetition_and_its_declines_are_answered_alike(warm: Both) -> None:
    first = warm.post(debit(1900, reference="inv-7", metadata={"b": "\u00fc", "a": ""}))
    assert first.status == 201
    assert first.counted == {("/v1/debits", "201"): 1, ("/v1/debits", ""): 1}
    assert first.logged == []
    again = warm.post(debit(1900, reference="inv-7", metadata={"a": "", "b": "\u00fc"}))
    assert (again.status, again.body) == (201, first.body)
    assert (b"idempotent-replayed", b"true") in again.headers
    for status, key, body in (
        (422, b"d1", debit(1901)),
        (402, b"d2", debit(2, currency="USD")),
        (404, b"d2", debit(1, tenant_id="nobody")),
    ):
        declined = warm.post(body, headers={b"idempotency-key": key})
        assert declined.status == status
        assert declined.counted[("/v1/debits", str(status))] == 1
        assert [line["path"] for line in declined.logged] == ["/v1/debits"]


def test_a_period_is_paid_once_by_every_way(warm: Both) -> None:
    period = {"reference": "sub-1", "period": "2026-11-30"}
    first = warm.post(debit(1900, **period))
    assert first.status == 201
    assert (b"idempotent-replayed", b"true") not in first.headers
    again = warm.post(debit(1, **period), headers={b"idempotency-key": b"d2"})
    assert (again.status, again.body) == (201, first.body)
    assert (b"idempotent-replayed", b"true") in again.headers
    [one, other] = warm.post(batch(debit(5, **period), debit(5, purpose="other")), BATCH).body[
        "data"
    ]
    assert (one["status"], one["entry"]) == ("replayed", first.body)
    assert other["status"] == "posted"


LOOKS = {
    "acme/balances/EUR": 200,
    "rich/balances/EUR": 200,
    "acme/balances/GBP": 200,  # zeros, since the tenant exists
    "nobody/balances/EUR": 404,
    "acme/balances/EUX": 422,
    "acme/balances/eur": 422,
    "acme/balances/EUR/": 404,
    "acme/balances/": 404,
    "acme/balances/EUR?as_of=now": 200,
    "%61cme/balances/EUR": 200,
    "a%2Fb/balances/EUR": 404,
    "-acme/balances/EUR": 422,
    f"{'a' * 129}/balances/EUR": 422,
    "../tenants/acme/balances/EUR": 404,
}


def test_a_balance_is_answered_alike(warm: Both) -> None:
    for name, status in LOOKS.items():
        found = warm.look(f"/v1/tenants/{name}")
        assert found.status == status, name
    found = warm.look(BALANCE)
    assert found.body["balance"] == 5000
    assert found.counted == {(BALANCES, "200"): 1, (BALANCES, ""): 1}
    assert found.logged == []


LOOKING: dict[str, tuple[Headers, int]] = {
    "a media type": ({b"content-type": b"application/json"}, 200),
    "a length": ({b"content-length": b"0"}, 200),
    "chunks": ({b"transfer-encoding": b"chunked"}, 200),
    "an end": ({b"connection": b"close"}, 200),
    "a name": ({b"x-request-id": b"r-1"}, 200),
    "nobody": ({b"authorization": None}, 401),
    "an unknown token": ({b"authorization": b"Bearer bridge_00000000_x"}, 401),
}


def test_odd_looks_at_a_balance_are_answered_alike(warm: Both) -> None:
    for name, (headers, status) in LOOKING.items():
        assert warm.look(BALANCE, headers=headers).status == status, name
    assert warm.look(BALANCE, method="HEAD").status == 405
    assert warm.look(BALANCE, key="gone").status == 403
    assert warm.look(BALANCE, key="reader").status == 200


def test_plain_looks_at_a_balance_do_not_reach_the_framework(money: Api) -> None:
    money.fund(5000)
    way = Way(warm_lane(money), money._runner, io.StringIO())
    open_balances(money)
    found = way.ask(look(money.token.encode()))
    assert (found.status, found.body["available"]) == (200, 5000)


def test_a_debit_and_the_looks_around_it_are_answered_in_order(warm: Both) -> None:
    token = warm.tokens["core"]
    asked = (look(token), plain(token, debit(1900), "/v1/debits", {}), look(token))
    whole, alone = (way._runner.run(way.answers(asked)) for way in (warm.whole, warm.alone))
    assert whole == alone
    assert [reply.status for reply in whole] == [200, 201, 200]
    assert [reply.body["balance"] for reply in whole[::2]] == [5000, 3100]


HEADERS: dict[str, tuple[Headers, int]] = {
    "a charset": ({b"content-type": b"application/json; charset=utf-8"}, 201),
    "capitals": ({b"content-type": b"Application/JSON"}, 201),
    "another media type": ({b"content-type": b"text/plain"}, 415),
    "no media type": ({b"content-type": None}, 415),
    "no length": ({b"content-length": None}, 400),
    "a length in many digits": ({b"content-length": b"%016d" % len(json.dumps(debit(1)))}, 201),
    "a length that is too large": ({b"content-length": b"1048577"}, 413),
    "a length that is none": ({b"content-length": b"abc"}, 400),
    "no key": ({b"idempotency-key": None}, 400),
    "an empty key": ({b"idempotency-key": b""}, 422),
    "the longest key": ({b"idempotency-key": b"~" * 255}, 201),
    "a key that is too long": ({b"idempotency-key": b"~" * 256}, 422),
    "a key in Latin-1": ({b"idempotency-key": b"caf\xe9"}, 422),
    "a key in UTF-8": ({b"idempotency-key": b"caf\xc3\xa9"}, 422),
    "a key with a tab": ({b"idempotency-key": b"a\tb"}, 422),
    "a key with a line feed": ({b"idempotency-key": b"a\n"}, 400),
    "a key of blanks": ({b"idempotency-key": b"  "}, 422),
    "nobody": ({b"authorization": None}, 401),
    "an empty token": ({b"authorization": b"Bearer "}, 401),
    "another scheme": ({b"authorization": b"Basic YTpi"}, 401),
    "an unknown token": ({b"authorization": b"Bearer bridge_00000000_x"}, 401),
    "a line that ends without CR": ({b"x": b"y\nTransfer-Encoding: chunked\nz: a"}, 400),
    "a proxy's wish to close": ({b"proxy-connection": b"close"}, 201),
    "a token in Latin-1": ({b"authorization": b"Bearer b\xfcro"}, 401),
}


def test_odd_headers_are_answered_alike(warm: Both) -> None:
    for name, (headers, status) in HEADERS.items():
        assert warm.post(debit(1), headers=headers).status == status, name
        warm.post(batch(debit(1)), BATCH, headers)


TOKENS = {
    **dict.fromkeys((b"bearer %s", b"BEARER %s", b"Bearer  %s", b"Bearer %s "), 201),
    **dict.fromkeys((b"%s", b" %s", b"Bearer%s", b"Bearer\t%s", b"Bearer Bearer %s"), 401),
}


def test_a_token_is_read_alike(warm: Both) -> None:
    for form, status in TOKENS.items():
        headers: Headers = {b"authorization": form % warm.tokens["core"]}
        assert warm.post(debit(1), headers=headers).status == status, form


def test_a_key_that_may_not_debit_or_was_revoked_is_refused_alike(warm: Both) -> None:
    def ask(name: str) -> Reply:
        headers: Headers = {b"authorization": b"Bearer " + warm.tokens[name]}
        return warm.post(debit(1), headers=headers)

    assert ask("reader").status == 403
    assert ask("gone").status == 201
    for api in warm.apis:
        with api.database.write() as tx:
            keys.revoke(tx, warm.tokens["gone"].decode().split("_")[1], api.clock())
    assert ask("gone").status == 201, "it is believed for some seconds"
    warm.apis[0].clock.advance(KEY_CACHED_S)
    assert ask("gone").status == 401
    assert ask("core").status == 201


def test_a_key_that_is_asked_for_again_costs_no_way_through_the_framework(money: Api) -> None:
    money.fund(5000)
    way = Way(warm_lane(money), money._runner, io.StringIO())
    open_balances(money)
    money.clock.advance(KEY_CACHED_S)
    token = money.token.encode()
    asked = [plain(token, debit(n), "/v1/debits", {b"idempotency-key": b"%d" % n}) for n in (1, 2)]

    async def together() -> list[list[Reply]]:
        crowd = (*asked, look(token))
        return await asyncio.gather(*(way.answers([one]) for one in crowd))

    assert [reply.status for [reply] in money._runner.run(together())] == [201, 201, 200]
    assert money.balance() == (5000 - 3, 0)


def test_a_key_is_served_alike_the_first_time(both: Both) -> None:
    for amount in (1, 2):
        headers: Headers = {b"idempotency-key": b"%d" % amount}
        assert both.post(debit(amount), headers=headers).status == 201


def test_headers_that_are_given_twice_are_read_alike(warm: Both) -> None:
    plain = warm.plain(debit(1))
    for name, value in (
        (b"idempotency-key", b"d2"),
        (b"content-type", b"text/plain"),
        (b"authorization", b"Bearer x"),
        (b"content-length", b"9999999"),
        (b"cookie", b"a=b"),
        (b"host", b"other"),
    ):
        warm.ask(plain._replace(headers=(*plain.headers, (name, value))))
        warm.ask(plain._replace(headers=((name, value), *plain.headers)))


CHANGES: dict[str, tuple[dict[str, Any], int]] = {
    "a query": ({"path": "/v1/debits?a=b"}, 201),
    "a query given twice": ({"path": "/v1/debits?a=b&a=c"}, 422),
    "GET": ({"method": "GET"}, 405),
    "HEAD": ({"method": "HEAD"}, 405),
    "PUT": ({"method": "PUT"}, 405),
    "OPTIONS": ({"method": "OPTIONS"}, 405),
    "a slash at the end": ({"path": "/v1/debits/"}, 404),
    "capitals in the path": ({"path": "/v1/Debits"}, 404),
    "no body": ({"pieces": (), "broken_off": True}, 0),
    "half a body": ({"pieces": (b'{"tenant_id"',), "broken_off": True}, 0),
}


def test_odd_requests_are_answered_alike(warm: Both) -> None:
    for name, (change, status) in CHANGES.items():
        assert warm.ask(warm.plain(debit(1))._replace(**change)).status == status, name


def test_a_body_in_pieces_is_answered_alike(warm: Both) -> None:
    plain = warm.plain(debit(1))
    [whole] = plain.pieces
    middle = len(whole) // 2
    for pieces in (
        (whole, b""),
        (b"", whole),
        (whole[:middle], whole[middle:]),
        tuple(bytes([byte]) for byte in whole),
    ):
        reply = warm.ask(plain._replace(pieces=pieces))
        assert (reply.status, reply.body["version"]) == (201, 2)


def test_requests_one_behind_the_other_are_answered_in_order(warm: Both) -> None:
    keyed = [
        warm.plain(debit(n), headers={b"idempotency-key": b"p%d" % n}) for n in (1, 2, 9999, 3)
    ]
    odd = warm.plain(debit(1.5), headers={b"idempotency-key": b"odd"})
    asked = [*keyed[:2], odd, *keyed[2:]]
    whole, alone = (way._runner.run(way.answers(asked)) for way in (warm.whole, warm.alone))
    assert whole == alone
    assert [reply.status for reply in whole] == [201, 201, 422, 402, 201]
    assert [reply.body.get("amount") for reply in whole] == [-1, -2, None, None, -3]


def test_a_slow_body_is_the_frameworks_to_wait_for(money: Api) -> None:
    money.fund(5000)
    began = asyncio.Event()

    async def waiting(_scope: Any, receive: Any, send: Any) -> None:
        began.set()
        message = await receive()
        while message["more_body"]:
            message = await receive()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    lane = warm_lane(money, waiting)

    async def dawdle() -> list[Reply]:
        config = server(lane, drain_timeout_s=1).config
        request, wire = plain(money.token.encode(), debit(1), "/v1/debits", {}), Wire()
        protocol = Protocol(config, ServerState(), {})
        protocol.connection_made(wire)
        protocol.data_received(request.head)
        assert not began.is_set()
        await began.wait()
        protocol.data_received(request.pieces[0])
        await until_quiet(protocol, protocol.server_state)
        protocol.connection_lost(None)
        return Answers(b"".join(wire.written)).found

    [reply] = money._runner.run(dawdle())
    assert reply.status == 204
    assert money.balance() == (5000, 0)


def text(**fields: str) -> bytes:
    """A debit whose fields have these values, as JSON text."""
    usual = {name: json.dumps(value) for name, value in debit(1).items()}
    return (
        "{" + ",".join(f'"{name}":{value}' for name, value in (usual | fields).items()) + "}"
    ).encode()


BODIES: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 400),
    "not JSON": (b"{", 400),
    "no object": (b"[]", 422),
    "a byte order mark": (b"\xef\xbb\xbf" + text(), 400),
    "no UTF-8": (text()[:-1] + b',"x":"\xff"}', 400),
    "the same name twice": (text()[:-1] + b',"amount":2}', 400),
    "the same name twice, spelled otherwise": (text()[:-1] + b',"\\u0061mount":2}', 400),
    "an unknown field": (text(x="1"), 422),
    "a float": (text(amount="1.0"), 422),
    "an exponent": (text(amount="1e0"), 422),
    "a truth": (text(amount="true"), 422),
    "a text for a number": (text(amount='"1"'), 422),
    "not a number": (text(amount="NaN"), 422),
    "an infinite number": (text(amount="Infinity"), 422),
    "minus nothing": (text(amount="-0"), 422),
    "the largest number": (text(amount=str(2**63 - 1)), 402),
    "a number that is too large": (text(amount=str(2**63)), 422),
    "a huge number": (text(amount="1" * 400), 422),
    "a number beyond Python's patience": (text(amount="1" * 5000), 400),
    "null": (text(amount="null"), 422),
    "a NUL": (text(reference='"a\\u0000b"'), 422),
    "half a surrogate pair": (text(reference='"\\ud800"'), 422),
    "half a surrogate pair in a name": (text(metadata='{"\\udfff":"x"}'), 422),
    "a surrogate pair": (text(reference='"\\ud83d\\udcb6"'), 201),
    "many nested lists": (text(x="[" * 100_000), 400),
    "a tenant id outside the pattern": (text(tenant_id='"a b"'), 422),
    "a tenant id with a line feed": (text(tenant_id='"acme\\n"'), 422),
    "an unknown currency": (text(currency='"XXX"'), 422),
    "an unknown purpose": (text(purpose='"fun"'), 422),
    "a period": (text(period='"2026-11-30"', reference='"sub-1"'), 201),
    "no period": (text(period="null"), 201),
    "a period of nothing": (text(period='"2026-11-30"'), 422),
    "an odd period": (text(period='"soon"', reference='"sub-1"'), 422),
    "blanks around it": (b" \r\n\t" + text() + b"\n", 201),
    "much metadata": (
        text(metadata=json.dumps({f"key-{n}": "\u20ac" * 500 for n in range(50)})),
        201,
    ),
    "too much metadata": (text(metadata=json.dumps({str(n): "" for n in range(51)})), 422),
}


def test_odd_bodies_are_answered_alike(warm: Both) -> None:
    for number, (name, (body, status)) in enumerate(BODIES.items()):
        headers: Headers = {b"idempotency-key": b"odd-%d" % number}
        assert warm.post(body, headers=headers).status == status, name


def test_batches_are_answered_alike(warm: Both) -> None:
    def ask(body: Any) -> Reply:
        return warm.post(body, BATCH)

    mixed = ask(
        batch(
            debit(3000),
            debit(3000),
            debit(3000, idempotency_key="b0"),
            debit(1, idempotency_key="b0"),
            debit(1, tenant_id="nobody"),
            debit(1, currency="JPY"),
            debit(2000, metadata={"\u20ac": "x"}),
            debit(1, currency="USD", idempotency_key="b6"),
        )
    )
    data = mixed.body["data"]
    assert [one["problem"]["code"] if one["problem"] else one["status"] for one in data] == [
        *("posted", "insufficient_balance", "replayed", "idempotency_key_reused"),
        *("tenant_not_found", "insufficient_balance", "posted", "idempotency_key_reused"),
    ]
    assert mixed.counted == {(BATCH, "200"): 1, (BATCH, ""): 1}
    many = batch(*(debit(1, tenant_id="rich") for _ in range(BATCH_MAX)))
    assert len(ask(many).body["data"]) == BATCH_MAX
    refused: list[Any] = [
        batch(*(debit(1) for _ in range(BATCH_MAX + 1))),
        batch(),
        {},
        [],
        batch(debit(1), debit(1.0)),
        batch(debit(1), debit(1, tenant_id="a b"), debit(1, currency="EURO")),
        batch(debit(1), debit(1, idempotency_key="caf\u00e9")),
        batch(debit(1), debit(1, idempotency_key="")),
        batch(debit(1)) | {"x": 1},
        {"debits": [debit(1)]},
    ]
    assert {ask(body).status for body in refused} == {422}


def test_a_bridge_that_stops_answers_alike(warm: Both) -> None:
    for api in warm.apis:
        api.stop()
    for body, path in ((debit(1), "/v1/debits"), (batch(debit(1)), BATCH)):
        reply = warm.post(body, path)
        assert (reply.status, reply.body["code"]) == (503, "stopping")
        assert reply.counted[(path, "503")] == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=5,
)
bodies = st.fixed_dictionaries(
    {
        "tenant_id": st.sampled_from(["acme", "rich", "rich", "nobody"]),
        "amount": st.integers(1, 2000) | st.sampled_from([2**53 + 1, 2**63 - 1]),
        "currency": st.sampled_from(["EUR", "EUR", "USD", "JPY"]),
        "purpose": st.sampled_from(["plan_purchase", "plan_renewal", "other"]),
    },
    optional={
        "reference": st.text(max_size=260) | st.sampled_from(["sub-1", "sub-2"]),
        "period": st.sampled_from(["2026-11-30", "2026-12-30", "soon"]),
        "description": st.text(max_size=20),
        "metadata": st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3),
    },
)
fields = st.sampled_from([*debit(1), "reference", "metadata", "idempotency_key", "x"])
odd_bodies = st.builds(lambda body, name, value: body | {name: value}, bodies, fields, json_values)
mostly_good = bodies | bodies | bodies | odd_bodies
some_keys = st.sampled_from([f"k{number}" for number in range(9)]) | st.text(max_size=5)
odd_headers = st.dictionaries(
    st.sampled_from([b"idempotency-key", b"content-type", b"x-other"]),
    st.none() | st.binary(max_size=12),
    max_size=1,
)


def test_any_debit_is_answered_alike(warm: Both) -> None:
    @settings(max_examples=100)
    @given(mostly_good | json_values, st.integers(0, 30), odd_headers)
    def alike(body: Any, number: int, headers: Headers) -> None:
        warm.post(body, headers={b"idempotency-key": b"k%d" % number, **headers})

    alike()


def test_any_batch_is_answered_alike(warm: Both) -> None:
    @settings(max_examples=60)
    @given(st.lists(st.tuples(mostly_good, some_keys), max_size=6))
    def alike(keyed: list[tuple[Any, str]]) -> None:
        warm.post({"debits": [{"idempotency_key": key, **body} for body, key in keyed]}, BATCH)

    alike()
