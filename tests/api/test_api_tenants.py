from typing import Any

from tests.api.calling import Api, code, fields


def test_a_tenant_is_put_and_put_again(money: Api) -> None:
    first = money.put("/v1/tenants/acme", {"name": "Acme", "metadata": {"plan": "m"}})
    assert first.status_code == 201
    assert first.json() == {
        "tenant_id": "acme",
        "name": "Acme",
        "metadata": {"plan": "m"},
        "created_at": "2026-11-22T12:00:00.000000Z",
    }
    money.clock.advance(60)
    again = money.put("/v1/tenants/acme", {"name": "Acme Ltd"})
    assert again.status_code == 200
    assert again.json() == first.json() | {"name": "Acme Ltd", "metadata": {}}
    assert money.put("/v1/tenants/acme").json()["name"] == ""


def test_a_tenant_id_is_kept_byte_for_byte(money: Api) -> None:
    for tenant_id in ("Acme", "acme", "a.b:c@d+e=f~g-h_i"):
        assert money.put(f"/v1/tenants/{tenant_id}").status_code == 201
    listed = money.get("/v1/tenants").json()["data"]
    assert [one["tenant_id"] for one in listed] == ["Acme", "a.b:c@d+e=f~g-h_i", "acme"]


def test_a_tenant_is_shown_with_its_balances(money: Api) -> None:
    money.fund(1000)
    money.fund(70, currency="JPY")
    tenant = money.get("/v1/tenants/acme").json()
    assert tenant["tenant_id"] == "acme"
    assert tenant["balances"] == [
        {
            "balance": balance,
            "held": 0,
            "available": balance,
            "currency": currency,
            "version": 1,
            "as_of": "2026-11-22T12:00:00.000000Z",
        }
        for balance, currency in ((1000, "EUR"), (70, "JPY"))
    ]


def test_a_known_tenant_has_zero_in_every_other_currency(api: Api) -> None:
    api.put("/v1/tenants/acme")
    balance = api.get("/v1/tenants/acme/balances/KWD").json()
    assert (balance["balance"], balance["version"]) == (0, 0)


def test_an_unknown_tenant_is_a_404_everywhere(money: Api) -> None:
    for path in (
        "/v1/tenants/nobody",
        "/v1/tenants/nobody/balances/EUR",
        "/v1/tenants/nobody/entries",
        "/v1/tenants/nobody/payment-options?amount=1&currency=EUR",
    ):
        assert code(money.call("GET", path)) == (404, "tenant_not_found"), path


def test_an_impossible_tenant_id_or_currency_is_refused_by_name(api: Api) -> None:
    for odd in ("a%20b", "a%00b", "%E2%80%AEacme", "%D0%B0cme", "-acme", "a" * 129, "%FF"):
        for path in (f"/v1/tenants/{odd}", f"/v1/tenants/{odd}/entries"):
            assert fields(api.get(path)) == ["tenant_id"], path
        assert fields(api.put(f"/v1/tenants/{odd}")) == ["tenant_id"]
    for odd in ("eur", "XXX", "EURO", "%00"):
        answer = api.get(f"/v1/tenants/acme/balances/{odd}")
        assert code(answer) == (422, "unknown_currency")
        assert fields(answer) == ["currency"]


def test_tenants_come_in_pages(api: Api) -> None:
    names = [f"t{n}" for n in range(5)]
    for name in names:
        api.put(f"/v1/tenants/{name}")
    first = api.get("/v1/tenants", limit=2).json()
    second = api.get("/v1/tenants", limit=2, cursor=first["next_cursor"]).json()
    third = api.get("/v1/tenants", limit=2, cursor=second["next_cursor"]).json()
    pages = [first, second, third]
    assert [[one["tenant_id"] for one in page["data"]] for page in pages] == [
        ["t0", "t1"],
        ["t2", "t3"],
        ["t4"],
    ]
    assert third["next_cursor"] is None
    assert api.get("/v1/tenants", limit=5).json()["next_cursor"] is None


def test_entries_come_in_pages_newest_first(money: Api) -> None:
    for amount in (1, 2, 3):
        money.fund(amount)
        money.fund(amount, currency="USD")
    seen = []
    cursor: dict[str, str] = {}
    while True:
        page = money.get("/v1/tenants/acme/entries", limit=2, **cursor).json()
        seen += [entry["id"] for entry in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == [f"acme.{currency}.{n}" for currency in ("USD", "EUR") for n in (3, 2, 1)]


def test_entries_can_be_of_one_currency(money: Api) -> None:
    money.fund(1)
    money.fund(1, currency="USD")
    entries = money.get("/v1/tenants/acme/entries", currency="USD").json()["data"]
    assert [entry["id"] for entry in entries] == ["acme.USD.1"]
    assert money.get("/v1/tenants/acme/entries", currency="JPY").json()["data"] == []


def test_entries_of_one_currency_come_in_pages_too(money: Api) -> None:
    """A cursor keeps its place even where it comes from the pages of another currency."""
    for amount in (1, 2, 3):
        money.fund(amount)
        money.fund(amount, currency="USD")
    path = "/v1/tenants/acme/entries"
    first = money.get(path, currency="EUR", limit=2).json()
    second = money.get(path, currency="EUR", limit=2, cursor=first["next_cursor"]).json()
    assert [entry["id"] for entry in first["data"]] == ["acme.EUR.3", "acme.EUR.2"]
    assert [entry["id"] for entry in second["data"]] == ["acme.EUR.1"]
    assert second["next_cursor"] is None
    above = money.get(path, currency="USD", limit=1).json()["next_cursor"]
    assert len(money.get(path, currency="EUR", cursor=above).json()["data"]) == 3
    assert money.get(path, currency="USD", cursor=first["next_cursor"]).json()["data"] == []


def test_a_page_has_bounds_and_an_unknown_question_is_refused(api: Api) -> None:
    api.put("/v1/tenants/acme")
    path = "/v1/tenants/acme/entries"
    for limit in ("0", "201", "-1", "1.0", " 1", "1_0", "\u0661", "", "x"):
        assert fields(api.get(path, limit=limit)) == ["limit"], limit
    assert fields(api.get(path, curency="EUR")) == ["curency"]
    assert fields(api.get(path, currency=["EUR", "USD"])) == ["currency"]
    assert api.get(path, limit="200").status_code == 200


def test_a_cursor_of_any_length_leads_to_the_next_page(api: Api) -> None:
    names = [f"tenant{'x' * n}" for n in range(5)]
    for name in names:
        api.put(f"/v1/tenants/{name}")
    for place, name in enumerate(names[:-1]):
        cursor = api.get("/v1/tenants", limit=place + 1).json()["next_cursor"]
        following = api.get("/v1/tenants", limit=1, cursor=cursor).json()["data"]
        assert [tenant["tenant_id"] for tenant in following] == [names[place + 1]], name


def test_a_foreign_cursor_is_refused(money: Api) -> None:
    money.fund(1)
    money.put("/v1/tenants/beta")
    tenants_cursor = money.get("/v1/tenants", limit=1).json()["next_cursor"]
    for cursor in ("x", "!", "bnVsbA", "W10", "WyIAIiwxXQ", tenants_cursor, "a" * 501):
        answer = money.get("/v1/tenants/acme/entries", cursor=cursor)
        assert fields(answer) == ["cursor"], cursor


def test_metadata_is_small_text_only(api: Api) -> None:
    bad: list[Any] = [
        {"a": 1},
        {"a": None},
        {"": "x"},
        {"k" * 41: "x"},
        {"k": "v" * 501},
        {"k": "\0"},
        {"\0": "v"},
        {f"k{n}": "v" for n in range(51)},
        [],
        "x",
    ]
    for metadata in bad:
        answer = api.put("/v1/tenants/acme", {"metadata": metadata})
        assert answer.status_code == 422, metadata
        assert answer.json()["errors"][0]["field"].startswith("metadata")
    good = {f"{n:040}": "v" * 500 for n in range(50)}
    assert api.put("/v1/tenants/acme", {"metadata": good}).json()["metadata"] == good
