"""One attempt by HTTP: what the other side does becomes an outcome, in bounded time and memory."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from bridge.domain.clock import SECOND
from bridge.domain.errors import ConfigurationError
from bridge.notify.http import HttpEndpoint
from bridge.notify.sender import Body, Sent
from bridge.notify.signing import headers, read_secret
from tests.conftest import FakeClock
from tests.notify.conftest import FakeResolver
from tests.notify.receiver import (
    AWAY,
    NAME,
    OK,
    SECRET,
    Answer,
    Drip,
    Flood,
    Hang,
    Raw,
    Receiver,
    Status,
)
from tests.notify.sending import endpoint

OTHER_SECRET = "whsec_" + "c2VjcmV0" * 5 + "c2Vj"


def body(number: int = 1) -> Body:
    return {
        "id": f"evt_{number}_1",
        "type": "wallet.debited",
        "tenant_id": "acme",
        "data": {"n": 1},
    }


def send(target: HttpEndpoint, clock: FakeClock, number: int = 1) -> Sent:
    return target.send([body(number)], clock())


def test_an_event_arrives_signed_so_that_the_public_package_verifies_it(
    receiver: Receiver, clock: FakeClock
) -> None:
    assert send(endpoint(receiver), clock) == Sent("delivered", "HTTP 200")
    assert receiver.taken == [body()]
    assert receiver.headers[0]["content-type"] == "application/json"
    assert receiver.headers[0]["user-agent"].startswith("bridge/")


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_every_success_is_a_delivery(receiver: Receiver, clock: FakeClock, status: int) -> None:
    receiver.answer = lambda _: Status(status)
    assert send(endpoint(receiver), clock).outcome == "delivered"


@pytest.mark.parametrize(
    ("answer", "outcome", "because"),
    [
        (Status(500, "we are\r\n\0down"), "refused", "HTTP 500: we are   down"),
        (Status(404), "refused", "HTTP 404"),
        (Status(410, "left"), "gone", "HTTP 410: left"),
        (AWAY, "unreachable", "RemoteDisconnected"),
        (Raw(b"HTTP/1.1 2"), "unreachable", "BadStatusLine"),
        (Raw(b"\xff\x00 what\r\n\r\n"), "unreachable", "BadStatusLine"),
        (Raw(b"HTTP/1.1 200 So\r\n" + b"a: b\r\n" * 200), "unreachable", "HTTPException"),
        (Raw(b"HTTP/1.1 200 So\r\na: " + b"b" * 99_999), "unreachable", "LineTooLong"),
        (Raw(b"HTTP/1.1 500 So\r\nContent-Length: 9\r\n\r\nno"), "refused", "HTTP 500"),
        (Flood(), "refused", "HTTP 500: xxx"),
        (Hang(), "timeout", "no answer within 0.5 s"),
        (Drip(b""), "timeout", "no answer within 0.5 s"),
        (Drip(b"HTTP/1.1 200 So\r\nX: "), "timeout", "no answer within 0.5 s"),
        (Drip(b"HTTP/1.1 500 So\r\nContent-Length: 400\r\n\r\n"), "refused", "HTTP 500"),
        (Drip(b"HTTP/1.1 200 So\r\nContent-Length: 400\r\n\r\n"), "delivered", "HTTP 200"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Answer) else str(value),
)
def test_whatever_the_receiver_does_is_an_outcome(
    receiver: Receiver, clock: FakeClock, answer: Answer, outcome: str, because: str
) -> None:
    receiver.answer = lambda _: answer
    target = endpoint(receiver)
    sent = send(target, clock)
    assert (sent.outcome, sent.because[: len(because)]) == (outcome, because)
    assert len(sent.because) <= 500
    receiver.answer = lambda _: OK
    assert send(target, clock, 2).outcome == "delivered", "the next attempt starts afresh"


def test_nobody_listens_there(receiver: Receiver, clock: FakeClock) -> None:
    target = endpoint(receiver, url="http://127.0.0.1:1/in")
    assert send(target, clock).outcome == "unreachable"


def test_a_name_that_is_not_known(
    receiver: Receiver, clock: FakeClock, resolver: FakeResolver
) -> None:
    resolver.names["a" * 70 + ".test"] = [[]]
    for host in ("a" * 70 + ".test", "..test"):
        target = endpoint(receiver, url=f"http://{host}/in")
        assert send(target, clock).outcome == "unreachable"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(receiver: Receiver, clock: FakeClock, status: int) -> None:
    receiver.answer = lambda _: Status(status, Location=receiver.url)
    sent = send(endpoint(receiver), clock)
    assert sent == Sent("redirected", f"HTTP {status}; redirects are not followed")
    assert len(receiver.asked) == 1


@pytest.mark.parametrize(
    ("asked", "seconds"), [("120", 120), ("-5", 0), ("soon", 0), ("9" * 5000, 0), ("1.5", 0)]
)
def test_the_receiver_may_ask_to_wait(
    receiver: Receiver, clock: FakeClock, asked: str, seconds: int
) -> None:
    receiver.answer = lambda _: Status(503, Retry_After=asked)
    assert send(endpoint(receiver), clock).retry_after == seconds * SECOND


def test_a_connection_is_kept_from_one_event_to_the_next(
    receiver: Receiver, clock: FakeClock
) -> None:
    target = endpoint(receiver)
    for number in range(5):
        assert send(target, clock, number).outcome == "delivered"
    assert len(receiver.wires) == 1


def test_a_connection_that_the_receiver_closed_is_not_used_again(
    receiver: Receiver, clock: FakeClock
) -> None:
    receiver.answer = lambda _: Raw(b"HTTP/1.1 200 So\r\nContent-Length: 0\r\n\r\n")
    target = endpoint(receiver)
    assert send(target, clock).outcome == "delivered"
    until(lambda: not receiver.serving)
    assert send(target, clock).outcome == "delivered"
    assert len(receiver.wires) == 2


def test_threads_send_side_by_side(receiver: Receiver, clock: FakeClock) -> None:
    """The first ones are not answered before all have asked."""
    together = threading.Barrier(4)

    def wait(_: object) -> Answer:
        together.wait()
        return OK

    receiver.answer = wait
    target = endpoint(receiver, timeout_s=10)
    sent: list[Sent] = []
    threads = [
        threading.Thread(target=lambda n=n: sent.append(send(target, clock, n))) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.outcome for each in sent] == ["delivered"] * 4


def test_tls_is_of_the_name_while_the_address_is_the_checked_one(
    tls_receiver: Receiver, clock: FakeClock, resolver: FakeResolver
) -> None:
    target = endpoint(tls_receiver)
    assert [send(target, clock, n).outcome for n in (1, 2)] == ["delivered"] * 2
    assert tls_receiver.server_names == [NAME]
    assert resolver.asked == [NAME], "looked up once, and connected to that very address"
    assert tls_receiver.headers[0]["host"] == f"{NAME}:{tls_receiver.port}"


def test_a_certificate_of_another_name_is_refused(
    tls_receiver: Receiver, clock: FakeClock, resolver: FakeResolver
) -> None:
    resolver.names["other.test"] = [["127.0.0.1"]]
    target = endpoint(tls_receiver, url=f"https://other.test:{tls_receiver.port}/in")
    sent = send(target, clock)
    assert (sent.outcome, "Hostname mismatch" in sent.because) == ("tls", True)
    assert tls_receiver.asked == []


def test_a_certificate_of_nobody_known_is_refused(
    tls_receiver: Receiver, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    assert send(endpoint(tls_receiver), clock).outcome == "tls"
    assert tls_receiver.asked == []


def test_a_receiver_that_hangs_in_the_handshake_is_cut_off(
    receiver: Receiver, clock: FakeClock
) -> None:
    """It takes the hello for a request that goes on."""
    target = endpoint(receiver, url=receiver.url.replace("http:", "https:"))
    assert send(target, clock).outcome == "timeout"


def test_secrets_rotate_at_leisure(receiver: Receiver, clock: FakeClock) -> None:
    """Each attempt is signed with all secrets, so the receiver may know the old or the new one."""
    old, new = read_secret(SECRET), read_secret(OTHER_SECRET)
    target = endpoint(receiver, secrets=(new, old))
    assert send(target, clock).outcome == "delivered", "who knows the old one"
    assert len(receiver.headers[0]["webhook-signature"].split(" ")) == 2
    with Receiver(secret=OTHER_SECRET) as later:
        target = replace(target, url=later.url)
        assert send(target, clock).outcome == "delivered", "who knows the new one"
        send(replace(target, secrets=(old,)), clock)
        assert len(later.taken) == 1, "who no longer takes the old one"


def test_a_signature_is_of_the_id_the_time_and_the_body(clock: FakeClock) -> None:
    signed = headers([read_secret(SECRET)], "evt_1_1", b"{}", clock())
    Webhook(SECRET).verify(b"{}", signed)
    changes = {
        "webhook-id": "evt_2_1",
        "webhook-timestamp": str(int(signed["webhook-timestamp"]) + 1),
    }
    for name, value in changes.items():
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(b"{}", signed | {name: value})
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(b"[]", signed)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_c2hvcnQ=",
        "whsec_é",
        "whsec_" + "A" * 100,
    ],
)
def test_a_secret_that_is_none_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ConfigurationError, match="openssl rand") as refused:
        read_secret(text)
    assert len(text) < 8 or text[6:] not in str(refused.value)


def test_secrets_are_not_shown(receiver: Receiver) -> None:
    assert repr(read_secret(SECRET)) not in repr(endpoint(receiver))


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)
