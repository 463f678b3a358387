"""The description at /openapi.json is complete and true."""

import json
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple

import pytest

from bridge.store import attempts
from bridge.store.attempts import Attempt
from tests.api.calling import Answer, Api, debit, publish

TYPES: dict[str, Any] = {
    "array": list,
    "boolean": bool,
    "integer": int,
    "null": type(None),
    "object": dict,
    "string": str,
}


class Told(NamedTuple):
    """The description of one API."""

    schema: dict[str, Any]

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for path, methods in self.schema["paths"].items():
            for method, operation in methods.items():
                yield method.upper(), path, operation

    def operation(self, method: str, path: str) -> dict[str, Any]:
        """Return the operation that a request is one of, the most literal one."""
        matching = [
            (template.count("{"), operation)
            for verb, template, operation in self.operations()
            if verb == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path)
        ]
        return min(matching, key=lambda found: found[0])[1]

    def check(self, answer: Answer) -> None:
        """Fail unless the answer is as its operation says, in status, media type and shape."""
        method, path = answer.request.method, answer.request.url.path
        documented = self.operation(method, path)["responses"][str(answer.status_code)]
        kind = answer.headers["content-type"]
        self.match(answer.json(), documented["content"][kind]["schema"], f"{method} {path}")

    def match(self, value: Any, schema: dict[str, Any], where: str) -> None:
        """Fail unless a value is as a schema says."""
        schema = self._resolved(schema, value)
        kind = schema["type"]
        assert isinstance(value, TYPES[kind]), f"{where} is no {kind}"
        assert value in schema.get("enum", [value]), where
        assert value == schema.get("const", value), where
        if schema.get("format") == "date-time":
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", value), where
        if kind == "array":
            for n, item in enumerate(value):
                self.match(item, schema["items"], f"{where}[{n}]")
        if kind == "object":
            self._match_object(value, schema, where)

    def _resolved(self, schema: dict[str, Any], value: Any) -> dict[str, Any]:
        """Follow references, and choose between null and the other one."""
        if "anyOf" in schema:
            other, null = schema["anyOf"]
            assert null == {"type": "null"}
            return self._resolved(null if value is None else other, value)
        if "$ref" in schema:
            named: dict[str, Any] = self.schema["components"]["schemas"]
            return self._resolved(named[schema["$ref"].rpartition("/")[2]], value)
        return schema

    def _match_object(self, value: dict[str, Any], schema: dict[str, Any], where: str) -> None:
        properties = schema.get("properties", {})
        more = schema.get("additionalProperties", not properties)
        assert set(schema.get("required", [])) <= set(value), where
        for name, item in value.items():
            if name in properties:
                self.match(item, properties[name], f"{where}.{name}")
            else:
                assert more, f"{where}.{name} is not documented"
                if isinstance(more, dict):
                    self.match(item, more, f"{where}.{name}")


@pytest.fixture
def told(api: Api) -> Told:
    answer = api.call("GET", "/openapi.json", headers={"Authorization": ""})
    assert answer.status_code == 200
    return Told(answer.json())


def answers(api: Api) -> Iterator[Answer]:
    """Make requests of each sort, those that end as problems too."""
    hold = {"tenant_id": "acme", "amount": 100, "currency": "EUR"}
    adjustment = hold | {"reason": "x", "actor": "y"}
    batch = [debit(n) | {"idempotency_key": f"b{n}"} for n in (1, 10**9)]
    yield api.put("/v1/tenants/acme", {"metadata": {"a": "b"}})
    yield api.put("/v1/tenants/acme")
    yield api.put("/v1/tenants/a%20b")
    yield api.post("/v1/adjustments", adjustment, key="a1")
    yield api.post("/v1/adjustments", {}, key="a2")
    yield api.debit(100, metadata={"a": "b"})
    yield api.debit(10**9, key="d2")
    yield api.debit(1, key="d3", tenant_id="nobody")
    yield api.debit(1.5, key="d4")
    yield api.post("/v1/debits", debit(1))
    yield api.raw(b"{")
    yield api.raw(b"{}", **{"Content-Type": "text/plain"})
    yield api.raw(b"{}", **{"Content-Length": str(2**30)})
    yield api.raw(b"{}", Authorization="")
    yield api.raw(b"{}", Authorization=f"Bearer {api.new_key('x', 'read')}")
    yield api.post("/v1/debits/acme.EUR.2/refunds", {"amount": 50, "reason": "x"}, key="r1")
    yield api.post("/v1/debits/acme.EUR.9/refunds", {"reason": "x"}, key="r2")
    yield api.post("/v1/debits/batch", {"debits": batch})
    yield api.post("/v1/debits/batch", {"debits": []})
    api.fund(1000)
    for n in (6, 7):
        yield api.post("/v1/holds", hold, key=f"h{n}")
        yield api.get(f"/v1/holds/acme.EUR.{n}")
    yield api.post("/v1/holds", hold | {"amount": 10**9}, key="h8")
    yield api.get("/v1/holds/x")
    yield api.post("/v1/holds/acme.EUR.6/capture", {"amount": 1}, key="c1")
    yield api.post("/v1/holds/acme.EUR.6/capture", {"amount": 1}, key="c2")
    yield api.post("/v1/holds/acme.EUR.7/void")
    yield api.get("/v1/tenants", limit=1)
    yield api.get("/v1/tenants/acme")
    yield api.get("/v1/tenants/nobody")
    yield api.get("/v1/tenants/acme/balances/EUR")
    yield api.get("/v1/tenants/acme/balances/XXX")
    yield api.get("/v1/tenants/acme/entries", limit=3)
    yield api.get("/v1/tenants/acme/entries", limit=0)
    yield api.get("/v1/tenants/acme/payment-options", amount=10**9, currency="EUR")
    yield api.get("/v1/tenants/acme/payment-options")
    run = api.post("/v1/reconciliations", {"storefront": "main"})
    yield run
    yield api.get(run.headers["Location"])
    yield api.post("/v1/reconciliations", {"storefront": "x"})
    yield api.get("/v1/orders")
    yield api.get("/v1/orders/main/1")
    yield api.get("/livez")
    yield api.get("/readyz")
    api.reasons.append("no")
    yield api.get("/readyz")


def answers_about_renewals(api: Api) -> Iterator[Answer]:
    """Likewise, of what is paid again and again."""
    path = "/v1/renewals/sub-1"
    terms = {
        "tenant_id": "acme",
        "amount": 300,
        "currency": "EUR",
        "interval": {"unit": "month", "count": 1},
        "next_due_at": "2026-12-31T09:00:00Z",
    }
    yield api.put(path, terms | {"metadata": {"a": "b"}, "retries": [1]})
    yield api.put(path, terms)
    yield api.put(path, {})
    yield api.get(path)
    yield api.get("/v1/renewals/none")
    yield api.put(path, terms | {"tenant_id": "other", "amount": 10**9})
    yield api.get(path)
    yield api.post(f"{path}/pay?tenant_id=acme", {"period": "2026-12-31"}, key="y1")
    yield api.post(f"{path}/pay?tenant_id=other", key="y2")
    yield api.post(f"{path}/pay?tenant_id=acme", {"period": "2020-01-01"}, key="y3")
    yield api.get("/v1/tenants/acme/renewals")
    yield api.get("/v1/tenants/nobody/renewals")
    yield api.get("/v1/tenants/other/forecast", carry_to="2027-02-01T00:00:00Z")
    yield api.get("/v1/tenants/acme/forecast", months=0)
    yield api.call("DELETE", f"{path}?tenant_id=acme")


def answers_about_deposits(api: Api) -> Iterator[Answer]:
    """Likewise, of what leads to deposits and payments."""
    asked = {"tenant_id": "acme", "amount": 600, "currency": "EUR"}
    purpose = {"type": "debit", "amount": 500, "purpose": "other"}
    yield api.post("/v1/deposits", asked, key="d1")
    yield api.post("/v1/portal-sessions", {"tenant_id": "acme", "can": []})
    yield api.get("/v1/tenants/acme/payment-options", amount=10**9, currency="EUR")
    api.take_deposits()
    yield api.get("/v1/tenants/acme/payment-options", amount=10**5, currency="EUR")
    deposit = api.post("/v1/deposits", asked | {"purpose": purpose}, key="d1")
    yield deposit
    yield api.get(f"/v1/deposits/{deposit.json()['id']}")
    yield api.post(f"/v1/deposits/{deposit.json()['id']}/cancel")
    yield api.get("/v1/deposits", tenant_id="acme")
    yield api.get("/v1/deposits/x")
    request = api.post("/v1/payment-requests", asked | {"purpose": "other"}, key="r1")
    yield request
    yield api.get(f"/v1/payment-requests/{request.json()['id']}")
    yield api.post(f"/v1/payment-requests/{request.json()['id']}/cancel")
    yield api.get("/v1/payment-requests", tenant_id="acme")
    yield api.get("/v1/payment-requests", tenant_id="nobody")
    yield api.post("/v1/portal-sessions", {"tenant_id": "acme", "can": ["pay"]})


def answers_about_events(api: Api) -> Iterator[Answer]:
    """Likewise, of what is told and to whom."""
    mark = {"currency": "EUR", "below": 10**9, "next_renewal": True}
    yield api.put("/v1/tenants/acme/notices", {"language": "de", "thresholds": [mark]})
    yield api.get("/v1/tenants/acme/notices")
    yield api.get("/v1/tenants/nobody/notices")
    publish(api)
    page = api.get("/v1/events", limit=3)
    yield page
    first = page.json()["data"][0]
    with api.database.write() as tx:
        attempts.add(tx, [Attempt("acme", 1, "core", api.clock(), "refused", 3, "HTTP 500")])
    yield api.get(f"/v1/events/{first['id']}")
    yield api.get("/v1/events/evt_1_1")
    yield api.get("/v1/events", after="evt_999_1")
    yield api.get("/v1/events", types="x")
    yield api.call("DELETE", "/v1/tenants/acme/notices")


def test_real_answers_are_as_documented(money: Api) -> None:
    told = Told(money.get("/openapi.json").json())
    seen = set()
    parts = (
        *(answers(money), answers_about_renewals(money)),
        *(answers_about_deposits(money), answers_about_events(money)),
    )
    for answer in chain.from_iterable(parts):
        told.check(answer)
        seen.add(told.operation(answer.request.method, answer.request.url.path)["operationId"])
    every = {operation["operationId"] for _, _, operation in told.operations()}
    assert every - seen == {"show_metrics", "explain_order"} - seen


def test_every_operation_of_v1_names_its_scope_and_its_problems(told: Told) -> None:
    for method, path, operation in told.operations():
        if not path.startswith("/v1/"):
            assert "security" not in operation, path
            continue
        [requirement] = operation["security"]
        [scope] = requirement["key"]
        assert f"Scope: `{scope}`" in operation["description"], path
        assert {"401", "403", "422", "500", "503"} <= set(operation["responses"]), path
        if "requestBody" in operation:
            assert {"400", "413", "415"} <= set(operation["responses"]), (method, path)


def test_every_post_that_moves_money_requires_an_idempotency_key(told: Told) -> None:
    required = set()
    for method, path, operation in told.operations():
        for parameter in operation.get("parameters", []):
            if parameter["name"] == "Idempotency-Key" and parameter["required"]:
                required.add(f"{method} {path}")
    assert required == {
        "POST /v1/debits",
        "POST /v1/debits/{entry_id}/refunds",
        "POST /v1/holds",
        "POST /v1/holds/{hold_id}/capture",
        "POST /v1/adjustments",
        "POST /v1/deposits",
        "POST /v1/payment-requests",
        "POST /v1/renewals/{reference}/pay",
    }


def test_the_contract_is_all_there(told: Told) -> None:
    assert {(method, path) for method, path, _ in told.operations()} >= {
        ("PUT", "/v1/tenants/{tenant_id}"),
        ("GET", "/v1/tenants"),
        ("GET", "/v1/tenants/{tenant_id}"),
        ("GET", "/v1/tenants/{tenant_id}/balances/{currency}"),
        ("GET", "/v1/tenants/{tenant_id}/entries"),
        ("GET", "/v1/tenants/{tenant_id}/payment-options"),
        ("POST", "/v1/debits/batch"),
        ("GET", "/v1/holds/{hold_id}"),
        ("POST", "/v1/holds/{hold_id}/void"),
        ("POST", "/v1/reconciliations"),
        ("GET", "/v1/reconciliations/{run_id}"),
        ("GET", "/v1/orders/{storefront}/{order_id}"),
        ("PUT", "/v1/renewals/{reference}"),
        ("DELETE", "/v1/renewals/{reference}"),
        ("POST", "/v1/renewals/{reference}/pay"),
        ("GET", "/v1/tenants/{tenant_id}/renewals"),
        ("GET", "/v1/tenants/{tenant_id}/forecast"),
        ("GET", "/v1/events"),
        ("GET", "/v1/events/{event_id}"),
        ("GET", "/v1/tenants/{tenant_id}/notices"),
        ("PUT", "/v1/tenants/{tenant_id}/notices"),
        ("DELETE", "/v1/tenants/{tenant_id}/notices"),
        ("GET", "/livez"),
        ("GET", "/readyz"),
        ("GET", "/metrics"),
    }


def test_limits_are_exact_and_references_lead_somewhere(told: Told) -> None:
    schemas = told.schema["components"]["schemas"]
    assert schemas["DebitAsk"]["properties"]["amount"]["maximum"] == 2**63 - 1
    assert schemas["DebitAsk"]["additionalProperties"] is False
    references = re.findall(r'"#/components/schemas/(\w+)"', json.dumps(told.schema))
    assert set(references) <= set(schemas)


def test_the_documentation_loads_nothing_from_elsewhere(api: Api) -> None:
    for path in ("/docs", "/redoc"):
        assert api.get(path).status_code == 404
