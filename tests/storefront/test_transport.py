"""What a storefront may do to a request, and what becomes of it."""

import logging
import threading
import traceback
from collections.abc import Callable
from email.utils import formatdate
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import responses
from structlog.testing import capture_logs

from bridge import metrics
from bridge.domain.clock import SECOND, isoformat, parse, utc_now
from bridge.domain.errors import BridgeError, ConfigurationError, UnavailableError
from bridge.domain.order import Order
from bridge.sandbox import (
    BOM,
    CRITICAL_ERROR,
    DROPPED,
    MAINTENANCE,
    PHP_NOTICE,
    SILENT,
    UNAUTHORIZED,
    WRONG_CONTENT,
    Fault,
    Sandbox,
    busy,
    redirect,
)
from bridge.storefront.client import Client
from bridge.storefront.errors import (
    StorefrontAddressError,
    StorefrontAnswerError,
    StorefrontBrokenError,
    StorefrontOverloadedError,
    StorefrontRefusedError,
    StorefrontUnavailableError,
)
from tests.recordings import load, names

Connect = Callable[..., Client]
ORDERS = "https://store.example.com/wp-json/wc/v3/orders"
KEY, SECRET = "ck_0123456789abcdef", "cs_fedcba9876543210"


def store(url: str = "https://store.example.com", **settings: Any) -> Client:
    """A client of a storefront that is not there; `responses` answers."""
    usual: dict[str, Any] = {"clock": utc_now, "tag_key": "_tenant_id", "attempts_max": 1}
    return Client("main", url, KEY, SECRET, **(usual | settings))


def answer_as_recorded(name: str) -> None:
    response = load(name)["response"]
    body = response["body_raw"].encode()
    headers = {
        header: text
        for header, text in response["headers"].items()
        if header not in {"Content-Type", "Transfer-Encoding"}
    }
    responses.get(
        ORDERS,
        body=body,
        status=response["status"],
        headers=headers,
        content_type=response["headers"]["Content-Type"],
    )


@pytest.mark.parametrize(
    ("name", "error", "advice"),
    [
        ("error-401-bad-key", StorefrontRefusedError, "does not know the consumer key"),
        ("error-401-no-auth", StorefrontRefusedError, "Authorization header"),
        ("error-401-bad-secret", StorefrontRefusedError, "secret does not belong to the key"),
        ("error-401-read-with-write-key", StorefrontRefusedError, "give it Read"),
        ("error-401-write-with-read-key", StorefrontRefusedError, "give it Read/Write"),
        ("rest-plain-permalinks-rest_route-basic", StorefrontRefusedError, "permalinks"),
        ("error-403-customer-key", StorefrontRefusedError, "administrator"),
        ("error-404-route", StorefrontAddressError, "WooCommerce is active"),
        ("error-404-wrong-version", StorefrontAddressError, "check url"),
        ("error-400-invalid-param", StorefrontAnswerError, "400 rest_invalid_param"),
        ("rest-order-trash-twice", StorefrontAnswerError, "410"),
        ("rest-create-refund-too-much", StorefrontBrokenError, "cannot_create_order_refund"),
        ("error-500-php-fatal", StorefrontOverloadedError, "Status > Logs"),
        ("error-500-exception-in-order", StorefrontOverloadedError, "breaks on one order"),
        ("error-503-maintenance", StorefrontUnavailableError, "left alone until"),
        ("error-200-php-notice-before-json", StorefrontOverloadedError, "WP_DEBUG_DISPLAY"),
    ],
)
@responses.activate
def test_every_recorded_error_says_what_to_do(
    name: str, error: type[BridgeError], advice: str
) -> None:
    answer_as_recorded(name)

    with pytest.raises(error) as raised:
        store().ping()

    assert type(raised.value) is error
    assert advice in str(raised.value)
    assert str(raised.value).startswith("storefront main: ")


@pytest.mark.parametrize("name", names("error-4"))
@responses.activate
def test_what_is_our_own_fault_is_not_tried_again(name: str) -> None:
    answer_as_recorded(name)

    with pytest.raises(BridgeError):
        store(attempts_max=5).ping()

    assert len(responses.calls) == 1


@responses.activate
def test_a_permanent_500_is_not_tried_again() -> None:
    answer_as_recorded("rest-create-refund-too-much")

    with pytest.raises(StorefrontBrokenError):
        store(attempts_max=5).ping()

    assert len(responses.calls) == 1


@responses.activate
def test_a_crash_reported_as_json_is_tried_again_like_one_reported_as_a_page() -> None:
    crash = {"code": "internal_server_error", "message": "critical", "data": {"status": 500}}
    responses.get(ORDERS, json=crash, status=500)
    responses.get(ORDERS, json=[])

    assert store(attempts_max=2, sleep=lambda _seconds: None).ping() == 0


@pytest.mark.parametrize(
    "fault",
    [CRITICAL_ERROR, DROPPED, PHP_NOTICE, WRONG_CONTENT, SILENT, busy(1), busy(1, 429)],
    ids=["500", "dropped", "notice", "page", "silent", "503", "429"],
)
def test_a_passing_fault_is_outlived(fault: Fault, connect: Connect, sandbox: Sandbox) -> None:
    order_id = sandbox.place_order()
    sandbox.faults.switch_on(fault, times=2)

    order = connect(attempts_max=3, read_timeout_s=0.3).order(order_id)

    assert isinstance(order, Order)
    assert len(sandbox.requests) == 3


def test_requests_are_counted_by_what_came_of_them(connect: Connect, sandbox: Sandbox) -> None:
    counted = partial(metrics.registry.get_sample_value, "bridge_storefront_requests_total")
    client = connect(name="counted", attempts_max=3)
    client.ping()
    sandbox.faults.switch_on(CRITICAL_ERROR)
    with pytest.raises(UnavailableError):
        client.ping()
    assert counted({"storefront": "counted", "outcome": "answered"}) == 1
    assert counted({"storefront": "counted", "outcome": "storefront_unavailable"}) == 3


@pytest.mark.parametrize("fault", [CRITICAL_ERROR, DROPPED, PHP_NOTICE, SILENT, busy(1)])
def test_a_lasting_fault_is_given_up_after_so_many_attempts(
    fault: Fault, connect: Connect, sandbox: Sandbox
) -> None:
    sandbox.faults.switch_on(fault)

    with pytest.raises(UnavailableError):
        connect(attempts_max=3, read_timeout_s=0.1).ping()

    assert len(sandbox.requests) == 3


def test_nobody_listening_is_unavailable_and_says_to_check_the_address(
    connect: Connect, sandbox: Sandbox, naps: list[float]
) -> None:
    client = connect(attempts_max=3)
    sandbox.stop()

    with pytest.raises(StorefrontUnavailableError, match="host and port in url"):
        client.ping()

    assert len(naps) == 2


def test_pauses_grow_at_random_but_stay_below_a_bound(
    connect: Connect, sandbox: Sandbox, naps: list[float]
) -> None:
    sandbox.faults.switch_on(CRITICAL_ERROR)

    with pytest.raises(StorefrontOverloadedError):
        connect(attempts_max=12).ping()

    assert len(naps) == 11
    assert all(nap <= min(20, 2**place) for place, nap in enumerate(naps))
    assert len(set(naps)) > 1


def test_retry_after_is_obeyed_to_the_second(
    client: Client, sandbox: Sandbox, naps: list[float]
) -> None:
    sandbox.faults.switch_on(busy(17), times=1)

    client.ping()

    assert naps == [17]


@responses.activate
def test_retry_after_may_be_a_date_by_the_storefronts_own_clock() -> None:
    ahead = utc_now() // SECOND + 3600
    headers = {
        "Date": formatdate(ahead, usegmt=True),
        "Retry-After": formatdate(ahead + 9, usegmt=True),
    }
    responses.get(ORDERS, status=503, headers=headers)
    responses.get(ORDERS, json=[])
    naps: list[float] = []

    store(attempts_max=2, sleep=naps.append).ping()

    assert naps == [9]


def test_a_long_retry_after_is_not_waited_for_and_the_error_says_until_when(
    connect: Connect, sandbox: Sandbox, naps: list[float]
) -> None:
    now = parse("2026-11-22T12:00:00Z")
    sandbox.faults.switch_on(MAINTENANCE)

    with pytest.raises(StorefrontUnavailableError, match=isoformat(now + 600 * SECOND)):
        connect(clock=lambda: now).ping()

    assert naps == []
    assert len(sandbox.requests) == 1


def test_a_byte_order_mark_before_the_json_is_ignored(client: Client, sandbox: Sandbox) -> None:
    order_id = sandbox.place_order()
    sandbox.faults.switch_on(BOM)

    assert isinstance(client.order(order_id), Order)


def test_a_notice_before_the_json_is_logged_but_nothing_of_the_json(
    connect: Connect, sandbox: Sandbox
) -> None:
    order_id = sandbox.place_order()
    sandbox.faults.switch_on(PHP_NOTICE)

    with capture_logs() as logs, pytest.raises(StorefrontOverloadedError):
        connect(attempts_max=1).order(order_id)

    assert "Undefined variable" in logs[0]["head"]
    assert "order_key" not in str(logs)


@pytest.mark.parametrize(
    ("location", "advice"),
    [
        ("https://www.example.com/wp-json/wc/v3/orders?x=1", "set url to https://www.example.com"),
        ("https://example.com/de/wp-json/wc/v3/orders", "set url to https://example.com/de"),
        ("/wp-json/wc/v3/orders/", "Permalinks > Post name"),
        ("https://ada:pw@example.com/login?key=secret", "redirects to https://example.com/login,"),
    ],
)
def test_a_redirect_is_not_followed_but_explained(
    location: str, advice: str, client: Client, sandbox: Sandbox
) -> None:
    sandbox.faults.switch_on(redirect(location))

    with pytest.raises(StorefrontAddressError) as raised:
        client.ping()

    assert advice in str(raised.value)
    assert not {"x=1", "secret", "pw"} & set(str(raised.value).replace("?", " ").split())
    assert len(sandbox.requests) == 1


@responses.activate
def test_a_403_page_is_somebody_elses_and_says_so() -> None:
    responses.get(ORDERS, body="<html>Blocked</html>", status=403, content_type="text/html")

    with pytest.raises(StorefrontRefusedError, match="security plugin"):
        store().ping()


@responses.activate
def test_a_404_page_is_no_storefront() -> None:
    responses.get(ORDERS, body="<html>Not found</html>", status=404, content_type="text/html")

    with pytest.raises(StorefrontAddressError):
        store().ping()


@pytest.mark.parametrize(
    ("message", "advice"),
    [
        ("Invalid timestamp.", "clocks"),
        ("Invalid nonce - nonce has already been used.", "twice"),
        ("Invalid signature - provided signature does not match.", "rewrites"),
        ("Consumer key is invalid.", "unknown"),
    ],
)
@responses.activate
def test_what_can_go_wrong_with_a_signature_is_told_apart(message: str, advice: str) -> None:
    error = {"code": "woocommerce_rest_authentication_error", "message": message}
    responses.get(ORDERS, json=error, status=401)

    with pytest.raises(StorefrontRefusedError, match=advice):
        store().ping()


@responses.activate
def test_a_list_that_is_none_is_an_error() -> None:
    responses.get(ORDERS, json={"status": "blocked"})

    with pytest.raises(StorefrontAnswerError, match="no list"):
        store().ping()


@pytest.mark.parametrize("total", [None, "", "many", "-1", "99999999999"])
@responses.activate
def test_a_list_without_a_usable_length_is_an_error(total: str | None) -> None:
    responses.get(ORDERS, json=[], headers={} if total is None else {"X-WP-Total": total})

    with pytest.raises(StorefrontAnswerError, match="X-WP-Total"):
        list(store().changed(0))


def test_a_body_above_the_limit_is_not_read_to_its_end(connect: Connect, sandbox: Sandbox) -> None:
    ids = [sandbox.place_order(meta_data=[{"key": "x", "value": "y" * 50_000}])]
    client = connect(body_bytes_max=20_000)

    with pytest.raises(StorefrontBrokenError, match="20000 bytes"):
        client.order(ids[0])

    assert len(sandbox.requests) == 1
    assert client.ping() == pytest.approx(0, abs=5)


def test_a_body_that_trickles_is_given_up_although_each_read_is_in_time() -> None:
    class Trickle(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            while not stopping.wait(0.02):
                self.wfile.write(b" " * 8192)

        def log_message(self, *_args: object) -> None:
            pass

    stopping = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Trickle) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        client = store(f"http://127.0.0.1:{server.server_port}", read_timeout_s=0.2)
        try:
            with pytest.raises(StorefrontOverloadedError, match=r"within 0\.2 s"):
                client.ping()
        finally:
            client.close()
            stopping.set()
            server.shutdown()
            thread.join()


def test_tls_where_there_is_none_says_to_look_at_port_and_certificate(
    connect: Connect, sandbox: Sandbox
) -> None:
    with pytest.raises(StorefrontUnavailableError, match="certificate"):
        connect(url=sandbox.url.replace("http:", "https:")).ping()

    assert not sandbox.requests


@pytest.mark.parametrize("slashes", ["", "/", "//"])
def test_slashes_after_the_address_do_not_matter(
    slashes: str, connect: Connect, sandbox: Sandbox
) -> None:
    connect(url=sandbox.url + slashes).ping()

    assert sandbox.requests[-1].path == "/wp-json/wc/v3/orders"


@pytest.mark.parametrize(
    "url",
    [
        "store.example.com",
        "ftp://store.example.com",
        "https://",
        "https://ada:pw@store.example.com",
        "https://store.example.com/?lang=de",
        "https://store.example.com/#top",
        "https://store.example.com:port",
        "https://[::1",
    ],
)
def test_what_is_no_plain_address_is_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"https://store\.example\.com") as raised:
        store(url)

    assert "pw" not in str(raised.value).replace("password", "").split()


def test_http_to_another_machine_is_refused_unless_allowed() -> None:
    with pytest.raises(StorefrontAddressError, match="insecure_http"):
        store("http://store.example.com")

    store("http://store.example.com", insecure_http=True)
    for loopback in ("http://localhost:8080", "http://127.0.0.2", "http://[::1]:8088"):
        store(loopback)


@responses.activate
def test_over_https_the_key_is_in_the_authorization_header_and_not_in_the_query() -> None:
    responses.get(ORDERS, json=[])

    store("HTTPS://store.example.com").ping()

    request = responses.calls[0].request
    assert request.headers["Authorization"].startswith("Basic ")
    assert KEY not in str(request.url)


@responses.activate
def test_over_http_the_signed_query_is_sent_once() -> None:
    """The package by itself sends every parameter twice."""
    responses.get("http://localhost/wp-json/wc/v3/orders", json=[])

    store("http://localhost").ping()

    names = [name for name, _ in parse_qsl(urlsplit(str(responses.calls[0].request.url)).query)]
    assert len(names) == len(set(names))
    assert {"per_page", "oauth_signature"} <= set(names)


@responses.activate
def test_cookies_are_not_kept() -> None:
    responses.get(ORDERS, json=[], headers={"Set-Cookie": "session=1"})
    client = store()

    client.ping()
    client.ping()

    assert "Cookie" not in responses.calls[1].request.headers


@responses.activate
def test_the_skew_is_how_far_the_storefronts_clock_is_ahead() -> None:
    now = parse("2026-11-22T12:00:00Z")
    responses.get(ORDERS, json=[], headers={"Date": "Sun, 22 Nov 2026 12:05:00 GMT"})

    assert store(clock=lambda: now).ping() == 300


@pytest.mark.parametrize(
    "fault",
    [
        UNAUTHORIZED,
        CRITICAL_ERROR,
        DROPPED,
        SILENT,
        PHP_NOTICE,
        MAINTENANCE,
        redirect("https://example.com/?oauth_consumer_key=ck_leak&oauth_signature=leak"),
    ],
)
def test_no_key_no_signature_and_no_shopper_is_in_any_error_or_log(
    fault: Fault, connect: Connect, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    order_id = sandbox.place_order(billing={"email": "ada@example.com"})
    client = connect(attempts_max=2, read_timeout_s=0.1)
    client.order(order_id)
    sandbox.faults.switch_on(fault)

    with capture_logs() as logs, pytest.raises(BridgeError) as raised:
        client.order(order_id)

    told = "".join(
        [*traceback.format_exception(raised.value), str(logs), caplog.text, repr(client)]
    )
    for secret in (sandbox.consumer_key, sandbox.consumer_secret, "oauth_", "leak", "ada@"):
        assert secret not in told


def test_no_key_is_in_the_error_when_nobody_listens(connect: Connect, sandbox: Sandbox) -> None:
    client = connect(attempts_max=1)
    sandbox.stop()

    with pytest.raises(StorefrontUnavailableError) as raised:
        client.ping()

    told = "".join(traceback.format_exception(raised.value))
    assert sandbox.consumer_key not in told
    assert "oauth_" not in told
