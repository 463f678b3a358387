"""Why a storefront did not give what was asked, as errors that say what to do.

Of what the storefront wrote only its error code enters a message: its texts may repeat the request,
and with it the key.
"""

import re
from collections.abc import Callable

import structlog

from bridge.domain.clock import SECOND, isoformat
from bridge.domain.errors import BridgeError
from bridge.storefront import address
from bridge.storefront.errors import (
    OrderGoneError,
    StorefrontAddressError,
    StorefrontAnswerError,
    StorefrontBrokenError,
    StorefrontOverloadedError,
    StorefrontRefusedError,
    StorefrontUnavailableError,
)
from bridge.storefront.reply import Reply

HEAD_CHARS_MAX = 200
"""How much of a spoiled body is logged."""

# How WordPress names a PHP fatal where JSON was asked for: it may pass; other codes state a rule.
_CRASHES = {"", "internal_server_error", "wp_die"}

# Of an order itself, and of its refunds.
_GONE = {"woocommerce_rest_shop_order_invalid_id", "woocommerce_rest_invalid_order_id"}
# WooCommerce has one code for all of these and tells them apart in its message: first match holds.
_AUTHENTICATION = {
    "secret": "the consumer secret does not belong to the key; copy both again from "
    "WooCommerce > Settings > Advanced > REST API",
    "signature": "the consumer secret does not belong to the key, or a proxy rewrites the "
    "address; copy both again, and set url to the address WordPress itself uses",
    "read permission": "the API key may not read; give it Read (or Read/Write) permission",
    "write permission": "the API key may only read; give it Read/Write permission",
    "timestamp": "the request looks too old: the two clocks differ by more than 15 minutes; set "
    "them right (NTP), or use https, which needs no clock",
    "nonce": "the request looks repeated; let no proxy send requests twice, or use https",
    "key": "the consumer key is unknown there; create one in WooCommerce > Settings > Advanced > "
    "REST API",
}


_log = structlog.get_logger()


def check(reply: Reply) -> None:
    """Raise the error that explains an answer which is not a good one with JSON."""
    if 300 <= reply.status < 400:
        raise address.redirected(reply.storefront, reply.base, reply.headers.get("Location"))
    if not 200 <= reply.status < 300:
        explain = _BY_STATUS.get(reply.status, _server_error if reply.status >= 500 else _rejected)
        raise explain(reply, *reply.wordpress_error)
    if not reply.is_json:
        raise _spoiled(reply)


def _spoiled(reply: Reply) -> BridgeError:
    """Log how the body begins, but nothing of its JSON, which may be anybody's data."""
    head = re.split(r"[{\[]", reply.body[:HEAD_CHARS_MAX].decode("utf-8", "replace"))[0]
    _log.warning("storefront.spoiled", storefront=reply.storefront, path=reply.path, head=head)
    return StorefrontOverloadedError(
        reply.say(
            f"it answered {reply.status} with something that is not JSON (the log shows how it "
            "begins); for a PHP notice, set WP_DEBUG_DISPLAY to false; for a web page, let no "
            "cache or firewall answer for /wp-json/wc/"
        )
    )


def _unauthorized(reply: Reply, code: str, message: str) -> BridgeError:
    known = next((text for word, text in _AUTHENTICATION.items() if word in message.lower()), "")
    if code == "woocommerce_rest_cannot_view":
        advice = (
            "it does not know the consumer key, or never saw it; copy the key again, and if it "
            "is right, make the web server hand the Authorization header to PHP"
        )
    elif code == "woocommerce_rest_authentication_error" and known:
        advice = known
    else:
        advice = (
            f"it refused the API key (401 {code}); check that key and secret are WooCommerce REST "
            "keys, and that permalinks are not plain (Settings > Permalinks)"
        )
    return StorefrontRefusedError(reply.say(advice))


def _forbidden(reply: Reply, code: str, _message: str) -> BridgeError:
    if code:
        advice = (
            f"the owner of the API key may not see this (403 {code}); create the key for an "
            "administrator"
        )
    else:
        advice = (
            "something before WooCommerce answered 403, such as a security plugin or a firewall; "
            "let bridge's address through to /wp-json/wc/"
        )
    return StorefrontRefusedError(reply.say(advice))


def _not_found(reply: Reply, code: str, message: str) -> BridgeError:
    if code in _GONE:
        return OrderGoneError(
            reply.say(f"{reply.path} is not there; it was deleted for good, or never was its order")
        )
    if code in {"", "rest_no_route"}:
        return StorefrontAddressError(
            reply.say(
                "there is no WooCommerce API at this address; check url, that WooCommerce is "
                "active, and that permalinks are not plain (Settings > Permalinks)"
            )
        )
    return _rejected(reply, code, message)


def _busy(reply: Reply, code: str, message: str) -> BridgeError:
    wait_s = reply.retry_after_s
    if wait_s is not None:
        until = isoformat(reply.received_at + int(wait_s * SECOND))
        return StorefrontUnavailableError(
            reply.say(
                f"it is in maintenance or too busy ({reply.status}) and wants to be left alone "
                f"until {until}; try again then"
            ),
            wait_s,
        )
    if reply.status == 429:
        return StorefrontUnavailableError(
            reply.say("it wants fewer requests (429); poll less often, or have its limit raised")
        )
    return _server_error(reply, code, message)


def _server_error(reply: Reply, code: str, _message: str) -> BridgeError:
    if code not in _CRASHES:
        return StorefrontBrokenError(
            reply.say(f"it cannot do this ({reply.status} {code}); its own log says why")
        )
    return StorefrontOverloadedError(
        reply.say(
            f"it failed with {reply.status}; if that stays, WooCommerce > Status > Logs says why "
            "(often a plugin that breaks on one order)"
        )
    )


def _rejected(reply: Reply, code: str, _message: str) -> BridgeError:
    return StorefrontAnswerError(
        reply.say(
            f"it rejected the request ({f'{reply.status} {code}'.strip()}); check that WooCommerce "
            "is current and that no plugin or proxy alters its API"
        )
    )


_BY_STATUS: dict[int, Callable[[Reply, str, str], BridgeError]] = {
    401: _unauthorized,
    403: _forbidden,
    404: _not_found,
    429: _busy,
    503: _busy,
}
