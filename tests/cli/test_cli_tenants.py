"""Commands about a tenant's money."""

import csv
import io

import pytest

from tests.cli.terminal import Said, Terminal

ADJUSTED = ("EUR", "--reason", "goodwill", "--actor", "kim")


def adjust(terminal: Terminal, amount: str, *more: str) -> Said:
    return terminal.type("adjust", "acme", amount, *(more or ADJUSTED))


def test_a_balance_is_shown_for_people_and_for_programs(terminal: Terminal) -> None:
    adjust(terminal, "123456")
    shown = terminal.type("balance", "acme")
    assert "€1,234.56" in shown.out
    [balance] = terminal.type("balance", "acme", "--json").json()["balances"]
    assert (balance["balance"], balance["held"], balance["available"]) == (123456, 0, 123456)


def test_who_does_not_exist_has_no_balance(terminal: Terminal) -> None:
    said = terminal.type("balance", "nobody")
    assert (said.status, said.out) == (1, "")
    assert said.err.startswith("error: no tenant 'nobody'")


@pytest.mark.parametrize(
    ("currency", "minor", "shown"),
    [("JPY", "5000", "¥5,000"), ("KWD", "12345", "12.345"), ("HUF", "150", "1.50")],
)
def test_amounts_have_the_decimals_of_iso_4217_whatever_displays_show(
    terminal: Terminal, currency: str, minor: str, shown: str
) -> None:
    adjust(terminal, minor, currency, *ADJUSTED[1:])
    assert shown in terminal.type("balance", "acme").out


@pytest.mark.parametrize(
    ("locale", "shown"),
    [("de_DE.UTF-8", "1.234,56"), ("C.UTF-8", "€1,234.56"), ("xx", "€1,234.56")],
)
def test_amounts_are_written_as_people_there_do(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, locale: str, shown: str
) -> None:
    adjust(terminal, "123456")
    monkeypatch.setenv("LC_MONETARY", locale)
    assert shown in terminal.type("balance", "acme").out


def test_a_statement_in_csv_has_plain_decimals_and_minor_units(terminal: Terminal) -> None:
    adjust(terminal, "123456")
    adjust(terminal, "-50")
    text = terminal.type("statement", "acme", "--format", "csv").out
    first, second = csv.DictReader(io.StringIO(text))
    assert (first["amount"], first["amount_minor"]) == ("1234.56", "123456")
    assert (second["amount"], second["balance_after"]) == ("-0.50", "1234.06")
    assert (second["description"], second["source"]) == ("goodwill", "admin/kim")


def test_a_statement_has_every_wallet_or_the_one_named(terminal: Terminal) -> None:
    adjust(terminal, "100")
    adjust(terminal, "200", "USD", *ADJUSTED[1:])
    both = terminal.type("statement", "acme", "--json").json()
    assert [entry["id"] for entry in both["data"]] == ["acme.EUR.1", "acme.USD.1"]
    only = terminal.type("statement", "acme", "--currency", "USD", "--format", "json").json()
    assert [entry["amount"] for entry in only["data"]] == [200]
    assert "goodwill" in terminal.type("statement", "acme").out


def test_a_statement_in_a_currency_that_does_not_exist_is_refused(terminal: Terminal) -> None:
    adjust(terminal, "100")
    said = terminal.type("statement", "acme", "--currency", "eur")
    assert (said.status, said.out) == (2, "")
    assert "use three capital letters such as EUR" in said.err


def test_an_adjustment_may_be_negative_and_leave_a_debt(terminal: Terminal) -> None:
    said = adjust(terminal, "-500")
    assert (said.status, said.out) == (0, "acme.EUR.1: -€5.00, the balance is -€5.00\n")
    entry = terminal.type("--json", "adjust", "acme", "+200", *ADJUSTED).json()
    assert (entry["amount"], entry["balance_after"], entry["contra"]) == (200, -300, "adjustments")


@pytest.mark.parametrize(
    ("amount", "advice"),
    [
        ("10.00", "for 10.00 EUR write 1000"),
        ("-0.5", "for -0.5 EUR write -50"),
        ("1e3", "10.00 EUR is 1000"),
        ("0", "10.00 EUR is 1000"),
        ("0.00", "10.00 EUR is 1000"),
        ("9223372036854775808", "is not a whole number of minor units"),
        ("\N{ARABIC-INDIC DIGIT ONE}", "10.00 EUR is 1000"),
    ],
)
def test_an_amount_that_is_no_minor_units_is_refused_with_the_number_to_write(
    terminal: Terminal, amount: str, advice: str
) -> None:
    said = adjust(terminal, amount)
    assert (said.status, said.out) == (2, "")
    assert advice in said.err


@pytest.mark.parametrize(
    "words",
    [
        ("adjust", "acme", "100", "EURO", "--reason", "why", "--actor", "kim"),
        ("adjust", "a b", "100", "EUR", "--reason", "why", "--actor", "kim"),
        ("adjust", "acme", "100", "EUR", "--reason", " ", "--actor", "kim"),
        ("adjust", "acme", "100", "EUR", "--reason", "why"),
        ("adjust", "acme", "100", "EUR", "--reason", "why", "--actor", "kim", "--sure"),
    ],
)
def test_an_adjustment_that_says_too_little_or_nonsense_changes_nothing(
    terminal: Terminal, words: tuple[str, ...]
) -> None:
    assert terminal.type(*words).status == 2
    assert terminal.type("verify", "--json").json()["entries"] == 0


def test_an_adjustment_with_a_key_is_made_once(terminal: Terminal) -> None:
    keyed = (*ADJUSTED, "--key", "ticket-7")
    assert adjust(terminal, "100", *keyed).status == 0
    again = adjust(terminal, "100", *keyed)
    assert again.status == 0
    assert "nothing was posted now" in again.err
    other = adjust(terminal, "200", *keyed)
    assert other.status == 1
    assert "(idempotency_key_reused): this Idempotency-Key belongs to a request with" in other.err


def test_where_unknown_tenants_are_held_an_adjustment_makes_none(terminal: Terminal) -> None:
    terminal.installation.edit("[database]", '[crediting]\nunknown_tenants = "hold"\n[database]')
    said = adjust(terminal, "100")
    assert said.status == 1
    assert said.err.startswith(
        "error: nothing was posted (tenant_not_found): no such tenant; it is"
    )
