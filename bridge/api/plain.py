"""Plain debits: how they are read and answered where nothing about them is odd.

What is read here would be read alike by the framework's models, which also take what is odd and
explain what is wrong.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from bridge.api import debits, moves
from bridge.api.asks import KEY_MAX, PlainDebit, PlainDebits
from bridge.domain.entry import REPLAYED, Draft, Outcome
from bridge.store.shown import shown

# RFC 9112, section 5, without what is hardly ever sent: blanks around a value, a value of nothing,
# bytes beyond ASCII.
_HEADER = re.compile(rb"^([A-Za-z0-9-]+): ?([!-~](?:[ -~]*[!-~])?)\r\n", re.MULTILINE)

_JSON = {b"application/json", b"application/json; charset=utf-8", b"application/json;charset=utf-8"}
_ODD = frozenset({b"transfer-encoding", b"expect", b"upgrade", b"proxy-connection"})
_LENGTH_DIGITS_MAX = 6  # so that it surely is within the limit of `LimitBody`


def headers(raw: bytes, start: int, end: int) -> dict[bytes, bytes]:
    """Return the headers that stand between two places, by small name.

    None of them where one is odd or given twice, or where they tell of no plain body in JSON.
    """
    found = {name.lower(): value for name, value in _HEADER.findall(raw, start, end)}
    length = found.get(b"content-length", b"")
    plain = (
        # Counted by LF, so that a line without CR is odd: other readers see what it hides.
        len(found) == raw.count(b"\n", start, end)
        and _ODD.isdisjoint(found)
        and found.get(b"content-type") in _JSON
        and found.get(b"connection", b"keep-alive").lower() == b"keep-alive"
        and len(length) <= _LENGTH_DIGITS_MAX
        and length.isdigit()
    )
    return found if plain else {}


_Headers = Mapping[bytes, bytes]
_Answer = tuple[int, bytes, bytes]


class Lane(NamedTuple):
    """How one path is served. `path` is its name in the metrics.

    `read` makes drafts of a body, a caller and headers, None where something is odd. `answer`
    returns a status, more header lines and a body, or raises why there is none.
    """

    path: str
    read: Callable[[bytes, str, _Headers], list[Draft] | None]
    answer: Callable[[Sequence[Draft], Sequence[Outcome]], _Answer]


T = TypeVar("T")
_one = msgspec.json.Decoder(PlainDebit)
_many = msgspec.json.Decoder(PlainDebits)


def _asked(body: bytes, decoder: msgspec.json.Decoder[T]) -> T | None:
    """Return what a body says, None where it is odd.

    The decoder takes a name that is given twice. But then the body has more quotation marks than
    what was understood of it, unless some are spelled as escapes. And no text may have a NUL.
    """
    try:
        asked = decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    doubled = body.count(b'"') != msgspec.json.encode(asked).count(b'"')
    return None if doubled or b"\\u0022" in body or b"\\u0000" in body else asked


def _read_one(body: bytes, caller: str, headers: _Headers) -> list[Draft] | None:
    asked = _asked(body, _one)
    key = headers.get(b"idempotency-key", b"").decode()
    return [debits.draft(asked, caller, key)] if asked and 0 < len(key) <= KEY_MAX else None


def _read_many(body: bytes, caller: str, _headers: _Headers) -> list[Draft] | None:
    asked = _asked(body, _many)
    if asked is None:
        return None
    return [debits.draft(one, caller, one.idempotency_key) for one in asked.debits]


def _answer_one(drafts: Sequence[Draft], outcomes: Sequence[Outcome]) -> _Answer:
    [draft], [outcome] = drafts, outcomes
    if outcome.entry is None:
        raise moves.declined(draft, outcome)
    replayed = _REPLAYED if outcome.status == REPLAYED else b""
    return 201, replayed, msgspec.json.encode(shown(outcome.entry))


def _answer_many(drafts: Sequence[Draft], outcomes: Sequence[Outcome]) -> _Answer:
    data = list(map(debits.became, drafts, outcomes))
    return 200, b"", msgspec.json.encode({"data": data})


_REPLAYED = moves.REPLAYED_HEADER.lower().encode() + b": true\r\n"

LANES = {
    b"POST %b HTTP/1.1" % lane.path.encode(): lane
    for lane in (
        Lane("/v1/debits", _read_one, _answer_one),
        Lane("/v1/debits/batch", _read_many, _answer_many),
    )
}
"""The lanes by the first lines of their requests."""
