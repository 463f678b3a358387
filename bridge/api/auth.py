"""Who asks, and what they may: API keys as bearer tokens."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer, SecurityScopes
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from bridge.api.problems import ProblemError
from bridge.api.services import Desk
from bridge.domain.clock import SECOND, Instant
from bridge.store import keys
from bridge.store.keys import ApiKey

KEY_CACHED_S = 5
"""Seconds a key is believed without asking the store, and so the longest a revoked one works on."""

KEYS_CACHED_MAX = 1000
"""Keys that are remembered at a time."""

TOKEN_LENGTH_MAX = 200
"""Characters of a bearer token; ours have 59."""


class KeyRing:
    """Finds keys by token, and asks the store for each at most once in KEY_CACHED_S."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._found: dict[str, tuple[ApiKey, Instant]] = {}
        self._asking: dict[str, asyncio.Future[ApiKey | None]] = {}

    async def find(self, token: str) -> ApiKey | None:
        """Return the key of a token, None where there is none or it was revoked."""
        return self.at_once(token) or await asyncio.shield(self._asked(token))

    def at_once(self, token: str) -> ApiKey | None:
        """Return a key that is believed, and ask for it again in good time."""
        key, since = self._found.get(token, (None, 0))
        # Between bounds, since a clock that was set back must not make a key eternal.
        age = self._desk.services.clock() - since
        if key is None or not 0 <= age < KEY_CACHED_S * SECOND:
            return None
        if age > KEY_CACHED_S * SECOND // 2:
            self._asked(token)
        return key

    def known(self, token: str) -> ApiKey | None:
        """Return a key that was found before; it may have been revoked since."""
        key, _ = self._found.get(token, (None, 0))
        return key

    def confirm(self, token: str, then: Callable[[bool], None]) -> None:
        """Ask for a key again, and call, telling whether it was found."""

        def tell(asked: asyncio.Future[ApiKey | None]) -> None:
            found = not asked.cancelled() and not asked.exception() and asked.result() is not None
            then(found)

        self._asked(token).add_done_callback(tell)

    def _asked(self, token: str) -> asyncio.Future[ApiKey | None]:
        """Ask for a key, once however many wait for it."""
        if token not in self._asking:
            self._asking[token] = asyncio.ensure_future(self._ask(token))
            self._asking[token].add_done_callback(lambda asked: self._answered(token, asked))
        return self._asking[token]

    def _answered(self, token: str, asked: asyncio.Future[ApiKey | None]) -> None:
        self._asking.pop(token, None)
        if not asked.cancelled():
            # Whoever waits for it learns why it failed; asked for in good time, nobody waits.
            asked.exception()

    async def _ask(self, token: str) -> ApiKey | None:
        now = self._desk.services.clock()
        key = await self._desk.read(keys.find, token) if len(token) <= TOKEN_LENGTH_MAX else None
        self._found.pop(token, None)
        if key is not None:
            if len(self._found) >= KEYS_CACHED_MAX:
                self._found.clear()
            self._found[token] = (key, now)
        return key


class Authenticate:
    """Lets requests to /v1/ through with a valid key only, before their bodies are read."""

    def __init__(self, app: ASGIApp, ring: KeyRing) -> None:
        self._app = app
        self._ring = ring

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, its key in `request.state.key`."""
        if scope["type"] == "http" and scope["path"].startswith("/v1/"):
            scope["state"]["key"] = await self._key(Headers(scope=scope))
        await self._app(scope, receive, send)

    async def _key(self, headers: Headers) -> ApiKey:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise _unauthenticated("send `Authorization: Bearer bridge_…`", 'Bearer realm="bridge"')
        key = await self._ring.find(token.strip())
        if key is None:
            advice = "the API key is unknown or revoked; `bridge keys create` makes a new one"
            raise _unauthenticated(advice, 'Bearer realm="bridge", error="invalid_token"')
        return key


def _unauthenticated(detail: str, challenge: str) -> ProblemError:
    # RFC 6750, section 3: what a bearer token's challenge says.
    return ProblemError(401, "unauthenticated", detail, headers={"WWW-Authenticate": challenge})


_documented = HTTPBearer(
    scheme_name="key",
    description="An API key from `bridge keys create`; each operation names the scope it needs.",
    auto_error=False,
)


async def allowed(
    request: Request, needed: SecurityScopes, _: Annotated[Any, Depends(_documented)]
) -> str:
    """Return the caller's name; ProblemError 403 where its key lacks a needed scope."""
    for scope in needed.scopes:
        require(request, scope)
    key: ApiKey = request.state.key
    return key.name


def has(request: Request, scope: str) -> bool:
    """Tell whether the request's key has a scope."""
    key: ApiKey = request.state.key
    return scope in key.scopes


def require(request: Request, scope: str) -> None:
    """Raise ProblemError 403 where the request's key lacks a scope."""
    if not has(request, scope):
        key: ApiKey = request.state.key
        raise ProblemError(
            403,
            "scope_missing",
            f"the API key {key.key_id} lacks the scope {scope!r}; use one that has it",
            headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'},
            scope=scope,
        )


READ = Security(allowed, scopes=["read"])
DEBIT = Security(allowed, scopes=["debit"])
DEPOSIT = Security(allowed, scopes=["deposit"])
ADMIN = Security(allowed, scopes=["admin"])
DebitCaller = Annotated[str, DEBIT]
DepositCaller = Annotated[str, DEPOSIT]
AdminCaller = Annotated[str, ADMIN]
