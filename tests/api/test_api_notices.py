"""What a tenant is told, and where: said by the core, looked at by the publisher at once."""

import io
from typing import Any

import pytest

from bridge.domain.alert import Threshold
from bridge.domain.wallet import WalletId
from bridge.store import alerts
from tests.api.calling import Api, code, fields

PATH = "/v1/tenants/acme/notices"
NONE: dict[str, Any] = {"email": None, "language": None, "thresholds": []}
EUR = {"currency": "EUR", "below": 500, "next_renewal": True}
JPY = {"currency": "JPY", "below": 900, "next_renewal": False}
SAID = {"email": "billing@example.com", "language": "de", "thresholds": [EUR, JPY]}


def test_nothing_is_told_to_a_tenant_until_it_is_said(money: Api) -> None:
    assert code(money.get(PATH)) == (404, "tenant_not_found")
    money.put("/v1/tenants/acme")
    assert money.get(PATH).json() == NONE


def test_what_is_said_is_kept_in_place_of_what_was_said(money: Api) -> None:
    said = money.put(PATH, SAID | {"thresholds": [JPY, EUR]})
    assert (said.status_code, said.json()) == (200, SAID)
    assert money.get(PATH).json() == SAID
    assert money.put(PATH, {"thresholds": [{"currency": "EUR"}]}).status_code == 200
    plain = {"currency": "EUR", "below": 0, "next_renewal": False}
    assert money.get(PATH).json() == NONE | {"thresholds": [plain]}


def test_forgetting_takes_the_address_too(money: Api) -> None:
    money.put(PATH, SAID)
    assert money.call("DELETE", PATH).json() == NONE
    assert money.get(PATH).json() == NONE
    with money.database.read() as tx:
        assert alerts.notices(tx, ["acme"]) == {}


def test_the_publisher_reads_what_was_said_and_looks_at_the_wallets_at_once(money: Api) -> None:
    money.fund(400)
    money.fund(400, "globex")
    money.put(PATH, SAID)
    with money.database.read() as tx:
        notice = alerts.notices(tx, ["acme"])["acme"]
        assert set(alerts.due(tx, money.clock(), 10)) == {WalletId("acme", "EUR")}
    assert notice.email == "billing@example.com"
    assert notice.thresholds["EUR"] == Threshold(500, next_renewal=True)


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"email": "Billing <billing@example.com>"}, "email"),
        ({"email": "a@example.com\r\nBcc: b@example.com"}, "email"),
        ({"email": ""}, "email"),
        ({"language": "xx"}, "language"),
        ({"thresholds": [EUR, EUR]}, "thresholds"),
        ({"thresholds": [EUR | {"currency": "EURO"}]}, "thresholds[0].currency"),
        ({"thresholds": [EUR | {"below": -1}]}, "thresholds[0].below"),
        ({"thresholds": [EUR | {"below": 1.5}]}, "thresholds[0].below"),
        ({"thresholds": [EUR | {"above": 1}]}, "thresholds[0].above"),
        ({"mail": "a@example.com"}, "mail"),
    ],
)
def test_what_could_be_taken_in_two_ways_is_refused(
    api: Api, said: dict[str, Any], field: str
) -> None:
    assert fields(api.put(PATH, said)) == [field]


def test_addresses_stay_out_of_the_log(api: Api, lines: io.StringIO) -> None:
    api.put(PATH, SAID)
    api.put(PATH, SAID | {"email": "not one @example.com"})
    assert lines.getvalue()
    assert "example.com" not in lines.getvalue()


def test_readers_read_and_admins_say(api: Api) -> None:
    reader = {"Authorization": f"Bearer {api.new_key('x', 'read')}"}
    admin = {"Authorization": f"Bearer {api.new_key('y', 'admin')}"}
    for method in ("PUT", "DELETE"):
        refused = api.call(method, PATH, headers=reader, json={} if method == "PUT" else None)
        assert code(refused) == (403, "scope_missing")
    assert code(api.call("GET", PATH, headers=admin)) == (403, "scope_missing")
    assert api.call("PUT", PATH, headers=admin, json=SAID).status_code == 200
