"""The recorded deliveries of a real store, and what somebody else might send."""

import base64
import hashlib
import hmac
import io
from collections.abc import Iterator

import pytest

from bridge import metrics
from bridge.api.middleware import BODY_SIZE_MAX
from bridge.domain.clock import SECOND
from bridge.store import inbox
from bridge.store.inbox import Hint
from tests.api.calling import SECRET, Answer, Api, code
from tests.recordings import body, load, names

PATH = "/webhooks/woocommerce/main"
DELIVERIES = [name for name in names("webhook-") if "ping" not in name]
COMPLETED = "webhook-order.updated-completed"


def deliver(api: Api, name: str = COMPLETED, path: str = PATH) -> Answer:
    recording = load(name)
    return api.deliver(path, recording["body_raw"].encode(), _sent(recording["headers"]))


def signed(api: Api, raw: bytes, secret: str = SECRET, path: str = PATH) -> Answer:
    signature = base64.b64encode(hmac.digest(secret.encode(), raw, hashlib.sha256)).decode()
    headers = {"Content-Type": "application/json", "X-WC-Webhook-Signature": signature}
    return api.deliver(path, raw, headers)


def hints(api: Api) -> list[Hint]:
    """Return the hints that are due within a second."""
    with api.database.write() as tx:
        return inbox.claim(tx, "main", api.clock() + SECOND, 100)


def counted(storefront: str, result: str) -> float:
    labels = {"storefront": storefront, "result": result}
    return metrics.registry.get_sample_value("bridge_hints_total", labels) or 0


@pytest.fixture
def refusing(api: Api) -> Iterator[Api]:
    """A listener that must not have left a hint in the end."""
    yield api
    assert hints(api) == []
    assert api.nudged == []


@pytest.mark.parametrize("name", DELIVERIES)
def test_every_recorded_delivery_leaves_a_hint(api: Api, name: str) -> None:
    answer = deliver(api, name)
    assert answer.status_code == 200
    delivered = body(name)
    [hint] = hints(api)
    assert hint.order_id == delivered.get("arg", delivered.get("id"))
    assert hint.way == "webhook"
    assert api.nudged == ["main"]


def test_a_hint_rests_a_moment_and_a_hundred_copies_are_one(money: Api) -> None:
    for _ in range(100):
        assert deliver(money).status_code == 200
    with money.database.read() as tx:
        assert inbox.waiting(tx) == 1
        assert not inbox.due(tx, "main", money.clock())
        assert inbox.due(tx, "main", money.clock() + SECOND)


def test_both_slash_forms_are_answered_without_a_redirect(api: Api) -> None:
    assert deliver(api, path=PATH).status_code == 200
    assert deliver(api, path=f"{PATH}/").status_code == 200


def test_nothing_is_credited_from_a_body(api: Api) -> None:
    deliver(api)
    assert api.get("/v1/tenants").json()["data"] == []


def test_the_ping_is_answered_with_exactly_200(refusing: Api) -> None:
    before = counted("main", "ping")
    assert deliver(refusing, "webhook-ping-on-creation").status_code == 200
    assert counted("main", "ping") == before + 1


def test_a_form_that_is_no_ping_is_refused(refusing: Api) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = refusing.deliver(PATH, b"webhook_id=2&x=1", headers)
    assert code(answer) == (401, "bad_signature")


def test_a_missing_or_wrong_signature_is_refused(refusing: Api) -> None:
    raw, headers = load(COMPLETED)["body_raw"].encode(), _sent(load(COMPLETED)["headers"])
    before = counted("main", "bad_signature")
    unsigned = {k: v for k, v in headers.items() if k != "X-WC-Webhook-Signature"}
    tries = [
        refusing.deliver(PATH, raw, unsigned),
        refusing.deliver(PATH, raw, unsigned | {"X-WC-Webhook-Signature": ""}),
        refusing.deliver(PATH, raw + b" ", headers),
        signed(refusing, raw, secret="other"),
        signed(refusing, raw, secret=""),
    ]
    for answer in tries:
        assert code(answer) == (401, "bad_signature")
        assert "WWW-Authenticate" in answer.headers
    assert counted("main", "bad_signature") == before + len(tries)


def test_without_a_secret_the_door_is_closed(refusing: Api) -> None:
    closed = "/webhooks/woocommerce/closed"
    for answer in (
        deliver(refusing, path=closed),
        signed(refusing, b'{"id": 1}', secret="", path=closed),
        deliver(refusing, "webhook-ping-on-creation", path=closed),
    ):
        assert code(answer) == (403, "webhooks_closed")
        assert "webhook_secret_file" in answer.json()["detail"]


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"{", b"[]", b"[" * 100_000, b'{"code": "woocommerce_rest_cannot_view"}'),
        *(b'{"id": 0}', b'{"id": "17"}', b'{"id": 1e400}', b'{"id": 99999999999999999999}'),
        *(b'{"action": "x"}', b'{"action": "x", "arg": []}'),
    ],
)
def test_signed_junk_is_counted_and_answered_200(refusing: Api, raw: bytes) -> None:
    before = counted("main", "junk")
    assert signed(refusing, raw).status_code == 200
    assert counted("main", "junk") == before + 1


def test_an_unknown_storefront_is_a_404(refusing: Api) -> None:
    answer = deliver(refusing, path="/webhooks/woocommerce/mian")
    assert code(answer) == (404, "storefront_not_found")
    assert "main" not in answer.json()["detail"]


def test_a_body_that_says_it_is_too_large_is_a_413(refusing: Api) -> None:
    before = counted("main", "too_large")
    headers = {"Content-Length": str(BODY_SIZE_MAX + 1)}
    assert code(refusing.deliver(PATH, b"{}", headers)) == (413, "body_too_large")
    assert counted("main", "too_large") == before + 1


def test_a_body_that_turns_out_too_large_is_not_read_on(refusing: Api) -> None:
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        while True:
            read += 65536
            yield b" " * 65536

    assert code(refusing.deliver(PATH, endless(), {})) == (413, "body_too_large")
    assert read <= BODY_SIZE_MAX + 2 * 65536


def test_a_database_that_is_away_is_a_503_that_tells_nothing(refusing: Api) -> None:
    with refusing.database.write() as tx:
        tx.exec_driver_sql("ALTER TABLE inbox RENAME TO gone")
    answer = deliver(refusing)
    assert code(answer) == (503, "unavailable")
    assert "inbox" not in answer.text
    with refusing.database.write() as tx:
        tx.exec_driver_sql("ALTER TABLE gone RENAME TO inbox")


def test_nothing_of_a_body_is_logged(api: Api, lines: io.StringIO) -> None:
    deliver(api)
    signed(api, b'{"secret-marker": ')
    logged = lines.getvalue()
    assert PATH in logged
    for word in ("Lovelace", "ada@", "Paris", "wc_order_", "secret-marker", SECRET):
        assert word not in logged


def test_nothing_but_webhooks_is_there(api: Api) -> None:
    for path in ("/v1/tenants", "/metrics", "/openapi.json", "/readyz", "/"):
        assert code(api.deliver(path, b"", {})) == (404, "route_not_found"), path
    assert code(api.call_public("GET", PATH)) == (405, "method_not_allowed")
    assert api.call_public("GET", "/livez").status_code == 200


def _sent(headers: dict[str, str]) -> dict[str, str]:
    """Leave out what belongs to the recorded connection."""
    return {k: v for k, v in headers.items() if k not in {"Host", "Connection", "Content-Length"}}
