"""Money: a signed integer of minor units and an ISO 4217 code. Nothing here rounds or converts."""

import re

from bridge.domain.errors import InvalidRequestError

AMOUNT_MAX = 2**63 - 1
"""The largest amount and balance, in minor units: what a BIGINT holds."""

_BY_DECIMALS = {
    2: """
        AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN
        BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB
        EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS
        KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN
        MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD
        SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS
        UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG
    """,
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_EXPONENTS = {code: n for n, codes in _BY_DECIMALS.items() for code in codes.split()}

_DECIMAL = re.compile(r"(-?)([0-9]{1,19})(?:\.([0-9]{1,19}))?", re.ASCII)


class UnknownCurrencyError(InvalidRequestError):
    """The code is not an ISO 4217 currency with minor units."""

    code = "unknown_currency"


class AmountUnreadableError(InvalidRequestError):
    """The text is not a plain decimal amount."""

    code = "amount_unreadable"


class AmountPrecisionError(InvalidRequestError):
    """The amount has more decimals than its currency; it is refused, never rounded."""

    code = "amount_precision"


def exponent(currency: str) -> int:
    """Return how many decimals a currency has, by ISO 4217 and not by what displays show."""
    try:
        return _EXPONENTS[currency]
    except KeyError:
        raise UnknownCurrencyError(
            f"{currency!r} is not an ISO 4217 currency code; use three capital letters such as EUR"
        ) from None


def is_currency(currency: str) -> bool:
    """Tell whether the code is one that `exponent` knows."""
    return currency in _EXPONENTS


def parse_amount(text: object, currency: str) -> int:
    """Read a storefront's decimal text, such as "12.50", as minor units of the currency.

    Only ASCII digits, one point and a leading minus are read; zeros beyond the currency's decimals
    are dropped ("5000.00" in JPY, as a two-decimals storefront writes it), other digits there raise
    AmountPrecisionError. Raises AmountUnreadableError and UnknownCurrencyError too.
    """
    decimals = exponent(currency)
    match = _DECIMAL.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise AmountUnreadableError(f"{text!r} is not a decimal amount such as 12.50")
    sign, whole, fraction = match.groups("")
    if fraction[decimals:].strip("0"):
        raise AmountPrecisionError(
            f"{text} has more decimals than {currency}, which has {decimals}"
        )
    minor = int(whole + fraction[:decimals].ljust(decimals, "0"))
    if minor > AMOUNT_MAX:
        raise AmountUnreadableError(f"{text} {currency} is larger than bridge can hold")
    return -minor if sign else minor


def format_amount(minor: int, currency: str) -> str:
    """Write minor units as plain decimal text such as "12.50", in no language."""
    decimals = exponent(currency)
    digits = str(abs(minor)).rjust(decimals + 1, "0")
    sign = "-" if minor < 0 else ""
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}" if decimals else f"{sign}{digits}"
