from typing import Any

from bridge.api.asks import BATCH_MAX
from tests.api.calling import Api, Call, code, debit


def test_a_debit_answers_with_the_entry_it_made(money: Api) -> None:
    money.fund(5000)
    answer = money.debit(
        1900, reference="inv-7", description="Plan M, November", metadata={"plan": "m"}
    )
    assert answer.status_code == 201
    entry = answer.json()
    hash_ = entry.pop("hash")
    assert len(bytes.fromhex(hash_)) == 32
    assert entry == {
        "id": "acme.EUR.2",
        "tenant_id": "acme",
        "currency": "EUR",
        "amount": -1900,
        "held": 0,
        "balance_after": 3100,
        "held_after": 0,
        "version": 2,
        "kind": "debit",
        "contra": "plans",
        "purpose": "plan_renewal",
        "reference": "inv-7",
        "description": "Plan M, November",
        "source": "api/core/plan_renewal",
        "metadata": {"plan": "m"},
        "related_entry_id": None,
        "occurred_at": "2026-11-22T12:00:00.000000Z",
        "recorded_at": "2026-11-22T12:00:00.000000Z",
    }
    assert money.balance() == (3100, 0)


def test_a_repeated_debit_moves_money_once_and_says_so(money: Api) -> None:
    money.fund(5000)
    first = money.debit(1900)
    money.clock.advance(3600)
    again = money.debit(1900)
    assert "Idempotent-Replayed" not in first.headers
    assert again.status_code == 201
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json() == first.json()
    assert money.balance() == (3100, 0)


def test_a_key_with_other_content_is_refused(money: Api) -> None:
    money.fund(5000)
    money.debit(1900)
    changes: list[dict[str, Any]] = [
        {"amount": 1901},
        {"currency": "USD"},
        {"purpose": "other"},
        {"reference": "x"},
        {"description": "x"},
        {"metadata": {"a": "b"}},
    ]
    for change in changes:
        body = debit(1900) | change
        answer = money.post("/v1/debits", body, key="d1")
        assert code(answer) == (422, "idempotency_key_reused"), change
    assert money.balance() == (3100, 0)


def test_a_key_belongs_to_its_caller_and_its_tenant(money: Api) -> None:
    money.fund(5000)
    money.fund(5000, tenant_id="beta")
    money.debit(1900)
    assert money.debit(1900, tenant_id="beta").status_code == 201
    headers = {
        "Authorization": f"Bearer {money.new_key('other', 'debit')}",
        "Idempotency-Key": "d1",
    }
    assert money.call("POST", "/v1/debits", json=debit(1900), headers=headers).status_code == 201
    assert money.balance() == (1200, 0)
    assert money.balance("beta") == (3100, 0)


def test_a_second_key_of_the_same_name_replays_what_the_first_did(api: Api) -> None:
    """So that a caller can rotate its keys."""
    api.fund(5000)
    api.debit(1900)
    api.token = api.new_key("core", "read", "debit")
    assert api.debit(1900).headers["Idempotent-Replayed"] == "true"
    assert api.balance() == (3100, 0)


def test_more_than_is_available_is_declined_with_the_shortfall(money: Api) -> None:
    money.fund(1500)
    answer = money.debit(1900)
    assert code(answer) == (402, "insufficient_balance")
    problem = answer.json()
    assert (problem["available"], problem["shortfall"], problem["currency"]) == (1500, 400, "EUR")
    assert "4.00 EUR" in problem["detail"]
    assert money.balance() == (1500, 0)


def test_a_declined_key_may_succeed_after_a_deposit(money: Api) -> None:
    money.fund(1500)
    assert money.debit(1900).status_code == 402
    money.fund(400)
    answer = money.debit(1900)
    assert answer.status_code == 201
    assert "Idempotent-Replayed" not in answer.headers


def test_a_currency_without_a_wallet_has_nothing_available(money: Api) -> None:
    money.fund(1500)
    answer = money.debit(1, currency="USD")
    assert code(answer) == (402, "insufficient_balance")
    assert answer.json()["available"] == 0


def test_a_debit_of_an_unknown_tenant_is_a_404_and_makes_none(money: Api) -> None:
    assert code(money.debit(1)) == (404, "tenant_not_found")
    assert money.get("/v1/tenants").json()["data"] == []


def test_a_crowd_never_overdraws_a_wallet(money: Api) -> None:
    money.fund(1000)
    answers = money.together(
        Call("POST", "/v1/debits", debit(100), f"crowd-{n}") for n in range(50)
    )
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [201] * 10 + [402] * 40
    assert money.balance() == (0, 0)
    left = sorted(answer.json()["balance_after"] for answer in answers if answer.is_success)
    assert left == list(range(0, 1000, 100))


def test_a_crowd_with_one_key_debits_once(money: Api) -> None:
    money.fund(1000)
    answers = money.together(Call("POST", "/v1/debits", debit(100), "same") for _ in range(50))
    assert {answer.json()["id"] for answer in answers} == {"acme.EUR.2"}
    assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == 49
    assert money.balance() == (900, 0)


def test_a_mixed_crowd_is_larger_than_the_pool_and_still_served(money: Api) -> None:
    """Reads and debits, more of them than there are connections, neither starve nor deadlock."""
    money.fund(100)
    reads = [Call("GET", "/v1/tenants/acme/balances/EUR") for _ in range(60)]
    debits = [Call("POST", "/v1/debits", debit(1), f"m-{n}") for n in range(60)]
    assert all(answer.is_success for answer in money.together(reads + debits))
    assert money.balance() == (40, 0)


def test_a_batch_has_one_outcome_for_each_debit_in_order(money: Api) -> None:
    money.fund(1000)
    debits = [
        debit(600) | {"idempotency_key": "b1"},
        debit(600) | {"idempotency_key": "b2"},
        debit(600) | {"idempotency_key": "b1"},
        debit(300) | {"idempotency_key": "b1"},
        debit(1, tenant_id="nobody") | {"idempotency_key": "b3"},
        debit(400) | {"idempotency_key": "b4"},
    ]
    answer = money.post("/v1/debits/batch", {"debits": debits})
    assert answer.status_code == 200
    data = answer.json()["data"]
    assert [one["status"] for one in data] == [
        "posted",
        "declined",
        "replayed",
        "declined",
        "declined",
        "posted",
    ]
    assert [one["problem"] and one["problem"]["code"] for one in data] == [
        None,
        "insufficient_balance",
        None,
        "idempotency_key_reused",
        "tenant_not_found",
        None,
    ]
    assert data[1]["problem"]["shortfall"] == 200
    assert data[2]["entry"] == data[0]["entry"]
    assert money.balance() == (0, 0)


def test_a_debit_and_one_of_a_batch_share_their_keys(api: Api) -> None:
    api.fund(1000)
    api.debit(600, key="b1")
    answer = api.post("/v1/debits/batch", {"debits": [debit(600) | {"idempotency_key": "b1"}]})
    assert answer.json()["data"][0]["status"] == "replayed"


def test_one_malformed_debit_refuses_its_whole_batch_by_name(api: Api) -> None:
    api.fund(1000)
    for change in ({"amount": 1.0}, {"tenant_id": "a b"}, {"currency": "EURO"}, {"x": 1}):
        good, bad = debit(1) | {"idempotency_key": "b1"}, debit(1) | {"idempotency_key": "b2"}
        answer = api.post("/v1/debits/batch", {"debits": [good, bad | change]})
        assert answer.status_code == 422
        assert f"debits[1].{next(iter(change))}" in answer.json()["detail"]
    assert api.balance() == (1000, 0)


def test_a_batch_has_a_largest_size(api: Api) -> None:
    api.fund(BATCH_MAX + 1)
    debits = [debit(1) | {"idempotency_key": f"b{n}"} for n in range(BATCH_MAX + 1)]
    assert api.post("/v1/debits/batch", {"debits": debits}).status_code == 422
    assert api.post("/v1/debits/batch", {"debits": []}).status_code == 422
    answer = api.post("/v1/debits/batch", {"debits": debits[:-1]})
    assert {one["status"] for one in answer.json()["data"]} == {"posted"}
    assert api.balance() == (1, 0)


def test_a_debit_is_refunded_in_parts_up_to_all_of_it(money: Api) -> None:
    money.fund(1000)
    entry_id = money.debit(900).json()["id"]
    path = f"/v1/debits/{entry_id}/refunds"
    part = money.post(path, {"amount": 500, "reason": "downtime"}, key="r1")
    assert part.status_code == 201
    assert part.json()["kind"] == "debit_refund"
    assert part.json()["contra"] == "plans"
    assert part.json()["description"] == "downtime"
    assert part.json()["related_entry_id"] == entry_id
    assert part.json()["purpose"] is None
    too_much = money.post(path, {"amount": 401, "reason": "x"}, key="r2")
    assert code(too_much) == (422, "exceeds_debit")
    rest = money.post(path, {"reason": "the rest"}, key="r3")
    assert rest.json()["amount"] == 400
    assert code(money.post(path, {"reason": "more"}, key="r4")) == (422, "exceeds_debit")
    assert money.balance() == (1000, 0)


def test_a_repeated_refund_gives_back_once(money: Api) -> None:
    money.fund(1000)
    path = f"/v1/debits/{money.debit(900).json()['id']}/refunds"
    body = {"amount": 100, "reason": "downtime"}
    money.post(path, body, key="r1")
    assert money.post(path, body, key="r1").headers["Idempotent-Replayed"] == "true"
    changed = money.post(path, body | {"amount": 101}, key="r1")
    assert code(changed) == (422, "idempotency_key_reused")
    assert money.balance() == (200, 0)


def test_only_debits_can_be_refunded(money: Api) -> None:
    money.fund(1000)
    for entry_id in (
        "acme.EUR.1",
        "acme.EUR.9",
        "acme.USD.1",
        "nobody.EUR.1",
        "x",
        "acme.EUR.01",
        "a%00b.EUR.1",
        "acme.XXX.1",
        f"acme.EUR.{10**18}",
    ):
        answer = money.post(f"/v1/debits/{entry_id}/refunds", {"reason": "x"}, key="r1")
        assert code(answer) == (404, "entry_not_found"), entry_id
