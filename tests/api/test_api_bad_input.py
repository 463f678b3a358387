"""Bad input gets a clear error and changes nothing."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bridge.api.middleware import BODY_SIZE_MAX
from tests.api.calling import Api, code, debit, fields


@pytest.fixture
def rich(api: Api) -> Iterator[Api]:
    """An API with a funded tenant, whose ledger must be the same in the end."""
    api.fund(1000)
    yield api
    assert api.balance() == (1000, 0)
    assert len(api.get("/v1/tenants/acme/entries").json()["data"]) == 1


@pytest.mark.parametrize(
    "amount",
    [
        *("1.0", "1.5", "1e2", "NaN", "Infinity", "true", '"1"', "null", "[]", "{}"),
        *("0", "-0", "-1", "9223372036854775808", "1" * 400),
    ],
)
def test_an_amount_that_is_no_positive_64_bit_integer_is_refused(rich: Api, amount: str) -> None:
    body = json.dumps(debit(0)).replace('"amount": 0', f'"amount": {amount}')
    assert fields(rich.raw(body.encode())) == ["amount"]


@pytest.mark.parametrize("currency", ["eur", "XXX", "XTS", "EU", "EURO", "", "\u0415UR", "EUR\0"])
def test_an_unknown_currency_is_refused(rich: Api, currency: str) -> None:
    answer = rich.debit(1, currency=currency)
    assert code(answer) == (422, "unknown_currency")
    assert fields(answer) == ["currency"]


@pytest.mark.parametrize(
    "tenant_id",
    [
        *("", " acme", "acme ", "ac me", "acme\n", "ac\0me", "a/b", "../x", ".", "..", "a" * 129),
        *("\u202eacme", "\u0430cme", "\uff41cme", "acme\u200b", "caf\u00e9"),
    ],
)
def test_a_tenant_id_outside_the_pattern_is_refused(rich: Api, tenant_id: str) -> None:
    assert fields(rich.debit(1, tenant_id=tenant_id)) == ["tenant_id"]


@pytest.mark.parametrize("tenant_id", [1, None, True, ["acme"], {"id": "acme"}])
def test_a_tenant_id_that_is_no_text_is_refused(rich: Api, tenant_id: Any) -> None:
    assert fields(rich.debit(1, tenant_id=tenant_id)) == ["tenant_id"]


def test_an_unknown_field_is_refused_by_name(rich: Api) -> None:
    answer = rich.debit(1, amuont=1, nested={"a": 1})
    assert fields(answer) == ["amuont", "nested"]
    assert "amuont is not a known field" in answer.json()["detail"]


def test_all_mistakes_are_named_at_once_in_plain_words(rich: Api) -> None:
    answer = rich.post("/v1/debits", {"amount": 0, "purpose": "fun", "x": 1}, key="k")
    assert answer.json()["detail"] == (
        "tenant_id is required; amount should be greater than 0; currency is required; "
        "purpose should be 'plan_purchase', 'plan_renewal' or 'other'; x is not a known field"
    )


def test_text_has_limits_and_no_nul(rich: Api) -> None:
    for field, limit in (("reference", 255), ("description", 1000)):
        for text in ("x" * (limit + 1), "a\0b", 1, None):
            answer = rich.post("/v1/debits", debit(1) | {field: text}, key="k")
            assert fields(answer) == [field]


def test_a_lone_surrogate_is_refused_wherever_it_stands(rich: Api) -> None:
    for field in ("tenant_id", "reference", "description", "purpose", "unknown\\ud800"):
        others = {name: value for name, value in debit(1).items() if name != field}
        body = f'{json.dumps(others)[:-1]}, "{field}": "x\\ud800"}}'
        assert rich.raw(body.encode()).status_code == 422, field
    assert rich.raw(b'{"metadata": {"\\udfff": "x"}}').status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"not json", b"{'a': 1}", b"{} {}", b'{"a": 1,}', b'{"a": 1, "a": 1}'),
        *(b"\xff", b'"\x00"', b'\xef\xbb\xbf{"a": 1}', b"[" * 100_000, b"1" * 5000),
    ],
)
def test_a_body_that_is_not_json_is_a_400(rich: Api, body: bytes) -> None:
    assert code(rich.raw(body)) == (400, "invalid_json")


@pytest.mark.parametrize("body", [b"[]", b"1", b'"x"', b"null", b"NaN"])
def test_a_body_that_is_no_object_is_refused(rich: Api, body: bytes) -> None:
    assert fields(rich.raw(body)) == ["body"]


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "json"])
def test_another_media_type_is_a_415(rich: Api, kind: str) -> None:
    body = json.dumps(debit(1)).encode()
    answer = rich.raw(body, **{"Content-Type": kind})
    assert code(answer) == (415, "unsupported_media_type")


def test_a_charset_in_the_media_type_is_fine(api: Api) -> None:
    api.fund(1)
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert api.raw(json.dumps(debit(1)).encode(), **headers).status_code == 201


def test_a_body_that_says_it_is_too_large_is_not_read(rich: Api) -> None:
    answer = rich.raw(b"{}", **{"Content-Length": str(BODY_SIZE_MAX + 1)})
    assert code(answer) == (413, "body_too_large")


def test_a_body_that_turns_out_too_large_is_not_read_on(rich: Api) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while True:
            sent += 65536
            yield b" " * 65536

    answer = rich.call(
        "POST", "/v1/debits", content=endless(), headers={"Content-Type": "application/json"}
    )
    assert code(answer) == (413, "body_too_large")
    assert sent <= BODY_SIZE_MAX + 2 * 65536


def test_money_is_not_moved_without_an_idempotency_key(rich: Api) -> None:
    hold = {"tenant_id": "acme", "amount": 1, "currency": "EUR"}
    adjustment = hold | {"reason": "x", "actor": "y"}
    for path, body in (
        ("/v1/debits", debit(1)),
        ("/v1/debits/acme.EUR.1/refunds", {"reason": "x"}),
        ("/v1/holds", hold),
        ("/v1/holds/acme.EUR.1/capture", {}),
        ("/v1/adjustments", adjustment),
    ):
        assert code(rich.post(path, body)) == (400, "idempotency_key_missing"), path
    answer = rich.post("/v1/debits/batch", {"debits": [debit(1)]})
    assert fields(answer) == ["debits[0].idempotency_key"]


def test_an_idempotency_key_is_1_to_255_printable_ascii_characters(rich: Api) -> None:
    for key in (b"", b"x" * 256, b"caf\xc3\xa9", b"a\tb"):
        headers: Any = {b"Idempotency-Key": key}
        answer = rich.call("POST", "/v1/debits", json=debit(1), headers=headers)
        assert fields(answer) == ["Idempotency-Key"], key
    for text in ("", "x" * 256, "caf\u00e9", "a\nb", "a\n"):
        body = {"debits": [debit(1) | {"idempotency_key": text}]}
        assert fields(rich.post("/v1/debits/batch", body)) == ["debits[0].idempotency_key"]


def test_the_longest_idempotency_key_works(api: Api) -> None:
    api.fund(1)
    assert api.debit(1, key="~" * 255).status_code == 201
