from typing import Any

from tests.api.calling import Answer, Api, Call, code, fields

PATH = "/v1/payment-requests"
UNKNOWN = "pay" + "a" * 17


def ask(**more: Any) -> dict[str, Any]:
    usual = {"tenant_id": "acme", "amount": 1900, "currency": "EUR", "purpose": "plan_renewal"}
    return usual | more


def made(api: Api, key: str = "r1", **more: Any) -> Answer:
    answer = api.post(PATH, ask(**more), key=key)
    assert answer.status_code == 201, answer.text
    return answer


def test_a_payment_request_is_kept_as_it_was_asked_for(money: Api) -> None:
    asked = ask(
        reference="INV-1",
        description="Pro, November",
        metadata={"plan": "pro"},
        card_url="https://core.example/card",
        paypal_url="https://core.example/paypal",
        return_url="https://core.example/back",
    )
    request = money.post(PATH, asked, key="r1").json()
    at = "2026-11-22T12:00:00.000000Z"
    told = {"status": "open", "entry_id": None, "created_at": at, "changed_at": at}
    assert request == asked | told | {"id": request["id"]}
    assert money.get(f"{PATH}/{request['id']}").json() == request


def test_a_repeated_request_makes_one(money: Api) -> None:
    first, again = made(money), made(money)
    assert again.json() == first.json()
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert code(money.post(PATH, ask(amount=1), key="r1")) == (422, "idempotency_key_reused")
    assert code(money.post(PATH, ask())) == (400, "idempotency_key_missing")


def test_twins_that_come_together_make_one(money: Api) -> None:
    answers = money.together([Call("POST", PATH, ask(), "r1")] * 4)
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1


def test_each_tenants_requests_are_listed_newest_first_in_pages(money: Api) -> None:
    ids = []
    for n in range(3):
        money.clock.advance(1)
        ids.append(made(money, key=f"r{n}").json()["id"])
    made(money, key="other", tenant_id="globex")
    money.post(f"{PATH}/{ids[1]}/cancel")
    page = money.get(PATH, tenant_id="acme", limit=2).json()
    assert [one["id"] for one in page["data"]] == [ids[2], ids[1]]
    rest = money.get(PATH, tenant_id="acme", cursor=page["next_cursor"]).json()
    assert ([one["id"] for one in rest["data"]], rest["next_cursor"]) == ([ids[0]], None)
    cancelled = money.get(PATH, tenant_id="acme", status="cancelled").json()["data"]
    assert [one["id"] for one in cancelled] == [ids[1]]
    assert code(money.get(PATH, tenant_id="nobody")) == (404, "tenant_not_found")


def test_a_request_is_called_off_as_often_as_one_likes(money: Api) -> None:
    request_id = made(money).json()["id"]
    for _ in range(2):
        answer = money.post(f"{PATH}/{request_id}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert code(money.get(f"{PATH}/{UNKNOWN}")) == (404, "payment_request_not_found")
    assert code(money.post(f"{PATH}/{UNKNOWN}/cancel")) == (404, "payment_request_not_found")
    assert fields(money.get(f"{PATH}/x")) == ["request_id"]


def test_the_request_must_be_complete_and_sound(api: Api) -> None:
    assert fields(api.post(PATH, {}, key="r1")) == ["tenant_id", "amount", "currency", "purpose"]
    assert fields(api.post(PATH, ask(card_url="ftp://x"), key="r1")) == ["card_url"]
    assert fields(api.post(PATH, ask(tenant_id="a b"), key="r1")) == ["tenant_id"]


def test_they_need_the_scope_of_debits(api: Api) -> None:
    others = {"Authorization": f"Bearer {api.new_key('x', 'read', 'deposit', 'admin')}"}
    headers = others | {"Idempotency-Key": "r1"}
    assert code(api.call("POST", PATH, json=ask(), headers=headers)) == (403, "scope_missing")
    assert code(api.call("GET", f"{PATH}/{UNKNOWN}", headers=others)) == (403, "scope_missing")
