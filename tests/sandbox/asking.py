"""Asking a sandbox as the real client does: through the `woocommerce` package, signed."""

from collections.abc import Mapping
from typing import Any

import requests
from woocommerce import API

from bridge.sandbox import Sandbox


def api(sandbox: Sandbox, key: str | None = None, secret: str | None = None) -> Any:
    """Return a client of the sandbox, with other keys where given."""
    return API(sandbox.url, key or sandbox.consumer_key, secret or sandbox.consumer_secret)


def ids(sandbox: Sandbox, **params: Any) -> list[int]:
    """Return the ids that a list of orders answers with."""
    return [order["id"] for order in listed(sandbox, params).json()]


def listed(sandbox: Sandbox, params: Mapping[str, Any]) -> requests.Response:
    """Return the answer to a list of orders."""
    answer: requests.Response = api(sandbox).get("orders", params=dict(params))
    return answer
