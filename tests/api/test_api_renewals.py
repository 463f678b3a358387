"""Renewals by the API, and debits that pay their periods."""

from typing import Any

import pytest

from bridge.domain.clock import parse
from tests.api.calling import Answer, Api, Call, code, debit, fields
from tests.telling import facts

PATH = "/v1/renewals/sub-1"
LIST = "/v1/tenants/acme/renewals"


def terms(**more: Any) -> dict[str, Any]:
    """What acme agrees to: 19.00 EUR every month from the end of November on."""
    usual = {
        "tenant_id": "acme",
        "amount": 1900,
        "currency": "EUR",
        "interval": {"unit": "month", "count": 1},
        "next_due_at": "2026-11-30T09:00:00Z",
    }
    return usual | more


def agree(api: Api, reference: str = "sub-1", **more: Any) -> dict[str, Any]:
    answer = api.put(f"/v1/renewals/{reference}", terms(**more))
    assert answer.status_code in {200, 201}, answer.text
    renewal: dict[str, Any] = answer.json()
    return renewal


def pay(api: Api, key: str = "p1", period: str | None = None, path: str = PATH) -> Answer:
    return api.post(f"{path}/pay", {"period": period} if period else None, key=key)


def run(api: Api, until: str) -> None:
    """Let the time come, and do what is due then."""
    api.clock.now = parse(until)
    api.renewals.run(lambda: False)


def test_a_renewal_is_agreed_on_and_shown_with_everything_that_was_said(money: Api) -> None:
    answer = money.put(
        PATH,
        terms(
            timezone="Europe/Berlin",
            max_amount=2500,
            keep_at_least=100,
            priority=5,
            retries=[1, 2],
            grace_until="2026-12-24T00:00:00Z",
            description="Pro, monthly",
            metadata={"plan": "pro"},
        ),
    )
    assert answer.status_code == 201
    assert answer.json() == {
        "reference": "sub-1",
        "tenant_id": "acme",
        "amount": 1900,
        "currency": "EUR",
        "interval": {"unit": "month", "count": 1},
        "timezone": "Europe/Berlin",
        "period": "2026-11-30",
        "next_due_at": "2026-11-30T09:00:00.000000Z",
        "auto_renew": True,
        "max_amount": 2500,
        "keep_at_least": 100,
        "priority": 5,
        "retries": [1, 2],
        "grace_until": "2026-12-24T00:00:00.000000Z",
        "description": "Pro, monthly",
        "metadata": {"plan": "pro"},
        "status": "active",
        "reason": None,
        "failures": 0,
        "retry_at": None,
        "lapses_at": None,
        "last_entry_id": None,
        "created_at": "2026-11-22T12:00:00.000000Z",
        "changed_at": "2026-11-22T12:00:00.000000Z",
    }
    assert money.get(PATH).json() == answer.json()
    assert money.get(LIST).json() == {"data": [answer.json()], "next_cursor": None}


def test_what_is_sent_again_changes_nothing_and_other_terms_are_taken_over(money: Api) -> None:
    first = agree(money)
    money.clock.advance(60)
    again = money.put(PATH, terms())
    assert (again.status_code, again.json()) == (200, first)
    changed = agree(money, amount=2900)
    assert changed["amount"] == 2900
    assert (changed["period"], changed["created_at"]) == (first["period"], first["created_at"])
    moved = agree(money, amount=2900, next_due_at="2027-02-01T00:00:00Z")
    assert moved["period"] == "2027-02-01"


WRONG: dict[str, Any] = {
    "amount": 0,
    "currency": "XXX",
    "interval.unit": {"interval": {"unit": "quarter", "count": 1}},
    "interval.count": {"interval": {"unit": "day", "count": 121}},
    "timezone": "Europe/Nowhere",
    "max_amount": 0,
    "keep_at_least": -1,
    "priority": 1001,
    "retries": [24, 24],
    "retries[0]": {"retries": [2161]},
    "grace_until": "tomorrow",
    "metadata": {"metadata": []},
    "auto_renew": 1,
    "tenant_id": "a b",
    "surprise": "x",
}


@pytest.mark.parametrize("field", WRONG)
def test_terms_that_make_no_sense_are_refused_by_their_names(api: Api, field: str) -> None:
    wrong = WRONG[field] if isinstance(WRONG[field], dict) else {field: WRONG[field]}
    assert fields(api.put(PATH, terms(**wrong))) == [field]


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/localtime", "Europe/../UTC", "", "posixrules\n", "\u00fc"]
)
def test_a_time_zone_is_a_name_and_no_path(api: Api, name: str) -> None:
    assert fields(api.put(PATH, terms(timezone=name))) == ["timezone"]


@pytest.mark.parametrize("reference", ["-x", "a b", "x" * 129, "\u00fc", "a%0Ab"])
def test_a_reference_fits_into_a_path_and_a_key(api: Api, reference: str) -> None:
    assert fields(api.put(f"/v1/renewals/{reference}", terms())) == ["reference"]


@pytest.mark.parametrize("due_at", ["2025-11-21T11:00:00Z", "2036-12-01T00:00:00Z"])
def test_a_renewal_begins_within_a_year_behind_and_ten_ahead(api: Api, due_at: str) -> None:
    answer = api.put(PATH, terms(next_due_at=due_at))
    assert code(answer) == (422, "invalid_request")
    assert answer.json()["detail"].startswith("next_due_at is ")


def test_a_core_may_send_its_first_terms_again_for_years(api: Api) -> None:
    agree(api)
    api.clock.now = parse("2029-01-01T00:00:00Z")
    assert api.put(PATH, terms()).status_code == 200
    assert api.call("DELETE", PATH).json()["status"] == "ended"
    assert code(api.put(PATH, terms())) == (422, "invalid_request"), "it would begin anew"


def test_an_unknown_tenant_is_made_only_where_tenants_may_be(money: Api) -> None:
    money.serve(money.services._replace(create_tenants=False))
    assert code(money.put(PATH, terms())) == (404, "tenant_not_found")
    assert code(money.get(PATH)) == (404, "renewal_not_found")
    assert code(money.get(LIST)) == (404, "tenant_not_found")
    money.serve(money.services)
    agree(money)
    assert money.get("/v1/tenants/acme").status_code == 200


def test_a_due_renewal_is_paid_and_stands_in_the_ledger_as_a_plan_renewal(money: Api) -> None:
    money.fund(5000)
    agree(money, description="Pro, monthly", metadata={"plan": "pro"})
    run(money, "2026-11-30T09:00:00Z")
    assert money.balance() == (3100, 0)
    [entry, _] = money.get("/v1/tenants/acme/entries").json()["data"]
    assert (entry["kind"], entry["contra"], entry["reference"]) == ("debit", "plans", "sub-1")
    assert (entry["description"], entry["metadata"]) == ("Pro, monthly", {"plan": "pro"})
    assert entry["source"].startswith("renewal/sub-1/2026-11-30")
    assert entry["purpose"] == "plan_renewal"
    renewal = money.get(PATH).json()
    assert (renewal["period"], renewal["last_entry_id"]) == ("2026-12-30", entry["id"])


def test_a_short_balance_says_when_it_is_tried_again_and_money_pays_at_once(money: Api) -> None:
    money.fund(1000)
    agree(money, retries=[24, 72])
    run(money, "2026-11-30T09:00:00Z")
    overdue = money.get(PATH).json()
    assert (overdue["status"], overdue["reason"]) == ("overdue", "insufficient_balance")
    assert (overdue["failures"], overdue["retry_at"]) == (1, "2026-12-01T09:00:00.000000Z")
    assert overdue["lapses_at"] == "2026-12-14T09:00:00.000000Z"
    money.fund(900)
    assert money.balance() == (0, 0)
    paid = money.get(PATH).json()
    assert (paid["status"], paid["reason"], paid["retry_at"]) == ("active", None, None)


def test_a_period_is_paid_by_hand_before_it_is_due_once(money: Api) -> None:
    money.fund(5000)
    agree(money, keep_at_least=5000, max_amount=1)
    first = pay(money, period="2026-11-30")
    assert first.status_code == 201
    assert "Idempotent-Replayed" not in first.headers
    entry, renewal = first.json()["entry"], first.json()["renewal"]
    assert (entry["amount"], renewal["period"]) == (-1900, "2026-12-30")
    assert renewal["last_entry_id"] == entry["id"]
    for again in (pay(money, period="2026-11-30"), pay(money, key="p2", period="2026-11-30")):
        assert again.status_code == 201
        assert again.headers["Idempotent-Replayed"] == "true"
        assert again.json()["entry"] == entry
    run(money, "2026-11-30T09:00:00Z")
    assert money.balance() == (3100, 0)


def test_without_a_period_each_key_pays_one_and_the_same_key_the_same_one(money: Api) -> None:
    money.fund(5000)
    agree(money)
    assert pay(money).json()["renewal"]["period"] == "2026-12-30"
    assert pay(money).headers["Idempotent-Replayed"] == "true"
    assert pay(money, key="p2").json()["renewal"]["period"] == "2027-01-30"
    assert code(pay(money, period="2026-12-30")) == (422, "idempotency_key_reused")
    assert money.balance() == (1200, 0)


def test_one_key_pays_one_of_two_renewals_also_when_they_come_together(money: Api) -> None:
    money.fund(50_000)
    for n in range(10):
        agree(money, f"a{n}")
        agree(money, f"b{n}")
        paths = (f"/v1/renewals/{name}{n}/pay" for name in "ab")
        answers = money.together(Call("POST", path, key=f"key-{n}") for path in paths)
        assert sorted(answer.status_code for answer in answers) == [201, 422]
    assert money.balance() == (50_000 - 10 * 1900, 0)


def test_what_cannot_be_paid_by_hand_is_told_and_changes_nothing(money: Api) -> None:
    money.fund(1500)
    before = agree(money)
    short = pay(money)
    assert code(short) == (402, "insufficient_balance")
    assert (short.json()["shortfall"], short.json()["currency"]) == (400, "EUR")
    assert code(pay(money, period="2027-05-30")) == (409, "renewal_closed")
    assert fields(pay(money, period="May")) == ["period"]
    assert code(money.post(f"{PATH}/pay")) == (400, "idempotency_key_missing")
    assert code(pay(money, path="/v1/renewals/none")) == (404, "renewal_not_found")
    assert money.get(PATH).json() == before
    money.fund(400)
    assert pay(money).status_code == 201, "a declined key may succeed after a deposit"


def test_a_lapsed_renewal_begins_anew_when_it_is_paid(money: Api) -> None:
    money.fund(100)
    agree(money, retries=[], grace_until="2026-12-02T00:00:00Z")
    run(money, "2026-11-30T09:00:00Z")
    run(money, "2026-12-03T00:00:00Z")
    assert money.get(PATH).json()["status"] == "lapsed"
    money.fund(1900)
    assert money.balance() == (2000, 0), "nothing is taken for what has lapsed"
    renewal = pay(money, period="2026-11-30").json()["renewal"]
    assert (renewal["status"], renewal["period"]) == ("active", "2027-01-03")


def test_a_renewal_that_ended_takes_nothing_and_may_begin_again(money: Api) -> None:
    money.fund(5000)
    agree(money)
    ended = money.call("DELETE", PATH)
    assert (ended.status_code, ended.json()["status"]) == (200, "ended")
    assert money.call("DELETE", PATH).json() == ended.json()
    assert code(pay(money)) == (409, "renewal_closed")
    run(money, "2026-12-01T00:00:00Z")
    assert money.balance() == (5000, 0)
    assert agree(money)["status"] == "active"
    assert code(money.call("DELETE", "/v1/renewals/none")) == (404, "renewal_not_found")


def test_a_reference_belongs_to_its_tenant(money: Api) -> None:
    agree(money)
    agree(money, tenant_id="beta", amount=900)
    for answer in (money.get(PATH), money.call("DELETE", PATH), pay(money)):
        assert code(answer) == (409, "renewal_ambiguous")
    assert money.get(PATH, tenant_id="beta").json()["amount"] == 900
    assert money.call("DELETE", f"{PATH}?tenant_id=beta").json()["status"] == "ended"
    assert money.get(PATH, tenant_id="acme").json()["status"] == "active"
    assert code(money.get(PATH, tenant_id="nobody")) == (404, "renewal_not_found")
    assert fields(money.get(PATH, tenant_id="a b")) == ["tenant_id"]


def test_renewals_come_in_pages_by_reference(money: Api) -> None:
    for reference in ("c", "a", "b"):
        agree(money, reference)
    first = money.get(LIST, limit=2).json()
    assert [one["reference"] for one in first["data"]] == ["a", "b"]
    rest = money.get(LIST, limit=2, cursor=first["next_cursor"]).json()
    assert [one["reference"] for one in rest["data"]] == ["c"]
    assert rest["next_cursor"] is None


def test_each_call_needs_its_scope(api: Api) -> None:
    agree(api)
    reader = {"Authorization": f"Bearer {api.new_key('reader', 'read')}", "Idempotency-Key": "k"}
    debtor = {"Authorization": f"Bearer {api.new_key('debtor', 'debit')}"}
    assert api.call("GET", PATH, headers=reader).status_code == 200
    assert api.call("GET", LIST, headers=reader).status_code == 200
    for method, path in (("PUT", PATH), ("DELETE", PATH), ("POST", f"{PATH}/pay")):
        answer = api.call(method, path, json=terms(), headers=reader)
        assert code(answer) == (403, "scope_missing")
    for path in (PATH, LIST, "/v1/tenants/acme/forecast"):
        assert code(api.call("GET", path, headers=debtor)) == (403, "scope_missing")


def test_a_period_the_core_paid_is_not_paid_again_by_bridge(money: Api) -> None:
    money.fund(5000)
    agree(money)
    made = money.debit(1700, key="own", reference="sub-1", period="2026-11-30")
    assert made.status_code == 201
    run(money, "2026-11-30T09:00:00Z")
    assert money.balance() == (3300, 0)
    renewal = money.get(PATH).json()
    assert (renewal["period"], renewal["last_entry_id"]) == ("2026-12-30", made.json()["id"])


def test_a_period_bridge_paid_is_not_paid_again_by_the_core(money: Api) -> None:
    money.fund(5000)
    agree(money)
    run(money, "2026-11-30T09:00:00Z")
    asked = money.debit(2500, key="own", reference="sub-1", period="2026-11-30")
    assert asked.status_code == 201
    assert asked.headers["Idempotent-Replayed"] == "true"
    assert asked.json()["amount"] == -1900, "what was paid, whatever is asked for now"
    assert money.balance() == (3100, 0)


def test_a_period_is_paid_once_by_whatever_caller_key_and_amount(money: Api) -> None:
    """Also without an agreement on the renewal, and by many at once, singly or in batches."""
    money.fund(50_000)
    period = {"reference": "own-job", "period": "2026-11-30"}
    keyed = [debit(100, **period) | {"idempotency_key": f"b{n}"} for n in range(5)]
    answers = money.together(
        [
            *(Call("POST", "/v1/debits", debit(100 + n, **period), f"k{n}") for n in range(20)),
            Call("POST", "/v1/debits/batch", {"debits": keyed}),
        ]
    )
    assert {answer.status_code for answer in answers} == {200, 201}
    entries = money.get("/v1/tenants/acme/entries").json()["data"]
    assert [entry["kind"] for entry in entries] == ["debit", "adjustment"]
    other = money.debit(100, key="k0", reference="own-job", period="2026-12-30")
    assert other.status_code == 201
    assert "Idempotent-Replayed" not in other.headers


def test_an_overdue_period_that_the_core_debits_itself_is_paid_at_once(money: Api) -> None:
    money.fund(1000)
    agree(money)
    run(money, "2026-11-30T09:00:00Z")
    assert money.get(PATH).json()["status"] == "overdue"
    entry = money.debit(1000, reference="sub-1", period="2026-11-30").json()
    renewal = money.get(PATH).json()
    assert (renewal["status"], renewal["period"]) == ("active", "2026-12-30")
    assert renewal["last_entry_id"] == entry["id"]
    run(money, "2026-12-02T09:00:00Z")
    told = [fact.type for fact in facts(money.database) if fact.type.startswith("renewal.")]
    assert told == ["renewal.payment_failed", "renewal.paid"]


def test_other_debits_of_the_core_leave_an_overdue_renewal_as_it_is(money: Api) -> None:
    money.fund(1000)
    agree(money)
    run(money, "2026-11-30T09:00:00Z")
    before = money.get(PATH).json()
    for more in ({}, {"period": "2026-12-30"}):
        assert money.debit(1, key=str(more), reference="sub-1", **more).status_code == 201
    assert money.get(PATH).json() == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"period": "2026-11-30"},
        {"period": "2026-11-30", "reference": "a b"},
        {"period": "2026-11-30", "reference": "a\n"},
        {"period": "30.11.2026", "reference": "sub-1"},
        {"period": "2027-02-29", "reference": "sub-1"},
        {"period": "2026-11-30\n", "reference": "sub-1"},
    ],
)
def test_a_period_without_a_renewals_reference_is_refused(api: Api, wrong: Any) -> None:
    assert fields(api.debit(100, **wrong)) == ["period"]
