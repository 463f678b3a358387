"""The `woocommerce` package's API on a session of ours."""

import logging
from http.cookiejar import DefaultCookiePolicy
from typing import Any, NamedTuple

import requests
from requests.auth import AuthBase, HTTPBasicAuth
from woocommerce import API
from woocommerce.oauth import OAuth

Params = dict[str, str | int]


class Limits(NamedTuple):
    """How long one request may take, how much it may bring and how often it is tried."""

    connect_timeout_s: float = 5
    read_timeout_s: float = 60
    body_bytes_max: int = 16 * 2**20
    attempts_max: int = 4
    retry_after_max_s: float = 60


class SessionAPI(API):  # type: ignore[misc]  # the package ships no types
    """The package's API on one session of ours: kept alive, streamed, never redirected."""

    def __init__(
        self,
        url: str,
        consumer_key: str,
        consumer_secret: str,
        limits: Limits,
        *,
        verify_tls: bool | str,
    ) -> None:
        timeouts = (limits.connect_timeout_s, limits.read_timeout_s)
        super().__init__(
            url,
            consumer_key,
            consumer_secret,
            version="wc/v3",
            timeout=timeouts,
            verify_ssl=verify_tls,
        )
        self._session = requests.Session()
        self._session.headers.update({"User-Agent": self.user_agent, "Accept": "application/json"})
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        if self.is_ssl:
            self._session.auth = HTTPBasicAuth(consumer_key, consumer_secret)
        else:
            self._session.auth = _OAuth1(consumer_key, consumer_secret)
            # Its debug lines would show the signed address.
            logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)

    def close(self) -> None:
        """Close the session."""
        self._session.close()

    # The one method every verb of the package goes through. The package itself opens a connection
    # for each request, follows redirects, and sends the query twice when it signs.
    def _API__request(  # noqa: N802 - the name Python gives the package's __request
        self, method: str, endpoint: str, data: Any, params: Params | None = None, **kwargs: Any
    ) -> requests.Response:
        return self._session.request(
            method,
            f"{self.url}/wp-json/{self.version}/{endpoint}",
            params=params,
            json=data,
            timeout=self.timeout,
            verify=self.verify_ssl,
            allow_redirects=False,
            stream=True,
            **kwargs,
        )


class _OAuth1(AuthBase):
    """OAuth 1.0a in the query, as WooCommerce wants it over http; signed anew for every attempt."""

    def __init__(self, consumer_key: str, consumer_secret: str) -> None:
        self._keys = {"consumer_key": consumer_key, "consumer_secret": consumer_secret}

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.url = OAuth(
            url=request.url, method=request.method, version="wc/v3", **self._keys
        ).get_oauth_url()
        return request
