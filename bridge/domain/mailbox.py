"""E-mail addresses, as strictly as a header and an SMTP server take them without encoding."""

import re

MAILBOX_MAX = 254
"""Characters of an address (RFC 5321, 4.5.3.1.3, less the brackets)."""

# No quoted local parts, and no ASCII that has a meaning in a header: RFC 5321 advises against them.
_MAILBOX = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?"
)


def is_mailbox(text: str) -> bool:
    """Tell whether a text is one plain ASCII address such as ops@example.com."""
    return len(text) <= MAILBOX_MAX and _MAILBOX.fullmatch(text) is not None
