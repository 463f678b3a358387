"""The settings of deposits that bridge starts, and of the tenants' page."""

import re
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from bridge.config.fields import (
    Amount,
    ConnectionsMax,
    Currency,
    Listen,
    ListenAt,
    PublicUrl,
    SecretFiles,
    Section,
    Zone,
)
from bridge.domain import deposit
from bridge.domain.clock import SECOND
from bridge.domain.deposit import Limits, Mode, Terms, Tier

PAGE_LIGHT, PAGE_DARK = "#f6f5f2", "#17181b"
"""The page's background in light and in dark; what stands on it must be readable."""

CONTRAST_MIN = 4.5
"""WCAG 2.2, 1.4.3 (AA): the least contrast of text with its background."""


LOGO_TYPES = {
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
}
"""The kinds of logo, by the end of the file's name."""


class Signing(Section):
    """[signing]: the key that signs deposits and the links to the tenants' page."""

    key_file: SecretFiles = ()


class BonusTier(Section):
    """[[deposits.currencies.bonus]]: what deposits from an amount on bring on top."""

    at_least: Amount = Field(examples=[10_000])
    percent: Annotated[Decimal, Field(gt=0, le=100, decimal_places=2)] = Field(examples=[5])

    def tier(self) -> Tier:
        """As the domain has it, in basis points."""
        return Tier(self.at_least, int(self.percent * 100))


class DepositCurrency(Section):
    """[[deposits.currencies]]: what may be deposited in one currency, in minor units."""

    currency: Currency = Field(examples=["EUR"])
    minimum: Amount = Field(examples=[500])
    maximum: Amount = Field(examples=[1_000_000])
    step: Amount = 1
    presets: tuple[Amount, ...] = ()
    balance_max: Amount | None = None
    bonus: tuple[BonusTier, ...] = ()

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        limits = self.limits()
        if limits.smallest(limits.minimum) is None:
            raise ValueError(
                f"has no amount between minimum {self.minimum} and maximum {self.maximum} that is "
                f"a multiple of step {self.step}; write a larger maximum or a smaller step"
            )
        for preset in self.presets:
            if limits.smallest(preset) != preset:
                raise ValueError(
                    f"offers {preset} in presets, which cannot be deposited; keep presets between "
                    "minimum and maximum, and multiples of step"
                )
        return self

    def limits(self) -> Limits:
        """As the domain has it."""
        return Limits(
            self.currency,
            self.minimum,
            self.maximum,
            self.step,
            self.presets,
            self.balance_max,
            tuple(tier.tier() for tier in self.bonus),
        )


def _each_once(value: tuple[DepositCurrency, ...]) -> tuple[DepositCurrency, ...]:
    for code, times in Counter(one.currency for one in value).items():
        if times > 1:
            raise ValueError(f"has {code} {times} times; write one table for each currency")
    return value


class Deposits(Section):
    """[deposits], and [storefronts.deposits] over it."""

    mode: Mode = Mode.PAY
    expires_in_s: int = Field(default=86_400, ge=600, le=30 * 86_400)
    currencies: Annotated[tuple[DepositCurrency, ...], AfterValidator(_each_once)] = ()

    def terms(self) -> Terms:
        """As the domain has it."""
        limits = {one.currency: one.limits() for one in self.currencies}
        return Terms(self.mode, self.expires_in_s * SECOND, limits)


class Plan(Section):
    """[[plans]]: a plan of the price list."""

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", examples=["pro"])
    name: str = Field(min_length=1, max_length=100, examples=["Pro"])
    price: Amount = Field(examples=[1900])
    currency: Currency = Field(examples=["EUR"])
    interval: Literal["day", "week", "month", "year"] = "month"

    def plan(self) -> deposit.Plan:
        """As the domain has it."""
        return deposit.Plan(self.id, self.name, self.price, self.currency, self.interval)


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours such as #5b3a8c, 1 to 21, as WCAG 2.2 defines it."""
    darker, lighter = sorted(map(_luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    shares = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    red, green, blue = (
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _readable(value: str, background: str) -> str:
    if not re.fullmatch("#[0-9A-Fa-f]{6}", value):
        raise ValueError("is no colour; write six hexadecimal digits such as #5b3a8c")
    if (found := contrast(value, background)) < CONTRAST_MIN:
        raise ValueError(
            f"cannot be read on the page's {background} (contrast {found:.1f}, needed are "
            f"{CONTRAST_MIN}); write a {'darker' if background == PAGE_LIGHT else 'lighter'} one"
        )
    return value


class Portal(Section):
    """[portal]: the tenants' page."""

    listen: ListenAt = Listen("127.0.0.1", 8852)
    connections_max: ConnectionsMax = 1000
    public_url: PublicUrl | None = None
    name: str = Field(default="Billing", min_length=1, max_length=60)
    logo_file: Path | None = None
    accent: Annotated[str, AfterValidator(lambda value: _readable(value, PAGE_LIGHT))] = "#5b3a8c"
    accent_dark: Annotated[str, AfterValidator(lambda value: _readable(value, PAGE_DARK))] = (
        "#b99cf0"
    )
    language: Literal["en", "de"] = "en"
    timezone: Zone = Field(default="UTC", validate_default=True)
    link_expires_in_s: int = Field(default=300, ge=30, le=86_400)
    session_expires_in_s: int = Field(default=3600, ge=300, le=86_400)
