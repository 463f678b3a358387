import asyncio
import io
import json
from typing import Any

import pytest
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from bridge import metrics
from bridge.api import services
from bridge.api.middleware import BodyTooSlowError, LimitBody
from bridge.domain.errors import BacklogFullError, StorefrontStoppedError, UnavailableError
from tests.api.calling import Answer, Api, Call, code


def requests(lines: io.StringIO) -> list[dict[str, Any]]:
    """Return the access log."""
    logged = map(json.loads, lines.getvalue().splitlines())
    return [line for line in logged if line["event"] == "request"]


def reconcile(api: Api) -> Answer:
    return api.post("/v1/reconciliations", {"storefront": "main"})


def failing(api: Api, error: Exception) -> Answer:
    """Ask for what ends in this error."""

    def fail(_comparison: object) -> str:
        raise error

    api.serve(api.services._replace(reconcile=fail))
    return reconcile(api)


def test_a_request_keeps_the_id_it_came_with(api: Api) -> None:
    answer = api.call("GET", "/v1/tenants", headers={"X-Request-Id": "abc-1"})
    assert answer.headers["X-Request-Id"] == "abc-1"


def test_a_request_without_a_usable_id_is_given_one(api: Api) -> None:
    ids = set()
    for given in ("", "a b", "x" * 129, 'a"b', "<script>"):
        answer = api.call("GET", "/nowhere", headers={"X-Request-Id": given})
        ids.add(answer.headers["X-Request-Id"])
    assert len(ids) == 5
    assert all(one.isalnum() for one in ids)


def test_a_request_is_logged_once_without_its_query(api: Api, lines: io.StringIO) -> None:
    answer = api.get("/v1/tenants", limit=1, cursor="a-secret")
    [line] = requests(lines)
    assert line["method"] == "GET"
    assert line["path"] == "/v1/tenants"
    assert line["status"] == 422
    assert line["caller"] == "core"
    assert line["ms"] >= 0
    assert line["request_id"] == answer.headers["X-Request-Id"]
    assert api.token not in lines.getvalue()
    assert line["logger"] == "bridge.api.middleware"


def test_requests_are_counted_by_route_template(api: Api) -> None:
    def counted(route: str, status: str) -> float:
        labels = {"route": route, "status": status}
        return metrics.registry.get_sample_value("bridge_requests_total", labels) or 0

    template = "/v1/tenants/{tenant_id}"
    before = counted(template, "404"), counted("none", "404")
    api.get("/v1/tenants/somebody")
    api.get("/v1/nowhere")
    assert (counted(template, "404"), counted("none", "404")) == (before[0] + 1, before[1] + 1)


def test_an_unknown_address_and_a_wrong_method_are_problems(api: Api) -> None:
    assert code(api.get("/nowhere")) == (404, "route_not_found")
    assert code(api.get("/v1/tenants/")) == (404, "route_not_found")
    answer = api.call("DELETE", "/v1/tenants")
    assert code(answer) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET"


def test_a_mistake_of_ours_tells_the_log_and_not_the_caller(api: Api, lines: io.StringIO) -> None:
    answer = failing(api, KeyError("inner secret"))
    assert code(answer) == (500, "internal")
    assert "inner" not in answer.text
    logged = [json.loads(line) for line in lines.getvalue().splitlines()]
    [failed] = [line for line in logged if line["event"] == "request failed"]
    assert "KeyError" in failed["exception"]
    assert failed["request_id"] == answer.headers["X-Request-Id"]
    assert requests(lines)[0]["status"] == 500


def test_what_the_driver_says_is_for_the_log_only(api: Api, lines: io.StringIO) -> None:
    answer = failing(api, UnavailableError("connection to 10.0.0.5 failed"))
    assert code(answer) == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert "10.0.0.5" not in answer.text
    assert "10.0.0.5" in lines.getvalue()


def test_our_errors_keep_their_status_code_and_advice(api: Api) -> None:
    answer = failing(api, StorefrontStoppedError("main was stopped; look at it"))
    assert code(answer) == (409, "storefront_stopped")
    assert answer.json()["detail"] == "main was stopped; look at it"
    answer = failing(api, BacklogFullError("too many"))
    assert code(answer) == (503, "backlog_full")
    assert int(answer.headers["Retry-After"]) > 0


def test_a_bridge_that_stops_answers_503(api: Api) -> None:
    api.fund(1000)
    api.stop()
    answer = api.debit(1)
    assert code(answer) == (503, "stopping")
    assert "Idempotency-Key" in answer.json()["detail"]


def test_a_database_that_is_away_is_a_503(api: Api) -> None:
    api.get("/v1/tenants")
    with api.database.write() as tx:
        tx.exec_driver_sql("ALTER TABLE tenants RENAME TO gone")
    assert code(api.get("/v1/tenants")) == (503, "unavailable")


def test_more_readers_than_may_wait_are_refused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "WAITING_MAX", 10)
    answers = api.together(Call("GET", "/v1/tenants") for _ in range(500))
    statuses = {answer.status_code for answer in answers}
    assert statuses == {200, 503}
    assert {code(a)[1] for a in answers if a.status_code == 503} == {"backlog_full"}


def test_a_body_that_does_not_arrive_is_not_waited_for() -> None:
    async def reader(scope: Scope, receive: Receive, _send: Send) -> None:
        await Request(scope, receive).body()

    async def silent() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(_message: Message) -> None:
        raise AssertionError

    scope: Scope = {"type": "http", "headers": []}
    with pytest.raises(BodyTooSlowError, match="send the request again") as caught:
        asyncio.run(LimitBody(reader, wait_max_s=0)(scope, silent, send))
    assert (caught.value.http_status, caught.value.code) == (408, "body_too_slow")
