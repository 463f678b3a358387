"""The languages of the tenants' page and letters: words, amounts, dates, and amounts read back.

English is what the texts are written in. Every other language is one file, `locale/<language>.po`.
"""

import io
import re
from decimal import Decimal
from functools import cache
from gettext import GNUTranslations, NullTranslations
from importlib import resources
from typing import NamedTuple

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import (
    NumberFormatError,
    format_decimal,
    format_percent,
    parse_decimal,
    parse_pattern,
)

from bridge.domain.errors import InvalidRequestError
from bridge.domain.money import exponent, format_amount, parse_amount

ENGLISH = "en"

_CATALOGS = resources.files("bridge.tongue") / "locale"

# Babel reads "1e3" as a thousand; tenants who type that mean something else.
_WRITTEN = re.compile("[0-9][0-9.,'\u2019 \u00a0\u202f]{0,20}")
_LETTER_BEFORE_DIGIT = re.compile("(?<=[A-Za-z])(?=[0-9])")


class Tongue(NamedTuple):
    """A language: how it says things and writes numbers."""

    locale: Locale
    catalog: NullTranslations

    def say(self, text: str, **values: object) -> str:
        """Return an English text in this language, `%(name)s` replaced by values."""
        return self.catalog.gettext(text) % values

    def money(self, minor: int, currency: str) -> str:
        """Write an amount of minor units."""
        return money(minor, currency, self.locale)

    def percent(self, basis_points: int) -> str:
        """Write hundredths of a percent as percent."""
        share = Decimal(basis_points) / 10_000
        return format_percent(share, locale=self.locale, decimal_quantization=False)

    def read_amount(self, text: str, currency: str) -> int:
        """Read what a tenant typed, as minor units; InvalidRequestError where that is unclear."""
        text = text.strip()
        try:
            if not _WRITTEN.fullmatch(text):
                raise InvalidRequestError("the amount is not written in digits")  # noqa: TRY301
            number = parse_decimal(text, locale=self.locale, strict=True)
            return parse_amount(format(number, "f"), currency)
        except (NumberFormatError, InvalidRequestError):
            pattern = f"0.{'0' * exponent(currency)}"
            example = format_decimal(Decimal("12.34"), format=pattern, locale=self.locale)
            advice = self.say("Please write the amount like this: %(example)s.", example=example)
            raise InvalidRequestError(advice) from None


@cache
def tongue(language: str) -> Tongue:
    """Return the language of one of `languages()`; its file is compiled when first asked for."""
    locale = Locale.parse(language)
    if language == ENGLISH:
        return Tongue(locale, NullTranslations())
    compiled = io.BytesIO()
    with (_CATALOGS / f"{language}.po").open("rb") as text:
        write_mo(compiled, read_po(text, locale=language))
    compiled.seek(0)
    return Tongue(locale, GNUTranslations(compiled))


@cache
def languages() -> tuple[str, ...]:
    """Return the languages there are, e.g. ("de", "en")."""
    files = (path.name for path in _CATALOGS.iterdir())
    return (*sorted(name[:-3] for name in files if name.endswith(".po")), ENGLISH)


def preferred(accept_language: str, default: str) -> str:
    """Return the language a browser asks for (RFC 9110, section 12.5.4), else the default."""
    wanted: list[tuple[float, str]] = []
    for part in accept_language.split(","):
        name, _, quality = part.strip().partition(";q=")
        weight = float(quality) if re.fullmatch(r"[01](\.[0-9]{1,3})?", quality) else 1.0
        wanted.append((-weight, name.split("-")[0].lower()))
    known = (name for weight, name in sorted(wanted, key=lambda w: w[0]) if weight)
    return next((name for name in known if name in languages()), default)


def money(minor: int, currency: str, locale: Locale) -> str:
    """Write an amount of minor units as people of the locale do, with ISO 4217's decimals.

    CLDR shows fewer decimals for some currencies than they have, which would hide money.
    """
    pattern = parse_pattern(locale.currency_formats["standard"].pattern)
    decimals = exponent(currency)
    pattern.frac_prec = (decimals, decimals)
    amount = Decimal(format_amount(minor, currency))
    text: str = pattern.apply(amount, locale, currency=currency, currency_digits=False)
    # CLDR's currencySpacing, which Babel leaves out: KWD 1.234, but €1.23.
    return _LETTER_BEFORE_DIGIT.sub("\u00a0", text)
