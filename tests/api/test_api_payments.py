import pytest

from tests.api.calling import Api, code, fields

PATH = "/v1/tenants/acme/payment-options"


def test_a_sufficient_balance_is_an_option_beside_those_of_the_core(money: Api) -> None:
    money.fund(1900)
    assert money.get(PATH, amount=1900, currency="EUR").json() == {
        "amount": 1900,
        "currency": "EUR",
        "card": {"handled_by": "core"},
        "paypal": {"handled_by": "core"},
        "balance": {"available": 1900, "sufficient": True, "shortfall": 0, "deposit": None},
    }


def test_a_short_balance_says_what_to_deposit(money: Api) -> None:
    money.fund(1500)
    assert money.get(PATH, amount=1900, currency="EUR").json()["balance"] == {
        "available": 1500,
        "sufficient": False,
        "shortfall": 400,
        "deposit": {"amount": 400, "currency": "EUR", "bonus": 0, "request": None},
    }


@pytest.mark.parametrize(
    ("amount", "deposited", "bonus"), [(1600, 500, 0), (2100, 600, 0), (11_500, 10_000, 500)]
)
def test_where_deposits_are_taken_it_says_which_request_opens_one(
    depositing: Api, amount: int, deposited: int, bonus: int
) -> None:
    """The smallest that suffices and may be deposited: exactly the shortfall, but for a minimum."""
    depositing.fund(1500)
    balance = depositing.get(PATH, amount=amount, currency="EUR").json()["balance"]
    request = balance["deposit"].pop("request")
    assert balance["deposit"] == {"amount": deposited, "currency": "EUR", "bonus": bonus}
    assert (request["method"], request["path"]) == ("POST", "/v1/deposits")
    opened = depositing.post(request["path"], request["body"], key="d1")
    assert (opened.status_code, opened.json()["amount"]) == (201, deposited)


def test_what_may_not_be_deposited_is_said_without_a_request(depositing: Api) -> None:
    depositing.put("/v1/tenants/acme")
    for amount, currency in ((2_000_000, "EUR"), (100, "USD")):
        deposit = depositing.get(PATH, amount=amount, currency=currency).json()["balance"][
            "deposit"
        ]
        bare = {"amount": amount, "currency": currency, "bonus": 0, "request": None}
        assert deposit == bare


def test_what_is_held_is_not_available_and_a_debt_comes_on_top(money: Api) -> None:
    money.fund(1000)
    hold = {"tenant_id": "acme", "amount": 400, "currency": "EUR"}
    money.post("/v1/holds", hold, key="h1")
    balance = money.get(PATH, amount=1000, currency="EUR").json()["balance"]
    assert (balance["available"], balance["shortfall"]) == (600, 400)
    money.fund(-1700)
    balance = money.get(PATH, amount=1000, currency="EUR").json()["balance"]
    assert (balance["available"], balance["shortfall"]) == (-1100, 2100)


def test_the_question_must_be_complete_and_sound(api: Api) -> None:
    api.put("/v1/tenants/acme")
    assert fields(api.get(PATH)) == ["amount", "currency"]
    for amount in ("0", "-1", "1.5", "1e3", "x", str(2**63)):
        assert fields(api.get(PATH, amount=amount, currency="EUR")) == ["amount"], amount
    assert code(api.get(PATH, amount=1, currency="XXX")) == (422, "unknown_currency")
