"""Asking one storefront: bounded in bytes and time, patient with passing faults only."""

import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Any

import requests
import structlog
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from bridge import metrics
from bridge.domain.clock import Clock
from bridge.domain.errors import BridgeError
from bridge.storefront import refusals
from bridge.storefront.errors import (
    StorefrontBrokenError,
    StorefrontOverloadedError,
    StorefrontUnavailableError,
)
from bridge.storefront.reply import Reply
from bridge.storefront.session import Limits, Params, SessionAPI

BACKOFF_MAX_S = 20
"""The longest pause before another attempt when the storefront asked for none."""

Send = Callable[[], requests.Response]
"""Sends one request and waits for the headers of its answer."""

_CHUNK_BYTES = 8192
_backoff = wait_random_exponential(max=BACKOFF_MAX_S)
_log = structlog.get_logger()


class Transport:
    """Asks one storefront. Safe to use from several threads: nothing changes after it is made.

    The session's connection pool is thread-safe, and cookies, its only other state, are refused.
    """

    def __init__(
        self,
        name: str,
        api: SessionAPI,
        limits: Limits,
        clock: Clock,
        sleep: Callable[[float], None],
    ) -> None:
        self._name = name
        self._api = api
        self._limits = limits
        self._clock = clock
        self._sleep = sleep

    def get(self, path: str, params: Params, *, insist: bool = True) -> Reply:
        """Fetch `path` below wc/v3 until there is JSON, while what went wrong looks passing.

        Without `insist`, errors that a smaller question may avoid are raised at once. Raises the
        errors of bridge.storefront.errors; none of them holds a key, a query or a body.
        """
        return self._patiently(path, partial(self._api.get, path, params=params), insist=insist)

    def post(self, path: str, params: Params, body: Any) -> Reply:
        """Create something at `path`, in one attempt: it may be done although its answer is lost.

        Raises what `get` does.
        """
        return self._once(path, partial(self._api.post, path, body, params=params))

    def put(self, path: str, params: Params, body: Any) -> Reply:
        """Change what is at `path`, with the patience of `get`: twice does what once does.

        Raises what `get` does.
        """
        return self._patiently(path, partial(self._api.put, path, body, params=params))

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def _patiently(self, path: str, send: Send, *, insist: bool = True) -> Reply:
        passing = self._is_passing if insist else self._is_passing_and_light
        retrying = Retrying(
            sleep=self._sleep,
            stop=stop_after_attempt(self._limits.attempts_max),
            wait=_pause,
            retry=retry_if_exception(passing),
            before_sleep=self._tell,
            reraise=True,
        )
        return retrying(self._once, path, send)

    def _once(self, path: str, send: Send) -> Reply:
        outcome = "answered"
        try:
            return self._ask(path, send)
        except BridgeError as error:
            outcome = error.code
            raise
        finally:
            metrics.storefront_requests_total.labels(self._name, outcome).inc()

    def _ask(self, path: str, send: Send) -> Reply:
        sent_at = self._clock()
        with closing(self._send(send)) as response:
            body = self._body(response)
        reply = Reply(
            storefront=self._name,
            base=self._api.url,
            path=path,
            status=response.status_code,
            headers=response.headers,
            body=body,
            sent_at=sent_at,
            received_at=self._clock(),
        )
        refusals.check(reply)
        return reply

    def _send(self, send: Send) -> requests.Response:
        """Send, and wait for the headers. Causes are dropped: they repeat the signed address."""
        try:
            return send()
        except requests.exceptions.SSLError:
            raise StorefrontUnavailableError(
                self._say(
                    "no TLS with it; check that https is served on that port, with a certificate "
                    "of a CA that is trusted here"
                )
            ) from None
        except requests.exceptions.ReadTimeout:
            raise self._too_slow() from None
        except requests.RequestException as error:
            raise StorefrontUnavailableError(
                self._say(
                    f"no connection ({type(error).__name__}); check that it is up and that host "
                    "and port in url are right"
                )
            ) from None

    def _body(self, response: requests.Response) -> bytes:
        """Read the body, at most `body_bytes_max` and for at most `read_timeout_s`."""
        body = bytearray()
        deadline = time.monotonic() + self._limits.read_timeout_s
        try:
            for chunk in response.iter_content(_CHUNK_BYTES):
                body += chunk
                if len(body) > self._limits.body_bytes_max:
                    raise self._too_large()
                if time.monotonic() > deadline:
                    raise self._too_slow()
        except requests.RequestException as error:
            raise StorefrontOverloadedError(
                self._say(
                    f"its answer broke off ({type(error).__name__}); if that stays, look at its "
                    "web server"
                )
            ) from None
        return bytes(body)

    def _too_large(self) -> StorefrontBrokenError:
        return StorefrontBrokenError(
            self._say(
                f"its answer is larger than {self._limits.body_bytes_max} bytes; raise "
                "body_bytes_max if its orders really are that large"
            )
        )

    def _too_slow(self) -> StorefrontOverloadedError:
        return StorefrontOverloadedError(
            self._say(
                f"no answer within {self._limits.read_timeout_s:g} s; if that stays, it is "
                "overloaded, or read_timeout_s is too short for it"
            )
        )

    def _say(self, text: str) -> str:
        return f"storefront {self._name}: {text}"

    def _is_passing(self, error: BaseException) -> bool:
        if not isinstance(error, StorefrontUnavailableError):
            return False
        return (error.wait_s or 0) <= self._limits.retry_after_max_s

    def _is_passing_and_light(self, error: BaseException) -> bool:
        return self._is_passing(error) and not isinstance(error, StorefrontOverloadedError)

    def _tell(self, state: RetryCallState) -> None:
        _log.info(
            "storefront.retry",
            storefront=self._name,
            path=state.args[0],
            attempt=state.attempt_number,
            why=str(_error(state)),
        )


def _pause(state: RetryCallState) -> float:
    error = _error(state)
    asked = error.wait_s if isinstance(error, StorefrontUnavailableError) else None
    return _backoff(state) if asked is None else asked


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
