"""What is plain: heads of requests, and bodies in JSON, with nothing odd about them.

What is read here would be read alike by the framework, which also takes what is odd and explains
what is wrong.
"""

import re
from collections.abc import Mapping
from typing import TypeVar

import msgspec

Headers = Mapping[bytes, bytes]
"""Values by small name, each given once."""

# RFC 9112, section 5, without what is hardly ever sent: blanks around a value, a value of nothing,
# bytes beyond ASCII.
_HEADER = re.compile(rb"^([A-Za-z0-9-]+): ?([!-~](?:[ -~]*[!-~])?)\r\n", re.MULTILINE)

_JSON = {b"application/json", b"application/json; charset=utf-8", b"application/json;charset=utf-8"}
_ODD = frozenset({b"transfer-encoding", b"expect", b"upgrade", b"proxy-connection"})
_LENGTH_DIGITS_MAX = 6  # so that it surely is within the limit of `LimitBody`


def headers(raw: bytes, start: int, end: int) -> dict[bytes, bytes]:
    """Return the headers that stand between two places, by small name.

    None of them where one is odd or given twice.
    """
    found = {name.lower(): value for name, value in _HEADER.findall(raw, start, end)}
    plain = (
        # Counted by LF, so that a line without CR is odd: other readers see what it hides.
        len(found) == raw.count(b"\n", start, end)
        and _ODD.isdisjoint(found)
        and found.get(b"connection", b"keep-alive").lower() == b"keep-alive"
    )
    return found if plain else {}


def json_length(found: Headers) -> int | None:
    """Return how many bytes a body has, None where it is not plainly JSON."""
    length = found.get(b"content-length", b"")
    plain = (
        found.get(b"content-type") in _JSON
        and len(length) <= _LENGTH_DIGITS_MAX
        and length.isdigit()
    )
    return int(length) if plain else None


T = TypeVar("T")


def asked(body: bytes, decoder: msgspec.json.Decoder[T]) -> T | None:
    """Return what a body says, None where it is odd.

    The decoder takes a name that is given twice. But then the body has more quotation marks than
    what was understood of it, unless some are spelled as escapes. And no text may have a NUL.
    """
    try:
        found = decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    doubled = body.count(b'"') != msgspec.json.encode(found).count(b'"')
    return None if doubled or b"\\u0022" in body or b"\\u0000" in body else found
