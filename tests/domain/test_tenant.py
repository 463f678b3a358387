import re

import pytest

from bridge.domain.tenant import DEFAULT_PATTERN, is_tenant_id

DEFAULT = re.compile(DEFAULT_PATTERN)
ANYTHING = re.compile(r"(?s).*")


@pytest.mark.parametrize(
    "value", ["a", "acme", "ACME", "7", "a.b_c-d:e@f+g=h~i", "0" * 128, "a..b", "x" * 128]
)
def test_a_plain_ascii_name_is_a_tenant_id(value: str) -> None:
    assert is_tenant_id(value, DEFAULT)


@pytest.mark.parametrize(
    "value",
    [
        *["", " ", " acme", "acme ", "ac me", "acme\n", "\tacme", "ac\x00me", "acme\x7f"],
        *[
            "\u0430cme",
            "\uff41cme",
            "acmé",
            "acme\u200b",
            "\u202eemca",
            "acme\u00a0",
            "\ufb01rm",
            "😀",
            "\ud800",
        ],
        *["a/b", "a?b", "a#b", "a%20b", "a\\b", '"acme"', "'acme'", "<acme>", ".", "..", "x" * 256],
    ],
    ids=ascii,
)
def test_what_needs_escaping_or_could_be_taken_for_another_is_none_whatever_the_pattern(
    value: str,
) -> None:
    assert not is_tenant_id(value, DEFAULT)
    assert not is_tenant_id(value, ANYTHING)


@pytest.mark.parametrize("value", [None, 7, 7.0, True, ["acme"], {"id": "acme"}, b"acme"], ids=repr)
def test_only_text_is_a_tenant_id(value: object) -> None:
    assert not is_tenant_id(value, ANYTHING)


def test_the_configured_pattern_must_match_the_whole_id() -> None:
    pattern = re.compile(r"t-[0-9]{3}")
    assert is_tenant_id("t-123", pattern)
    assert not is_tenant_id("t-1234", pattern)
    assert not is_tenant_id("xt-123", pattern)


def test_ids_that_differ_in_case_are_told_apart() -> None:
    pattern = re.compile(r"acme")
    assert is_tenant_id("acme", pattern)
    assert not is_tenant_id("Acme", pattern)
