"""How the tenants' page looks and where it is: the operator's part of it."""

from datetime import tzinfo
from functools import cache
from importlib import resources
from typing import NamedTuple

from bridge.domain.clock import Instant
from bridge.domain.signing import Keys


class Portal(NamedTuple):
    """The tenants' page as the operator configured it; made by the wiring.

    `public_url` is an origin without a path. `accent` and `accent_dark` are CSS colours such as
    #5b3a8c. `link_expires_in` and `session_expires_in` are spans in microseconds; `currencies` can
    be deposited. Without `logo` the name stands alone.
    """

    public_url: str
    name: str
    logo: bytes
    logo_type: str
    accent: str
    accent_dark: str
    language: str
    zone: tzinfo
    link_keys: Keys
    cookie_keys: Keys
    form_keys: Keys
    link_expires_in: Instant
    session_expires_in: Instant
    currencies: tuple[str, ...]


@cache
def style(portal: Portal) -> str:
    """Return the style sheet, the operator's colours before it."""
    light, dark = (f":root {{ --main: {c}; }}" for c in (portal.accent, portal.accent_dark))
    return f"{light}\n@media (prefers-color-scheme: dark) {{ {dark} }}\n{static('portal.css')}"


@cache
def static(name: str) -> str:
    """Return one of the files that browsers are given."""
    return (resources.files("bridge.api.pages") / "static" / name).read_text("utf-8")
