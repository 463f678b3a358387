from typing import Any
from urllib.parse import parse_qs, urlsplit

from bridge.domain.signing import unseal
from bridge.store import portal
from tests.api.calling import Api, code, fields
from tests.pages.visiting import portal_look

PATH = "/v1/portal-sessions"


def ask(**more: Any) -> dict[str, Any]:
    return {"tenant_id": "acme", "can": ["deposit", "pay"]} | more


def test_a_link_opens_the_page_once_for_what_was_asked(depositing: Api) -> None:
    asked = ask(can=["pay", "deposit"], language="de", return_url="https://core.example/back")
    answer = depositing.post(PATH, asked).json()
    assert answer["expires_at"] == "2026-11-22T12:05:00.000000Z"
    url = urlsplit(answer["url"])
    assert f"{url.scheme}://{url.netloc}" == portal_look().public_url
    assert url.path == "/billing/enter"
    [link] = parse_qs(url.query)["link"]
    tenant_id, session_id, _ = unseal(portal_look().link_keys, link) or []
    now = depositing.clock()
    with depositing.database.write() as tx:
        session = portal.enter(tx, tenant_id, session_id, now)
        assert portal.enter(tx, tenant_id, session_id, now) is None
    assert session is not None
    assert (session.tenant_id, session.language) == ("acme", "de")
    assert (session.can_deposit, session.can_pay) == (True, True)
    assert session.return_url == "https://core.example/back"


def test_who_may_only_look_may_neither_deposit_nor_pay(depositing: Api) -> None:
    link = depositing.post(PATH, ask(can=[])).json()["url"].partition("link=")[2]
    tenant_id, session_id, _ = unseal(portal_look().link_keys, link) or []
    with depositing.database.write() as tx:
        session = portal.enter(tx, tenant_id, session_id, depositing.clock())
    assert session is not None
    assert (session.can_deposit, session.can_pay) == (False, False)


def test_to_let_a_tenant_pay_takes_the_scope_of_debits(depositing: Api) -> None:
    only = {"Authorization": f"Bearer {depositing.new_key('x', 'deposit')}"}
    refused = depositing.call("POST", PATH, json=ask(), headers=only)
    assert code(refused) == (403, "scope_missing")
    granted = depositing.call("POST", PATH, json=ask(can=["deposit"]), headers=only)
    assert granted.status_code == 201


def test_the_request_must_be_complete_and_sound(depositing: Api) -> None:
    assert fields(depositing.post(PATH, {})) == ["tenant_id", "can"]
    assert fields(depositing.post(PATH, ask(can=["refund"]))) == ["can[0]"]
    assert fields(depositing.post(PATH, ask(language="xx"))) == ["language"]
    assert fields(depositing.post(PATH, ask(return_url="/back"))) == ["return_url"]


def test_where_tenants_are_not_made_by_orders_they_must_exist(depositing: Api) -> None:
    depositing.serve(depositing.services._replace(create_tenants=False))
    assert code(depositing.post(PATH, ask())) == (404, "tenant_not_found")


def test_without_a_page_there_is_no_link(api: Api) -> None:
    assert code(api.post(PATH, ask())) == (409, "portal_closed")
