import asyncio
import contextlib
import gc
from collections.abc import Iterator
from typing import Any

import pytest

from bridge.api.auth import KEY_CACHED_S, KEYS_CACHED_MAX, KeyRing
from bridge.api.services import Desk
from bridge.domain.errors import UnavailableError
from bridge.store import keys
from bridge.store.database import Connection, Database
from tests.api.calling import Api, Call, code, debit

READING = ("GET", "/v1/tenants")


def test_a_request_without_a_key_is_challenged(api: Api) -> None:
    for header in ("", "Bearer", "Bearer ", "Basic YTpi", "bridge_x"):
        answer = api.call(*READING, headers={"Authorization": header})
        assert code(answer) == (401, "unauthenticated"), header
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="bridge"'


def test_an_unknown_key_is_challenged_as_invalid(api: Api) -> None:
    for token in ("bridge_00000000_x", "x" * 10_000, "b\xfcro", api.token[:-1]):
        headers = {"Authorization": f"Bearer {token}".encode("latin-1")}
        answer = api.call(*READING, headers=headers)  # type: ignore[arg-type]  # bytes pass, too
        assert code(answer) == (401, "unauthenticated")
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_the_scheme_may_be_written_in_any_case(api: Api) -> None:
    answer = api.call(*READING, headers={"Authorization": f"bEARER {api.token}"})
    assert answer.status_code == 200


def test_nothing_below_v1_is_told_without_a_key(api: Api) -> None:
    for path in ("/v1/nonsense", "/v1/debits"):
        answer = api.call("POST", path, content=b"{", headers={"Authorization": "x"})
        assert code(answer) == (401, "unauthenticated")


def test_a_missing_scope_is_named_and_nothing_is_changed(api: Api) -> None:
    api.fund(1000)
    tries = {
        "read": ["GET /v1/tenants", "GET /v1/tenants/acme/balances/EUR", "GET /v1/orders"],
        "debit": ["POST /v1/debits", "POST /v1/debits/batch", "POST /v1/holds"],
        "admin": ["POST /v1/adjustments", "POST /v1/reconciliations", "PUT /v1/tenants/acme"],
    }
    for missing, requests in tries.items():
        token = api.new_key("some", *({"read", "debit", "admin"} - {missing}))
        for request in requests:
            method, path = request.split()
            headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "k"}
            answer = api.call(method, path, headers=headers, json=debit(1))
            assert code(answer) == (403, "scope_missing"), request
            assert answer.json()["scope"] == missing
            assert f'scope="{missing}"' in answer.headers["WWW-Authenticate"]
    assert api.balance() == (1000, 0)


def test_a_key_with_one_scope_can_use_it(api: Api) -> None:
    api.fund(1000)
    headers = {"Authorization": f"Bearer {api.new_key('some', 'debit')}", "Idempotency-Key": "k"}
    assert api.call("POST", "/v1/debits", json=debit(1), headers=headers).status_code == 201


def test_a_revoked_key_is_worthless_within_seconds(api: Api) -> None:
    api.get("/v1/tenants")
    with api.database.write() as tx:
        keys.revoke(tx, api.token.split("_")[1], api.clock())
    api.clock.advance(KEY_CACHED_S)
    assert code(api.get("/v1/tenants")) == (401, "unauthenticated")


def test_a_clock_that_is_set_back_does_not_keep_a_revoked_key(api: Api) -> None:
    api.get("/v1/tenants")
    with api.database.write() as tx:
        keys.revoke(tx, api.token.split("_")[1], api.clock())
    api.clock.advance(-3600)
    assert code(api.get("/v1/tenants")) == (401, "unauthenticated")


def test_more_keys_than_are_remembered_all_work(api: Api) -> None:
    with api.database.write() as tx:
        tokens = [
            keys.create(tx, "many", ["read"], api.clock())[1] for _ in range(KEYS_CACHED_MAX + 1)
        ]
    for token in tokens:
        assert api.call(*READING, headers={"Authorization": f"Bearer {token}"}).is_success


def test_a_crowd_that_comes_with_a_key_at_once_asks_the_store_for_it_once(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    found = keys.find

    def find(tx: Connection, token: str) -> keys.ApiKey | None:
        asked.append(token)
        return found(tx, token)

    monkeypatch.setattr(keys, "find", find)
    answers = api.together(Call("GET", "/v1/tenants") for _ in range(50))
    assert {answer.status_code for answer in answers} == {200}
    assert asked == [api.token]


def test_a_key_asked_for_in_good_time_while_the_database_is_away_is_still_believed(
    api: Api,
) -> None:
    """Nobody waits for that answer, and so nobody is told that there was none."""

    class Leaving(Database):
        gone = False

        @contextlib.contextmanager
        def read(self) -> Iterator[Connection]:
            if self.gone:
                raise UnavailableError("the database went away")
            with super().read() as tx:
                yield tx

    database = Leaving(api.database.url.render_as_string(hide_password=False))
    ring = KeyRing(Desk(api.services._replace(database=database)))
    complaints: list[dict[str, Any]] = []

    async def ask() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, why: complaints.append(why))
        known = await ring.find(api.token)
        api.clock.advance(KEY_CACHED_S / 2 + 1)
        database.gone = True
        assert ring.at_once(api.token) == known is not None
        await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})
        with pytest.raises(UnavailableError):
            await ring.find("another")

    api._runner.run(ask())
    gc.collect()
    database.close()
    assert complaints == []
