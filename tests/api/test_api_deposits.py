import threading
from collections.abc import Mapping
from typing import Any

import pytest

from bridge.api.services import ASKING_MAX
from bridge.domain.deposit import Asked, DepositRefusedError, Limits, Plan, Status
from bridge.store import deposits
from bridge.store.deposits import Deposit
from tests.api.calling import Answer, Api, Call, code, fields

PATH = "/v1/deposits"
UNKNOWN = "dep" + "a" * 17
DEBIT = {"type": "debit", "amount": 1900, "purpose": "plan_purchase", "metadata": {"plan": "pro"}}


def ask(**more: Any) -> dict[str, Any]:
    return {"tenant_id": "acme", "amount": 10_000, "currency": "EUR"} | more


def opened(api: Api, key: str = "d1", **more: Any) -> Answer:
    answer = api.post(PATH, ask(**more), key=key)
    assert answer.status_code == 201, answer.text
    return answer


def becomes(api: Api, deposit_id: str, **fields: Any) -> None:
    """Let the watch have seen something of a deposit."""
    with api.database.write() as tx:
        deposits.save(tx, [deposits.get(tx, deposit_id)._replace(**fields)])


def test_a_deposit_says_where_to_pay_and_what_it_brings(depositing: Api) -> None:
    deposit = opened(depositing, return_url="https://app.example/x", metadata={"a": "b"}).json()
    assert deposit["pay_url"].startswith("https://store.example.com/?bridge_deposit=")
    told = {name: deposit[name] for name in deposit if name not in {"id", "pay_url"}}
    assert told == {
        "tenant_id": "acme",
        "storefront": "main",
        "mode": "checkout",
        "status": "open",
        "amount": 10_000,
        "bonus": 500,
        "currency": "EUR",
        "plan": None,
        "periods": 1,
        "paid": False,
        "waiting_for": "payment",
        "because": "",
        "return_url": "https://app.example/x",
        "order_id": None,
        "order_status": None,
        "purpose": None,
        "metadata": {"a": "b"},
        "expires_at": "2026-11-23T12:00:00.000000Z",
        "created_at": "2026-11-22T12:00:00.000000Z",
        "changed_at": "2026-11-22T12:00:00.000000Z",
        "credited_at": None,
    }
    assert depositing.get(f"{PATH}/{deposit['id']}").json() == deposit


def test_a_repeated_request_opens_one_deposit(depositing: Api) -> None:
    first, again = opened(depositing), opened(depositing)
    assert again.json() == first.json()
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    other = depositing.post(PATH, ask(amount=5000), key="d1")
    assert code(other) == (422, "idempotency_key_reused")
    assert code(depositing.post(PATH, ask())) == (400, "idempotency_key_missing")


def test_a_deposit_is_for_an_amount_or_for_a_plan(depositing: Api) -> None:
    plan = {"tenant_id": "acme", "plan": "pro", "periods": 3}
    answer = depositing.post(PATH, plan, key="p1").json()
    assert (answer["amount"], answer["currency"], answer["plan"]) == (5700, "EUR", "pro")
    assert fields(depositing.post(PATH, {"tenant_id": "acme"}, key="p2")) == ["amount", "currency"]
    assert fields(depositing.post(PATH, plan | {"amount": 1}, key="p3")) == ["amount"]
    assert fields(depositing.post(PATH, plan | {"periods": 121}, key="p4")) == ["periods"]


@pytest.mark.parametrize(
    "refused",
    [
        {"amount": 499},
        {"currency": "USD"},
        {"storefront": "moon"},
        {"amount": None, "currency": None, "plan": "none"},
    ],
)
def test_what_may_not_be_deposited_is_refused(depositing: Api, refused: dict[str, Any]) -> None:
    assert code(depositing.post(PATH, ask(**refused), key="d1")) == (422, "deposit_refused")


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "//app.example",
        "https://core@app.example",
        "http://[x",
        "https://]:",
        "http://[:::]/",
        "http://?",
        "https://app.example\\@evil.example",
        "https://app.example/\u00e4",
        "https://app.example/a b",
        "https://app.example/" + "a" * 2000,
    ],
)
def test_addresses_are_plain_web_addresses(depositing: Api, address: str) -> None:
    refused = depositing.post(PATH, ask(return_url=address), key="d1")
    assert fields(refused) == ["return_url"]


def test_a_purpose_is_kept_and_needs_the_scope_of_debits(depositing: Api) -> None:
    only = {"Authorization": f"Bearer {depositing.new_key('core', 'deposit')}"}
    headers = only | {"Idempotency-Key": "d2"}
    refused = depositing.call("POST", PATH, json=ask(purpose=DEBIT), headers=headers)
    assert code(refused) == (403, "scope_missing")
    assert refused.json()["scope"] == "debit"
    assert depositing.call("POST", PATH, json=ask(), headers=headers).status_code == 201
    assert opened(depositing, purpose=DEBIT).json()["purpose"] == {
        "type": "debit",
        "id": None,
        "amount": 1900,
        "purpose": "plan_purchase",
        "reference": "",
        "description": "",
        "metadata": {"plan": "pro"},
        "status": "pending",
        "reason": None,
        "entry_id": None,
    }


def test_a_purpose_can_be_an_open_payment_request_of_the_same_tenant(depositing: Api) -> None:
    asked = {"tenant_id": "globex", "amount": 1900, "currency": "EUR", "purpose": "other"}
    request = depositing.post("/v1/payment-requests", asked, key="r1").json()
    purpose = {"type": "payment_request", "id": request["id"]}
    told = opened(depositing, tenant_id="globex", purpose=purpose).json()["purpose"]
    assert (told["type"], told["id"], told["status"]) == (*purpose.values(), "pending")
    elsewhere = depositing.post(PATH, ask(purpose=purpose), key="d2")
    assert code(elsewhere) == (422, "deposit_refused")
    nowhere = purpose | {"id": "pay" + "a" * 17}
    missing = depositing.post(PATH, ask(purpose=nowhere), key="d3")
    assert code(missing) == (404, "payment_request_not_found")


def test_it_says_who_is_waited_for(depositing: Api) -> None:
    deposit_id = opened(depositing).json()["id"]
    for status, order_status, waits in (
        (Status.OPEN, "on-hold", (False, "bank")),
        (Status.PAID, "processing", (True, "storefront")),
        (Status.CREDITED, "completed", (True, None)),
        (Status.EXPIRED, "pending", (False, None)),
    ):
        becomes(depositing, deposit_id, status=status, order_status=order_status)
        told = depositing.get(f"{PATH}/{deposit_id}").json()
        assert (told["paid"], told["waiting_for"]) == waits


def test_each_tenants_deposits_are_listed_newest_first_in_pages(depositing: Api) -> None:
    ids = []
    for n in range(3):
        depositing.clock.advance(1)
        ids.append(opened(depositing, key=f"d{n}").json()["id"])
    opened(depositing, key="other", tenant_id="globex")
    becomes(depositing, ids[0], status=Status.CREDITED)
    page = depositing.get(PATH, tenant_id="acme", limit=2).json()
    assert [one["id"] for one in page["data"]] == [ids[2], ids[1]]
    rest = depositing.get(PATH, tenant_id="acme", cursor=page["next_cursor"]).json()
    assert ([one["id"] for one in rest["data"]], rest["next_cursor"]) == ([ids[0]], None)
    credited = depositing.get(PATH, tenant_id="acme", status="credited").json()["data"]
    assert [one["id"] for one in credited] == [ids[0]]
    assert fields(depositing.get(PATH)) == ["tenant_id"]
    assert code(depositing.get(PATH, tenant_id="nobody")) == (404, "tenant_not_found")


def test_a_deposit_is_called_off_as_often_as_one_likes_but_not_when_paid(depositing: Api) -> None:
    deposit_id = opened(depositing).json()["id"]
    for _ in range(2):
        answer = depositing.post(f"{PATH}/{deposit_id}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    paid = opened(depositing, key="d2").json()["id"]
    becomes(depositing, paid, status=Status.PAID)
    assert code(depositing.post(f"{PATH}/{paid}/cancel")) == (409, "deposit_closed")


def test_unknown_deposits_are_not_found(depositing: Api) -> None:
    assert code(depositing.get(f"{PATH}/{UNKNOWN}")) == (404, "deposit_not_found")
    assert code(depositing.post(f"{PATH}/{UNKNOWN}/cancel")) == (404, "deposit_not_found")
    assert fields(depositing.get(f"{PATH}/x")) == ["deposit_id"]


def test_where_tenants_are_not_made_by_orders_a_deposit_makes_none(depositing: Api) -> None:
    depositing.serve(depositing.services._replace(create_tenants=False))
    assert code(depositing.post(PATH, ask(), key="d1")) == (404, "tenant_not_found")
    depositing.put("/v1/tenants/acme")
    opened(depositing)


class Slow:
    """Opens nothing, and takes as long for it as a storefront that hangs."""

    plans: Mapping[str, Plan] = {}

    def __init__(self, until: threading.Event) -> None:
        self._until = until

    def limits(self, currency: str, storefront: str = "") -> Limits:
        raise AssertionError("only the tenants' page asks for limits")

    def open(self, asked: Asked, *, create_tenant: bool) -> tuple[Deposit, bool]:
        raise DepositRefusedError("in time" if self._until.wait(10) else "too late")

    def cancel(self, deposit_id: str) -> Deposit:
        raise AssertionError("nothing was opened that could be cancelled")


def test_a_storefront_that_hangs_keeps_nobody_else_waiting(api: Api) -> None:
    """The storefront answers when somebody else was served."""
    answered = threading.Event()

    def ready() -> list[str]:
        answered.set()
        return []

    api.serve(api.services._replace(deposits=Slow(answered), ready=ready))
    asks = [Call("POST", PATH, ask(), f"d{n}") for n in range(ASKING_MAX + 1)]
    *refused, served = api.together([*asks, Call("GET", "/readyz")])
    assert served.status_code == 200
    assert {answer.json()["detail"] for answer in refused} == {"in time"}


def test_deposits_need_their_scope_and_their_settings(api: Api) -> None:
    assert code(api.post(PATH, ask(), key="d1")) == (409, "deposits_closed")
    assert code(api.post(f"{PATH}/{UNKNOWN}/cancel")) == (409, "deposits_closed")
    others = {"Authorization": f"Bearer {api.new_key('x', 'read', 'debit', 'admin')}"}
    for method, path in (("POST", PATH), ("GET", PATH), ("GET", f"{PATH}/{UNKNOWN}")):
        refused = api.call(method, path, headers=others | {"Idempotency-Key": "d1"})
        assert code(refused)[0] in {400, 403}, (method, path)
    assert code(api.call("GET", f"{PATH}/{UNKNOWN}", headers=others)) == (403, "scope_missing")
