"""A storefront's address: which are accepted, and which one a redirect says would be right."""

import ipaddress
from urllib.parse import urljoin, urlsplit

from bridge.storefront.errors import StorefrontAddressError

_API = "/wp-json"


def checked(name: str, url: str, *, insecure_http: bool) -> str:
    """Return the address without trailing slashes (WooCommerce: `//wp-json` answers 401).

    StorefrontAddressError for what is no plain web address, and for http to another machine unless
    `insecure_http`: there, everyone on the way can read the answers.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or "@" in parts.netloc or parts.query or parts.fragment:
        raise StorefrontAddressError(
            f"storefront {name}: url must be a plain address such as https://store.example.com, "
            "without a name, password, ? or #"
        )
    if parts.scheme == "http" and not insecure_http and not _is_loopback(parts.hostname or ""):
        raise StorefrontAddressError(
            f"storefront {name}: url uses http, which anybody on the way can read; use https, "
            "or set insecure_http = true if the network between is yours"
        )
    return parts.geturl().rstrip("/")


def redirected(name: str, base: str, location: str | None) -> StorefrontAddressError:
    """Return the error for a redirect: it names the address to configure, no query."""
    target = urlsplit(urljoin(f"{base}/", location or ""))
    place = f"{target.scheme}://{target.netloc.rpartition('@')[2]}{target.path}"
    root, found, _ = place.partition(_API)
    if found and root.rstrip("/") == base:
        advice = (
            "it redirects within its own API, as with plain permalinks; in WordPress choose "
            "Settings > Permalinks > Post name"
        )
    elif found:
        advice = f"it redirects elsewhere; set url to {root.rstrip('/')}"
    else:
        advice = (
            f"it redirects to {place}, which is not its API; let /wp-json/wc/ through there, "
            "or correct url"
        )
    return StorefrontAddressError(f"storefront {name}: {advice}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
