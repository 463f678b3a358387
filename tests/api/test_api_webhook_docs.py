"""The webhooks of the OpenAPI document: every event, with an example, and as events really are."""

import json
from typing import Any

import pytest

from bridge.api.event_data import data_of
from bridge.api.event_examples import EXAMPLES, example
from bridge.domain.clock import DAY, isoformat
from bridge.domain.event import EventType
from tests.api.calling import Api, publish
from tests.documented import BODY, check_documented


@pytest.fixture
def webhooks(api: Api) -> dict[str, Any]:
    told: dict[str, Any] = api.get("/openapi.json").json()["webhooks"]
    return told


def test_every_event_is_documented_with_an_example(webhooks: dict[str, Any]) -> None:
    assert set(webhooks) == set(EventType)
    for event_type, item in webhooks.items():
        content = item["post"]["requestBody"]["content"]["application/json"]
        shown = content["examples"]["event"]["value"]
        assert (list(shown), shown["type"]) == (BODY, event_type)
        assert content["schema"]["$ref"].startswith("#/components/schemas/Told")
    operations = {item["post"]["operationId"] for item in webhooks.values()}
    assert len(operations) == len(EventType)


def test_every_event_says_how_it_is_signed(webhooks: dict[str, Any]) -> None:
    for item in webhooks.values():
        names = [parameter["name"] for parameter in item["post"]["parameters"]]
        assert names == ["webhook-id", "webhook-timestamp", "webhook-signature"]


def test_the_shapes_of_events_replace_none_of_the_apis(api: Api) -> None:
    """A deposit of the API is not what an event tells of one."""
    schemas = api.get("/openapi.json").json()["components"]["schemas"]
    assert "pay_url" in schemas["Deposit"]["required"]
    assert "because" not in schemas["DepositFacts"]["properties"]


@pytest.mark.parametrize("event_type", EventType)
def test_every_example_says_all_that_is_documented_and_nothing_else(event_type: EventType) -> None:
    model = data_of(event_type)
    assert set(EXAMPLES[event_type]) <= set(model.model_fields)
    model.model_validate(EXAMPLES[event_type])
    json.dumps(example(event_type))


def test_real_events_say_what_their_examples_do(depositing: Api) -> None:
    """Those that the API brings about; the others are held to their examples where they arise."""
    api = depositing
    api.fund(5000)
    api.debit(1900)
    api.post("/v1/adjustments", _adjustment(-3200), key="a")
    hold = {"tenant_id": "acme", "amount": 100, "currency": "EUR"}
    api.fund(900)
    for key in ("h1", "h2"):
        held = api.post("/v1/holds", hold, key=key).json()["id"]
        end = "capture" if key == "h1" else "void"
        api.post(f"/v1/holds/{held}/{end}", {}, key=f"end-{key}")
    asked = {"tenant_id": "acme", "amount": 600, "currency": "EUR"}
    api.post("/v1/deposits", asked, key="d")
    mark = {"currency": "EUR", "below": 10**6}
    api.put("/v1/tenants/acme/notices", {"thresholds": [mark]})
    publish(api)
    api.fund(2 * 10**6)
    publish(api)
    api.post("/v1/adjustments", _adjustment(-3 * 10**6), key="b")
    publish(api)
    events = api.get("/v1/events", limit=200).json()["data"]
    seen = {event["type"] for event in events}
    assert seen == {
        "wallet.credited",
        "wallet.debited",
        "hold.placed",
        "hold.captured",
        "hold.voided",
        "deposit.opened",
        "balance.low",
        "balance.recovered",
        "balance.negative",
    }
    check_documented(events)


def test_real_events_of_renewals_say_what_their_examples_do(money: Api) -> None:
    money.fund(3800)
    for days, reference in ((3, "sub-1"), (3, "sub-2"), (4, "sub-3")):
        due_at = isoformat(money.clock() + days * DAY)
        interval = {"unit": "year", "count": 1}
        ask = _adjustment(1900) | {"interval": interval, "next_due_at": due_at}
        del ask["reason"], ask["actor"]
        assert money.put(f"/v1/renewals/{reference}", ask).status_code == 201
    for _ in range(5):
        money.renewals.run(lambda: False)
        money.clock.advance(5 * 86_400)
    publish(money)
    events = money.get("/v1/events", types="renewal.*", limit=200).json()["data"]
    assert {event["type"] for event in events} == {
        "renewal.upcoming",
        "renewal.paid",
        "renewal.payment_failed",
        "renewal.lapsed",
    }
    check_documented(events)


def _adjustment(amount: int) -> dict[str, Any]:
    said = {"reason": "for the test", "actor": "test"}
    return {"tenant_id": "acme", "amount": amount, "currency": "EUR", **said}
