"""The forecast: what renewals will take, and the deposit that carries on."""

from typing import Any

import pytest

from tests.api.calling import Api, code, fields
from tests.api.test_api_renewals import agree, run

PATH = "/v1/tenants/acme/forecast"


def seen(api: Api, **params: Any) -> Any:
    """The one forecast there is."""
    [data] = api.get(PATH, **params).json()["data"]
    return data


def test_it_says_when_money_runs_out_and_what_carries_on(money: Api) -> None:
    money.fund(5000)
    agree(money)
    data = seen(money, months=6)
    assert (data["currency"], data["available"]) == ("EUR", 5000)
    assert data["until"] == "2027-05-22T12:00:00.000000Z"
    assert data["runs_out_at"] == "2027-01-30T09:00:00.000000Z"
    assert data["deposit"] == 6 * 1900 - 5000
    assert data["deposit_to_carry"] is None
    assert data["coming"][:3] == [
        {
            "due_at": "2026-11-30T09:00:00.000000Z",
            "reference": "sub-1",
            "period": "2026-11-30",
            "amount": 1900,
            "left": 3100,
            "deposit": 0,
        },
        {
            "due_at": "2026-12-30T09:00:00.000000Z",
            "reference": "sub-1",
            "period": "2026-12-30",
            "amount": 1900,
            "left": 1200,
            "deposit": 0,
        },
        {
            "due_at": "2027-01-30T09:00:00.000000Z",
            "reference": "sub-1",
            "period": "2027-01-30",
            "amount": 1900,
            "left": -700,
            "deposit": 700,
        },
    ]


def test_the_deposit_that_carries_to_a_day_does_so_and_one_less_does_not(money: Api) -> None:
    money.fund(1000)
    agree(money, keep_at_least=50)
    agree(money, "sub-2", amount=777, interval={"unit": "week", "count": 2})
    day = "2027-02-01T00:00:00Z"
    needed = seen(money, carry_to=day)["deposit_to_carry"]
    due = [one["amount"] for one in seen(money)["coming"] if one["due_at"] < day]
    assert needed == sum(due) + 50 - 1000
    money.fund(needed - 1)
    assert seen(money)["runs_out_at"] < day
    money.fund(1)
    assert seen(money)["runs_out_at"] > day


def test_it_comes_true(money: Api) -> None:
    money.fund(4000)
    agree(money)
    agree(money, "sub-2", amount=300, interval={"unit": "week", "count": 1})
    out = seen(money)["runs_out_at"]
    before = [one for one in seen(money)["coming"] if one["due_at"] < out]
    for one in before:
        run(money, one["due_at"])
    assert money.balance() == (before[-1]["left"], 0)
    run(money, out)
    listed = money.get("/v1/tenants/acme/renewals").json()["data"]
    assert sorted(one["status"] for one in listed) == ["active", "overdue"]


def test_each_currency_has_one_and_what_is_not_debited_by_bridge_is_left_out(money: Api) -> None:
    money.fund(5000)
    agree(money, currency="USD")
    agree(money, "by-hand", auto_renew=False)
    agree(money, "dearer", max_amount=100)
    agree(money, "over")
    money.call("DELETE", "/v1/renewals/over")
    data = money.get(PATH).json()["data"]
    assert [(one["currency"], len(one["coming"])) for one in data] == [("EUR", 0), ("USD", 12)]
    assert data[0]["runs_out_at"] is None
    assert seen(money, currency="USD")["runs_out_at"] == "2026-11-30T09:00:00.000000Z"
    assert money.get(PATH, currency="JPY").json()["data"] == []


def test_a_period_that_was_paid_ahead_does_not_come(money: Api) -> None:
    money.fund(5000)
    agree(money)
    money.debit(1900, reference="sub-1", period="2026-12-30")
    periods = [one["period"] for one in seen(money, months=3)["coming"]]
    assert periods == ["2026-11-30", "2027-01-30"]


def test_where_it_must_stop_early_it_says_so_and_guesses_nothing(money: Api) -> None:
    money.fund(5000)
    agree(money, interval={"unit": "day", "count": 1})
    data = seen(money, months=36, carry_to="2029-11-01T00:00:00Z")
    assert len(data["coming"]) == 1000
    assert data["until"] == data["coming"][-1]["due_at"]
    assert data["deposit_to_carry"] is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("months", "0"),
        ("months", "37"),
        ("months", "1e1"),
        ("currency", "EURO"),
        ("carry_to", "2026-11-22T11:00:00Z"),
        ("carry_to", "2027-11-23T00:00:00Z"),
        ("carry_to", "soon"),
        ("until", "2027"),
    ],
)
def test_what_it_cannot_say_it_refuses(api: Api, name: str, value: str) -> None:
    api.fund(100)
    assert fields(api.get(PATH, **{name: value})) == [name]


def test_who_does_not_exist_has_none(money: Api) -> None:
    assert code(money.get(PATH)) == (404, "tenant_not_found")
    money.put("/v1/tenants/acme")
    assert money.get(PATH).json() == {"tenant_id": "acme", "data": []}
