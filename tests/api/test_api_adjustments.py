from typing import Any

from tests.api.calling import Answer, Api, code, fields


def adjust(api: Api, amount: Any, key: str = "a1", **more: Any) -> Answer:
    body = {
        "tenant_id": "acme",
        "amount": amount,
        "currency": "EUR",
        "reason": "goodwill",
        "actor": "ada",
        **more,
    }
    return api.post("/v1/adjustments", body, key=key)


def test_an_adjustment_names_its_reason_and_its_actor(money: Api) -> None:
    entry = adjust(money, 500).json()
    assert entry["kind"] == "adjustment"
    assert entry["contra"] == "adjustments"
    assert entry["source"] == "admin/ada"
    assert entry["description"] == "goodwill"
    assert entry["balance_after"] == 500
    assert adjust(money, 500).headers["Idempotent-Replayed"] == "true"
    assert code(adjust(money, 500, actor="bob")) == (422, "idempotency_key_reused")


def test_a_declined_adjustment_leaves_no_balance_behind(money: Api) -> None:
    adjust(money, 500)
    assert code(adjust(money, 500, currency="JPY")) == (422, "idempotency_key_reused")
    balances = money.get("/v1/tenants/acme").json()["balances"]
    assert [balance["currency"] for balance in balances] == ["EUR"]


def test_an_adjustment_may_lead_into_debt_that_blocks_debits(money: Api) -> None:
    assert adjust(money, -500).json()["balance_after"] == -500
    answer = money.debit(1)
    assert (answer.json()["available"], answer.json()["shortfall"]) == (-500, 501)


def test_an_adjustment_makes_a_tenant_only_where_deposits_do(api: Api) -> None:
    api.serve(api.services._replace(create_tenants=False))
    assert code(adjust(api, 500)) == (404, "tenant_not_found")
    api.put("/v1/tenants/acme")
    assert adjust(api, 500).status_code == 201


def test_a_balance_that_fits_no_64_bit_integer_is_refused(money: Api) -> None:
    assert adjust(money, 2**63 - 1).status_code == 201
    assert code(adjust(money, 1, key="a2")) == (422, "balance_limit")
    assert money.balance() == (2**63 - 1, 0)


def test_an_adjustment_of_nothing_or_of_no_integer_is_refused(api: Api) -> None:
    for amount in (0, 1.0, True, "5", None, 2**63, -(2**63)):
        assert fields(adjust(api, amount)) == ["amount"], amount
    assert api.get("/v1/tenants").json()["data"] == []


def test_an_adjustment_without_reason_or_actor_is_refused(api: Api) -> None:
    assert fields(adjust(api, 1, reason="")) == ["reason"]
    assert fields(adjust(api, 1, actor="")) == ["actor"]
    assert fields(adjust(api, 1, actor="\0")) == ["actor"]
