"""Tenant ids: kept byte for byte, matched against a pattern, never folded or trimmed."""

import re

DEFAULT_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._:@+=~-]{0,127}"
"""What a tenant id may be unless the configuration says otherwise."""

# Whatever pattern is configured: one printable ASCII path segment, so that an id can stand in a
# URL, a log line and an entry id without escaping, and so that look-alike letters have no place.
_OUTER = re.compile(r"(?!\.{1,2}\Z)[^\x00-\x20\x7f-\U0010ffff/?#%\\\"'<>]{1,255}")


def is_tenant_id(value: object, pattern: re.Pattern[str]) -> bool:
    """Tell whether the value is a tenant id: text within the outer rule and the pattern."""
    return isinstance(value, str) and bool(_OUTER.fullmatch(value) and pattern.fullmatch(value))
