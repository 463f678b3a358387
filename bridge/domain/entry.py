"""Drafts ask, outcomes answer, entries stay.

An entry's id is its place: `acme.EUR.17` is entry 17 of acme's EUR wallet (docs/decisions/0002).
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from bridge.domain.clock import Instant
from bridge.domain.errors import NotFoundError
from bridge.domain.wallet import Wallet, WalletId


class Kind(StrEnum):
    """What an entry is."""

    DEPOSIT = "deposit"
    """An order made or raised a credit."""
    BONUS = "bonus"
    """A promotion: what a larger deposit brings on top."""
    REVERSAL = "reversal"
    """An order lowered its credit: a refund, a cancellation, a deletion, an edited total."""
    DEBIT = "debit"
    """The SaaS core took money for a purchase or a renewal."""
    DEBIT_REFUND = "debit_refund"
    """The SaaS core gave back a debit or a capture, in whole or in part."""
    HOLD = "hold"
    """Money was reserved: the balance stays, the available part shrinks."""
    CAPTURE = "capture"
    """A hold was turned into a debit of at most its amount; the rest became available."""
    VOID = "void"
    """A hold was released."""
    EXPIRE = "expire"
    """A hold's time ran out."""
    ADJUSTMENT = "adjustment"
    """An admin moved the balance, with a reason."""


PLANS = "plans"
"""The contra account of what the SaaS core sells."""

PROMOTIONS = "promotions"
"""The contra account of what is given away."""


class Reason(StrEnum):
    """Why a draft was declined."""

    INSUFFICIENT = "insufficient_balance"
    """Less is available than asked for."""
    KEY_REUSED = "idempotency_key_reused"
    """The key belongs to an entry that was asked for with other content."""
    UNKNOWN_TENANT = "tenant_not_found"
    """No such tenant, and this draft may not create one."""
    NOT_FOUND = "entry_not_found"
    """The debit or hold that the draft names does not exist."""
    HOLD_CLOSED = "hold_closed"
    """The hold was captured, voided or expired before."""
    HOLD_EXPIRED = "hold_expired"
    """The hold's time has run out."""
    HOLD_RUNNING = "hold_running"
    """The hold's time has not run out yet."""
    EXCEEDS_HOLD = "exceeds_hold"
    """A capture may take at most what was held."""
    EXCEEDS_DEBIT = "exceeds_debit"
    """Refunds of a debit add up to at most the debit."""
    BALANCE_LIMIT = "balance_limit"
    """The balance would no longer fit a 64-bit integer."""


class Draft(NamedTuple):
    """A change somebody asks for. `amount` is in minor units and positive, signed for adjustments.

    None as `amount` means all there is: the whole hold, the rest of the debit. `caller` and `key`
    are the idempotency key's owner and text; `digest` is `request_digest` of the content. Debits
    and holds that would leave less than `keep_at_least` available are declined.
    """

    kind: Kind
    tenant_id: str
    currency: str
    amount: int | None
    caller: str
    key: str
    digest: bytes
    contra: str
    source: str
    reference: str = ""
    description: str = ""
    metadata: str = "{}"
    related_version: int | None = None
    expires_at: Instant | None = None
    opens_wallet: bool = False
    keep_at_least: int = 0

    @property
    def wallet_id(self) -> WalletId:
        """The wallet it concerns."""
        return WalletId(self.tenant_id, self.currency)


class EffectDraft(NamedTuple):
    """A state an order asks for: the effect's amount shall be `target`, whatever it was before.

    Effects named `hold/…` move what is held, all others the balance; those named `promotion/…` come
    from the promotions.
    """

    tenant_id: str
    currency: str
    storefront: str
    order_id: int
    effect: str
    target: int
    occurred_at: Instant
    description: str

    @property
    def wallet_id(self) -> WalletId:
        """The wallet it concerns."""
        return WalletId(self.tenant_id, self.currency)

    @property
    def effect_id(self) -> "EffectId":
        """The effect it concerns."""
        return EffectId(self.tenant_id, self.currency, self.storefront, self.order_id, self.effect)


class EffectId(NamedTuple):
    """An order's named effect on one wallet."""

    tenant_id: str
    currency: str
    storefront: str
    order_id: int
    effect: str


class Effect(NamedTuple):
    """What was posted for an effect so far: the sum, and how many entries made it."""

    amount: int = 0
    posts: int = 0


class KeyId(NamedTuple):
    """An idempotency key: it belongs to its caller and tenant, and lasts as long as the ledger."""

    tenant_id: str
    caller: str
    key: str


class Entry(NamedTuple):
    """An immutable row of the ledger; the fields stand in the order of the table's columns.

    `amount` changes the balance and `held` what is held, both in signed minor units. `metadata` is
    a JSON object of strings. `hash` chains the content to the wallet's previous entry.
    """

    tenant_id: str
    currency: str
    version: int
    kind: str
    amount: int
    held: int
    balance_after: int
    held_after: int
    contra: str
    caller: str
    idempotency_key: str
    request_digest: bytes
    reference: str
    description: str
    source: str
    metadata: str
    related_version: int | None
    expires_at: Instant | None
    occurred_at: Instant
    recorded_at: Instant
    hash: bytes = b""

    @property
    def id(self) -> str:
        """The entry's public id, e.g. acme.EUR.17."""
        return f"{self.tenant_id}.{self.currency}.{self.version}"

    @property
    def wallet(self) -> Wallet:
        """The wallet as this entry left it."""
        return Wallet(
            self.tenant_id,
            self.currency,
            self.balance_after,
            self.held_after,
            self.version,
            self.hash,
        )

    def sealed(self, previous: bytes) -> "Entry":
        """Return the entry with its hash: SHA-256 over the previous hash and the content."""
        return sealed(previous, self[:-1])


def sealed(previous: bytes, content: tuple[Any, ...]) -> Entry:
    """Return the entry of this content, which is all fields but the hash, as `Entry.sealed`."""
    said = list(content)
    said[_DIGEST] = content[_DIGEST].hex()
    digest = hashlib.sha256(previous + _compact(said).encode()).digest()
    return Entry._make((*content, digest))


_DIGEST = Entry._fields.index("request_digest")


def _encoder() -> Callable[[object], str]:
    """Return what `json.dumps` does with compact separators, without making an encoder each time.

    That takes as long as the encoding, and every debit is encoded twice. CPython's own encoder can
    be kept; where there is none, the usual way says the same.
    """
    usual = json.JSONEncoder(separators=(",", ":"))
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return usual.encode
    quote = json.encoder.encode_basestring_ascii
    chunks = make(None, usual.default, quote, None, ":", ",", False, False, True)
    return lambda content: "".join(chunks(content, 0))


_compact = _encoder()
_sorted = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode


class EntryId(NamedTuple):
    """The place an entry id names."""

    tenant_id: str
    currency: str
    version: int

    @classmethod
    def parse(cls, text: str) -> "EntryId":
        """Read an id such as acme.EUR.17; NotFoundError if it cannot be one."""
        match = _ENTRY_ID.fullmatch(text)
        if match is None:
            raise NotFoundError(f"{text!r} is not an entry id; they look like acme.EUR.17")
        tenant_id, currency, version = match.groups()
        return cls(tenant_id, currency, int(version))


# Only as ids are written, so that every entry has exactly one, and no byte a database chokes on.
_ENTRY_ID = re.compile(r"([!-~]{1,255})\.([A-Z]{3})\.([1-9][0-9]{0,17})")


class Outcome(NamedTuple):
    """What became of a draft. `status` is posted, replayed or declined.

    A replayed effect whose target was reached before has no entry. A declined outcome has a
    reason and what was available (minor units).
    """

    status: str
    entry: Entry | None = None
    reason: Reason | None = None
    available: int = 0


POSTED = "posted"
REPLAYED = "replayed"
DECLINED = "declined"


def request_digest(*content: object) -> bytes:
    """Return the 32-byte digest by which a repeated idempotency key is told from a reused one."""
    return hashlib.sha256(_compact(content).encode()).digest()


def canonical_metadata(metadata: Mapping[str, str]) -> str:
    """Return metadata as JSON text with sorted keys."""
    return _sorted(dict(metadata)) if metadata else "{}"
