"""Where events are sent: to public addresses, checked at the very moment of connecting."""

import socket
from ipaddress import ip_address
from typing import Any

import pytest

from bridge.notify.guard import TargetRefusedError, checked, dial, is_public
from tests.conftest import FakeClock
from tests.notify.conftest import FakeResolver
from tests.notify.receiver import Receiver
from tests.notify.sending import endpoint

PUBLIC = ["93.184.216.34", "1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
PRIVATE = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:7f00:1::",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:a00:1::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("address", PRIVATE)
def test_no_private_local_or_special_address_is(address: str, resolver: FakeResolver) -> None:
    assert not is_public(ip_address(address))
    resolver.names["core.test"] = [[address]]
    with pytest.raises(TargetRefusedError, match="allow_private = true"):
        checked("core.test", 443, allow_private=False)


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f.1", "0177.0.0.1", "localhost", "0"])
def test_no_spelling_gets_around_it(host: str) -> None:
    with pytest.raises(TargetRefusedError):
        checked(host, 80, allow_private=False)


def test_one_private_address_of_several_is_enough(resolver: FakeResolver) -> None:
    resolver.names["core.test"] = [["1.1.1.1", "10.0.0.1"]]
    with pytest.raises(TargetRefusedError, match=r"10\.0\.0\.1"):
        checked("core.test", 443, allow_private=False)


def test_the_address_that_was_checked_is_the_one_that_is_dialled(
    resolver: FakeResolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that answers differently the next time is not asked a next time."""
    resolver.names["core.test"] = [["1.1.1.1", "1.0.0.1"], ["127.0.0.1"]]
    dialled: list[Any] = []

    def connect(address: Any, timeout: float) -> socket.socket:
        dialled.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(ConnectionRefusedError):
        dial("core.test", 443, 5, allow_private=False)
    assert dialled == [("1.1.1.1", 443), ("1.0.0.1", 443)]
    assert resolver.asked == ["core.test"]


def test_no_time_is_left_to_dial(resolver: FakeResolver) -> None:
    resolver.names["core.test"] = [["1.1.1.1"]]
    with pytest.raises(TimeoutError):
        dial("core.test", 443, 0, allow_private=False)


@pytest.mark.parametrize("first", [["127.0.0.1"], ["::ffff:127.0.0.1"], ["1.1.1.1", "127.0.0.1"]])
def test_what_is_refused_is_refused_before_a_byte_is_sent(
    receiver: Receiver, clock: FakeClock, resolver: FakeResolver, first: list[str]
) -> None:
    resolver.names["core.test"] = [first]
    target = endpoint(receiver, url=f"http://core.test:{receiver.port}/in", allow_private=False)
    sent = target.send([{"id": "evt_1_1"}], clock())
    assert (sent.outcome, "set allow_private = true" in sent.because) == ("target_refused", True)
    assert receiver.wires == []


def test_private_targets_are_allowed_by_name(
    receiver: Receiver, clock: FakeClock, resolver: FakeResolver
) -> None:
    """The same endpoint with allow_private; and an address that does not answer is passed over."""
    resolver.names["core.test"] = [["::1", "127.0.0.1"]]
    target = endpoint(receiver, url=f"http://core.test:{receiver.port}/in")
    assert target.send([{"id": "evt_1_1"}], clock()).outcome == "delivered"
