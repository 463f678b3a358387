"""Languages: complete, and exact about money."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from babel import Locale
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import bridge
from bridge.domain.errors import InvalidRequestError
from bridge.tongue import languages, money, preferred, tongue

BRIDGE = Path(bridge.__file__).parent


def texts_for_tenants() -> Iterator[str]:
    places = ("api/pages", "notify", "tongue")
    methods = [(f"{place}/**.py", "python") for place in places]
    methods.append(("api/pages/templates/**.html", "jinja2.ext:babel_extract"))
    words = {"_": None, "say": None}
    for _, _, text, _, _ in extract_from_dir(str(BRIDGE), methods, keywords=words):
        assert isinstance(text, str)
        yield text


@pytest.mark.parametrize("language", [one for one in languages() if one != "en"])
def test_every_text_is_in_every_catalog_translated_and_no_other_is(language: str) -> None:
    with (BRIDGE / "tongue" / "locale" / f"{language}.po").open("rb") as file:
        catalog = read_po(file, locale=language)
    messages = [message for message in catalog if message.id]
    assert {message.id for message in messages} == set(texts_for_tenants())
    assert [message.id for message in messages if not message.string or message.fuzzy] == []
    assert [list(message.check(catalog)) for message in messages if message.python_format]
    assert not any(list(message.check(catalog)) for message in messages)


def test_there_are_english_and_german() -> None:
    assert set(languages()) == {"de", "en"}


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("en;q=0.5,de;q=0.9", "de"),
        ("fr, DE;q=0.1", "de"),
        ("fr", "en"),
        ("de;q=0", "en"),
        ("", "en"),
        (";;q=,,;q=9", "en"),
    ],
)
def test_the_browser_chooses_among_the_languages_there_are(accepted: str, language: str) -> None:
    assert preferred(accepted, "en") == language


@pytest.mark.parametrize(
    ("language", "minor", "currency", "written"),
    [
        ("en", 123456, "EUR", "€1,234.56"),
        ("de", 123456, "EUR", "1.234,56\xa0€"),
        ("de", -5, "EUR", "-0,05\xa0€"),
        ("en", 500, "JPY", "¥500"),
        ("en", 1234, "KWD", "KWD\xa01.234"),
        ("en", 5000, "ISK", "ISK\xa05,000"),
    ],
)
def test_amounts_are_written_by_language_with_the_decimals_of_iso_4217(
    language: str, minor: int, currency: str, written: str
) -> None:
    assert money(minor, currency, Locale.parse(language)) == written


@pytest.mark.parametrize(
    ("language", "text", "currency", "minor"),
    [
        ("en", "25", "EUR", 2500),
        ("en", " 1,234.5 ", "EUR", 123450),
        ("de", "1.234,56", "EUR", 123456),
        ("de", "12,5", "EUR", 1250),
        ("en", "300", "JPY", 300),
        ("en", "0.001", "KWD", 1),
    ],
)
def test_amounts_are_read_as_the_language_writes_them(
    language: str, text: str, currency: str, minor: int
) -> None:
    assert tongue(language).read_amount(text, currency) == minor


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", ""),
        ("en", "1e3"),
        ("en", "-5"),
        ("en", "12,5"),
        ("en", "1.234,56"),
        ("de", "1,234.56"),
        ("en", "12.345"),
        ("en", "٣٤"),
        ("en", "9" * 40),
        ("en", "99999999999999999999"),
        ("en", "<b>5</b>"),
    ],
)
def test_an_unclear_amount_is_refused_with_an_example_never_guessed(
    language: str, text: str
) -> None:
    with pytest.raises(InvalidRequestError, match=r"12[.,]34"):
        tongue(language).read_amount(text, "EUR")
