from typing import Any

from tests.api.calling import Answer, Api, Call, code


def place(api: Api, amount: Any = 400, key: str = "h1", **more: Any) -> Answer:
    body = {"tenant_id": "acme", "amount": amount, "currency": "EUR", **more}
    return api.post("/v1/holds", body, key=key)


def test_a_hold_reserves_and_leaves_the_balance(money: Api) -> None:
    money.fund(1000)
    answer = place(money, reference="job-1", description="Render", metadata={"a": "b"})
    assert answer.status_code == 201
    hold = answer.json()
    assert hold.pop("entry")["id"] == hold["id"]
    assert hold == {
        "id": "acme.EUR.2",
        "tenant_id": "acme",
        "currency": "EUR",
        "amount": 400,
        "status": "open",
        "captured": 0,
        "expires_at": "2026-11-29T12:00:00.000000Z",
        "reference": "job-1",
        "description": "Render",
        "metadata": {"a": "b"},
        "created_at": "2026-11-22T12:00:00.000000Z",
    }
    assert money.balance() == (1000, 400)
    assert money.debit(601).status_code == 402


def test_a_hold_of_more_than_is_available_is_declined(money: Api) -> None:
    money.fund(1000)
    place(money)
    answer = place(money, 601, key="h2")
    assert code(answer) == (402, "insufficient_balance")
    assert answer.json()["shortfall"] == 1


def test_a_repeated_hold_is_the_same_whenever_it_is_repeated(money: Api) -> None:
    money.fund(1000)
    first = place(money, expires_in_s=60).json()
    money.clock.advance(5)
    again = place(money, expires_in_s=60)
    assert again.json() == first
    assert again.headers["Idempotent-Replayed"] == "true"
    assert code(place(money, expires_in_s=61)) == (422, "idempotency_key_reused")
    assert money.balance() == (1000, 400)


def test_a_capture_takes_a_part_and_releases_the_rest(money: Api) -> None:
    money.fund(1000)
    hold_id = place(money, reference="job-1").json()["id"]
    answer = money.post(f"/v1/holds/{hold_id}/capture", {"amount": 150}, key="c1")
    assert answer.status_code == 201
    hold = answer.json()
    assert (hold["status"], hold["captured"], hold["amount"]) == ("captured", 150, 400)
    assert hold["entry"]["kind"] == "capture"
    assert hold["entry"]["amount"] == -150
    assert hold["entry"]["related_entry_id"] == hold_id
    assert hold["entry"]["reference"] == "job-1"
    assert money.get(f"/v1/holds/{hold_id}").json() == hold
    assert money.balance() == (850, 0)


def test_a_capture_without_a_body_takes_all(money: Api) -> None:
    money.fund(1000)
    hold_id = place(money).json()["id"]
    first = money.post(f"/v1/holds/{hold_id}/capture", key="c1")
    again = money.post(f"/v1/holds/{hold_id}/capture", {}, key="c1")
    assert first.json()["captured"] == 400
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert money.balance() == (600, 0)


def test_a_capture_takes_at_most_what_was_held(money: Api) -> None:
    money.fund(1000)
    hold_id = place(money).json()["id"]
    answer = money.post(f"/v1/holds/{hold_id}/capture", {"amount": 401}, key="c1")
    assert code(answer) == (422, "exceeds_hold")
    assert money.balance() == (1000, 400)


def test_a_capture_in_debt_is_declined_with_what_is_missing(money: Api) -> None:
    money.fund(1000)
    hold_id = place(money).json()["id"]
    money.fund(-700)
    for body in ({}, {"amount": 400}):
        answer = money.post(f"/v1/holds/{hold_id}/capture", body, key="c1")
        assert code(answer) == (402, "insufficient_balance")
        assert answer.json()["shortfall"] == 100
    assert money.post(f"/v1/holds/{hold_id}/capture", {"amount": 300}, key="c1").is_success


def test_a_captured_hold_can_be_refunded(money: Api) -> None:
    money.fund(1000)
    hold_id = place(money).json()["id"]
    entry_id = money.post(f"/v1/holds/{hold_id}/capture", key="c1").json()["entry"]["id"]
    assert money.post(f"/v1/debits/{entry_id}/refunds", {"reason": "x"}, key="r1").is_success
    assert money.balance() == (1000, 0)


def test_a_void_needs_no_key_and_releases_once(money: Api) -> None:
    money.fund(1000)
    hold_id = place(money).json()["id"]
    first = money.post(f"/v1/holds/{hold_id}/void")
    assert first.status_code == 201
    assert first.json()["status"] == "voided"
    again = money.post(f"/v1/holds/{hold_id}/void", {})
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert code(money.post(f"/v1/holds/{hold_id}/void", key="v2")) == (409, "hold_closed")
    assert code(money.post(f"/v1/holds/{hold_id}/capture", key="c1")) == (409, "hold_closed")
    assert money.balance() == (1000, 0)


def test_a_hold_out_of_time_cannot_be_captured_but_voided(money: Api) -> None:
    money.fund(1000)
    hold_id = place(money, expires_in_s=60).json()["id"]
    money.clock.advance(60)
    assert code(money.post(f"/v1/holds/{hold_id}/capture", key="c1")) == (409, "hold_expired")
    assert money.post(f"/v1/holds/{hold_id}/void").json()["status"] == "voided"


def test_a_crowd_ends_a_hold_once(money: Api) -> None:
    money.fund(1000)
    hold_id = place(money).json()["id"]
    answers = money.together(
        Call("POST", f"/v1/holds/{hold_id}/{verb}", {}, f"{verb}-{n}")
        for n in range(10)
        for verb in ("capture", "void")
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    assert money.balance()[1] == 0


def test_what_is_no_hold_is_not_found(money: Api) -> None:
    money.fund(1000)
    entry_id = money.debit(1).json()["id"]
    for hold_id in (entry_id, "acme.EUR.1", "acme.EUR.99", "nobody.EUR.1", "x", "a%00.EUR.1"):
        assert code(money.get(f"/v1/holds/{hold_id}")) == (404, "entry_not_found"), hold_id
        assert code(money.post(f"/v1/holds/{hold_id}/void")) == (404, "entry_not_found")
        answer = money.post(f"/v1/holds/{hold_id}/capture", key="c1")
        assert code(answer) == (404, "entry_not_found")


def test_a_hold_lasts_for_a_bounded_time(api: Api) -> None:
    api.fund(1000)
    for expires_in_s in (0, -1, 90 * 86_400 + 1, 1.5, True, "60"):
        assert place(api, expires_in_s=expires_in_s).status_code == 422, expires_in_s
    assert place(api, expires_in_s=90 * 86_400).status_code == 201


def test_a_void_takes_no_arguments(api: Api) -> None:
    api.fund(1000)
    hold_id = place(api).json()["id"]
    assert api.post(f"/v1/holds/{hold_id}/void", {"amount": 1}).status_code == 422
    assert api.balance() == (1000, 400)
