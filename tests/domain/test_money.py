import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.domain.money import (
    AMOUNT_MAX,
    AmountPrecisionError,
    AmountUnreadableError,
    UnknownCurrencyError,
    exponent,
    format_amount,
    is_currency,
    parse_amount,
)

CURRENCIES = ["EUR", "USD", "JPY", "KRW", "KWD", "BHD", "CLF", "UYW"]


# CLDR shows HUF, IDR, TWD, COP, LBP, IRR and MMK without decimals; ISO 4217 gives them two.
BY_DECIMALS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: "EUR USD GBP CHF SEK PLN INR BRL TRY XCG ZWG HUF IDR TWD COP LBP IRR MMK MGA MRU",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}


@pytest.mark.parametrize(
    ("currency", "decimals"),
    [(code, decimals) for decimals, codes in BY_DECIMALS.items() for code in codes.split()],
)
def test_a_currency_has_the_decimals_of_iso_4217(currency: str, decimals: int) -> None:
    assert exponent(currency) == decimals
    assert is_currency(currency)


@pytest.mark.parametrize("code", ["", "eur", "EURO", "BTC", "XAU", "XXX", "€", "EUR\n", "\u0415UR"])
def test_what_has_no_minor_units_in_iso_4217_is_no_currency(code: str) -> None:
    assert not is_currency(code)
    with pytest.raises(UnknownCurrencyError, match="three capital letters such as EUR"):
        parse_amount("1.00", code)


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("50.00", "EUR", 5000),
        ("50", "EUR", 5000),
        ("50.5", "EUR", 5050),
        ("0.01", "EUR", 1),
        ("-10.00", "EUR", -1000),
        ("-0.00", "EUR", 0),
        ("007.00", "EUR", 700),
        ("1.2300", "EUR", 123),
        ("17.990000", "EUR", 1799),
        ("5000", "JPY", 5000),
        ("5000.00", "JPY", 5000),
        ("12.35", "KWD", 12350),
        ("12.345", "KWD", 12345),
        ("1.0001", "CLF", 10001),
        ("92233720368547758.07", "EUR", AMOUNT_MAX),
        ("-92233720368547758.07", "EUR", -AMOUNT_MAX),
        ("9223372036854775807", "JPY", AMOUNT_MAX),
    ],
)
def test_an_amount_is_read_as_minor_units(text: str, currency: str, minor: int) -> None:
    assert parse_amount(text, currency) == minor


@pytest.mark.parametrize(
    ("text", "currency"),
    [("5000.40", "JPY"), ("1.001", "EUR"), ("12.3456", "KWD"), ("0.00001", "CLF")],
)
def test_more_decimals_than_the_currency_has_are_refused_and_not_rounded(
    text: str, currency: str
) -> None:
    with pytest.raises(AmountPrecisionError, match=f"{text} has more decimals than {currency}"):
        parse_amount(text, currency)


@pytest.mark.parametrize(
    "text",
    [
        *["", " ", "abc", "1e3", "1E3", "NaN", "nan", "Infinity", "-inf", "0x10", "1_000"],
        *["1,23", "1.234,56", "1,234.56", "+1", "--1", "-", ".", "-.5", ".5", "5.", "1.2.3"],
        *[" 1.00", "1.00 ", "1.00\n", "\n1.00", "1.00\x00", "1 000.00", "1\u00a0000.00"],
        *[
            "\u0661\u0662.\u0665\u0660",
            "१२.५०",
            "\uff11\uff12.\uff15\uff10",
            "1²",
            "\u22121.00",
            "€1.00",
            "1.00 EUR",
            "(1.00)",
        ],
        *["9" * 20, "1." + "0" * 20, "9" * 5000, "92233720368547758.08"],
        *[None, True, 1, 1.5, ["1.00"], {"amount": "1.00"}, b"1.00"],
    ],
    ids=ascii,
)
def test_anything_but_a_plain_ascii_decimal_is_unreadable(text: object) -> None:
    with pytest.raises(AmountUnreadableError):
        parse_amount(text, "EUR")


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (0, "EUR", "0.00"),
        (5, "EUR", "0.05"),
        (-5, "EUR", "-0.05"),
        (123456, "EUR", "1234.56"),
        (0, "JPY", "0"),
        (-5000, "JPY", "-5000"),
        (7, "KWD", "0.007"),
        (10001, "CLF", "1.0001"),
    ],
)
def test_minor_units_are_written_as_plain_decimals(minor: int, currency: str, text: str) -> None:
    assert format_amount(minor, currency) == text


@given(st.integers(-AMOUNT_MAX, AMOUNT_MAX), st.sampled_from(CURRENCIES))
def test_what_is_written_reads_back_as_the_same_amount(minor: int, currency: str) -> None:
    assert parse_amount(format_amount(minor, currency), currency) == minor


@given(st.text(alphabet="0123456789.,-+eE \n\u0663", max_size=12), st.sampled_from(CURRENCIES))
def test_whatever_is_read_was_written_so_but_for_zeros_at_its_ends(
    text: str, currency: str
) -> None:
    try:
        minor = parse_amount(text, currency)
    except (AmountUnreadableError, AmountPrecisionError):
        return
    whole, _, fraction = text.lstrip("-").partition(".")
    plain = f"{whole.lstrip('0') or '0'}.{fraction.rstrip('0')}"
    written_whole, _, written_fraction = format_amount(abs(minor), currency).partition(".")
    assert plain == f"{written_whole}.{written_fraction.rstrip('0')}"
    assert (minor < 0) == (text.startswith("-") and minor != 0)
