"""Where events may be sent: to public addresses, unless an endpoint says otherwise by name.

A name is looked up once, its addresses are checked, and one of these very addresses is dialled: a
name server that answers differently the next time changes nothing.
"""

import socket
import time
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from bridge.domain.errors import BridgeError

CONNECT_S = 5
"""Seconds to wait for a connection with one address."""

ADDRESSES_MAX = 4
"""Addresses of a name that are tried."""

_Address = IPv4Address | IPv6Address

# IANA: what is global unicast in IPv6. Everything else is local, embedded or reserved.
_GLOBAL_UNICAST = IPv6Network("2000::/3")
# Ways to write an IPv4 address as an IPv6 one that networks still translate (RFC 4291, 6052).
_EMBEDDING = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))
# What `is_global` lets pass, older Pythons more than newer ones: IETF's protocols, relays of 6to4
# and 6to4 itself, Teredo (both given up, and they lead to IPv4 addresses), examples, and Azure's
# service for its own machines.
_SPECIAL = tuple(
    ip_network(text)
    for text in (
        "192.0.0.0/24",
        "192.88.99.0/24",
        "168.63.129.16/32",
        "2001::/23",
        "2002::/16",
        "3fff::/20",
    )
)


class TargetRefusedError(BridgeError):
    """An endpoint's name leads to an address where events may not be sent."""

    code = "target_refused"


def is_public(address: _Address) -> bool:
    """Tell whether an address is one of the public internet: no private, local or special one."""
    if isinstance(address, IPv6Address):
        if any(address in network for network in _EMBEDDING):
            return is_public(IPv4Address(int(address) & 0xFFFF_FFFF))
        if address not in _GLOBAL_UNICAST:
            return False
    special = address.is_multicast or any(address in network for network in _SPECIAL)
    return address.is_global and not special


def checked(host: str, port: int, *, allow_private: bool) -> list[str]:
    """Look a name up, and return its addresses if events may be sent to every one of them.

    Raises TargetRefusedError, and OSError where the name is not known.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    refused = [one for one in addresses if not is_public(ip_address(one))]
    if refused and not allow_private:
        raise TargetRefusedError(
            f"{host} leads to {refused[0]}, which is no public address; nothing was sent. If the "
            "endpoint is meant to be inside your own network, set allow_private = true for it"
        )
    return addresses[:ADDRESSES_MAX]


def dial(host: str, port: int, timeout_s: float, *, allow_private: bool) -> socket.socket:
    """Connect with one of a name's checked addresses; raises what `checked` does, and OSError."""
    deadline = time.monotonic() + timeout_s
    error = OSError(f"{host} has no address")
    for address in checked(host, port, allow_private=allow_private):
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("it took too long to connect")
        try:
            return socket.create_connection((address, port), min(CONNECT_S, left_s))
        except OSError as failed:
            error = failed
    raise error
