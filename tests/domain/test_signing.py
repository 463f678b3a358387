import base64
import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.domain.signing import SEAL_LENGTH_MAX, derived, seal, unseal

KEYS = derived(["the first secret"], "deposit-tag/main")
TEXT = seal(KEYS, "dep1", "acme", 5000)
LETTERS = string.ascii_letters + string.digits + "-_"


@given(st.lists(st.text() | st.integers()))
def test_a_seal_gives_back_what_was_sealed(values: list[str | int]) -> None:
    assert unseal(KEYS, seal(KEYS, *values)) == values


def test_a_seal_is_values_and_mac_that_a_few_lines_of_php_can_read() -> None:
    content, mac = TEXT.split(".")
    assert json.loads(base64.urlsafe_b64decode(content + "==")) == ["dep1", "acme", 5000]
    assert len(base64.urlsafe_b64decode(mac + "=")) == 32


@given(st.integers(0, len(TEXT) - 1), st.sampled_from(LETTERS + ".= é\n"))
def test_a_seal_with_any_other_character_in_it_opens_nothing(place: int, letter: str) -> None:
    changed = TEXT[:place] + letter + TEXT[place + 1 :]
    assert unseal(KEYS, changed) == (None if changed != TEXT else ["dep1", "acme", 5000])


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", TEXT[:-1], TEXT + "A", TEXT + "=", TEXT + "\n", " " + TEXT, TEXT.split(".")[0]),
        *(None, 7, True, TEXT.encode(), [TEXT], {"seal": TEXT}),
    ],
)
def test_whatever_is_no_seal_opens_nothing(text: object) -> None:
    assert unseal(KEYS, text) is None


@pytest.mark.parametrize(
    ("secrets", "purpose"),
    [
        (["the first secrets"], "deposit-tag/main"),
        (["the first secret"], "deposit-tag/eu"),
        (["the first secret"], "deposit-link/main"),
        ([], "deposit-tag/main"),
    ],
)
def test_other_secrets_and_other_purposes_open_nothing(secrets: list[str], purpose: str) -> None:
    assert unseal(derived(secrets, purpose), TEXT) is None


def test_after_a_change_of_secrets_the_new_one_seals_and_both_open() -> None:
    both = derived(["the second secret", "the first secret"], "deposit-tag/main")
    new = seal(both, "dep2")
    assert unseal(both, TEXT) == ["dep1", "acme", 5000]
    assert unseal(both, new) == unseal(both[:1], new) == ["dep2"]
    assert unseal(KEYS, new) is None


def test_a_seal_that_is_too_long_is_not_even_looked_at() -> None:
    assert unseal(KEYS, seal(KEYS, "x" * SEAL_LENGTH_MAX)) is None
