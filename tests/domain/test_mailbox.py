"""An e-mail address is plain, or it is none."""

import pytest

from bridge.domain.mailbox import is_mailbox


@pytest.mark.parametrize("text", ["ops@example.com", "a+b.c@mail.example.co.uk", "x@localhost"])
def test_plain_addresses_are_taken(text: str) -> None:
    assert is_mailbox(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ops",
        "@example.com",
        "ops@",
        "a@b@c",
        "Ops <ops@example.com>",
        "ops@example.com\r\nBcc: all@example.com",
        "ops@example.com, more@example.com",
        '"a b"@example.com',
        "öps@example.com",
        "ops@example.com.",
        f"{'a' * 65}@example.com",
        f"a@{'b' * 253}",
    ],
)
def test_whatever_could_mean_more_to_a_header_or_a_server_is_refused(text: str) -> None:
    assert not is_mailbox(text)
