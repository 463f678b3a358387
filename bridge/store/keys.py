"""API keys: made here, shown once, kept as a digest."""

import hashlib
import secrets
from typing import NamedTuple

from sqlalchemy import Connection, RowMapping, insert, select, update

from bridge.domain.clock import Instant
from bridge.domain.errors import InvalidRequestError, NotFoundError
from bridge.store import tables

API_KEYS = tables.table(tables.ApiKey)

SCOPES = ("read", "debit", "deposit", "admin")
"""What a key may allow; each stands for itself only, so a key has as many as its holder needs."""


class ApiKey(NamedTuple):
    """A key without its secret. `name` is the caller that its idempotency keys belong to."""

    key_id: str
    name: str
    scopes: tuple[str, ...]
    created_at: Instant
    revoked_at: Instant | None


def create(tx: Connection, name: str, scopes: list[str], now: Instant) -> tuple[ApiKey, str]:
    """Make a key and return it with its secret, which nobody can read again.

    A name may have several keys, so that a caller can rotate them and keep its idempotency keys.
    """
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise InvalidRequestError(
            f"scopes are {', '.join(SCOPES)}; not {', '.join(unknown) or 'none'}"
        )
    if not (name.isascii() and name.isprintable() and 0 < len(name) <= 64) or ":" in name:
        raise InvalidRequestError("a key's name is 1 to 64 printable ASCII characters without ':'")
    key_id, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    token = f"bridge_{key_id}_{secret}"
    kept = " ".join(sorted(set(scopes)))
    row = {"key_id": key_id, "name": name, "scopes": kept, "created_at": now, "revoked_at": None}
    tx.execute(insert(API_KEYS).values(digest=_digest(token), **row))
    return ApiKey(key_id, name, tuple(kept.split()), now, None), token


def find(tx: Connection, token: str) -> ApiKey | None:
    """Return the key that a token belongs to, or None where there is none or it was revoked."""
    query = select(API_KEYS).where(
        API_KEYS.c.digest == _digest(token), API_KEYS.c.revoked_at.is_(None)
    )
    row = tx.execute(query).mappings().first()
    return None if row is None else _key(row)


def all_keys(tx: Connection) -> list[ApiKey]:
    """Return all keys, the revoked ones too, oldest first."""
    rows = tx.execute(select(API_KEYS).order_by(API_KEYS.c.created_at, API_KEYS.c.key_id))
    return [_key(row) for row in rows.mappings()]


def revoke(tx: Connection, key_id: str, now: Instant) -> ApiKey:
    """Make a key worthless from now on; NotFoundError where there is none."""
    unrevoked = API_KEYS.c.revoked_at.is_(None)
    tx.execute(
        update(API_KEYS).where(API_KEYS.c.key_id == key_id, unrevoked).values(revoked_at=now)
    )
    row = tx.execute(select(API_KEYS).where(API_KEYS.c.key_id == key_id)).mappings().first()
    if row is None:
        raise NotFoundError(f"no key {key_id!r}; `bridge keys list` shows their ids")
    return _key(row)


def _digest(token: str) -> bytes:
    # A plain hash is enough: the secret has 256 random bits, there is nothing to guess.
    return hashlib.sha256(token.encode()).digest()


def _key(row: RowMapping) -> ApiKey:
    fields = {name: row[name] for name in ApiKey._fields}
    return ApiKey(**fields | {"scopes": tuple(row["scopes"].split())})
