"""What an operator says about deposits and the tenants' page."""

from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bridge.config.deposits import contrast
from bridge.domain.clock import DAY, SECOND
from bridge.domain.deposit import Limits, Mode, Plan, Terms, Tier
from bridge.tongue import languages
from tests.config.test_loading import DATABASE, STOREFRONT, loaded, mistakes

SIGNING = '[signing]\nkey_file = "signing_key"\n'
EUR = '[[deposits.currencies]]\ncurrency = "EUR"\nminimum = 500\nmaximum = 100000\n'
PUBLIC = 'public_url = "https://billing.example.com"'
PAGE = f"[portal]\n{PUBLIC}\n"
PLAN = '[[plans]]\nid = "pro"\nname = "Pro"\nprice = 1900\ncurrency = "EUR"\n'


def test_nothing_is_deposited_and_no_page_shown_unless_said(tmp_path: Path) -> None:
    config = loaded(tmp_path, DATABASE + STOREFRONT)
    assert config.storefronts[0].deposits.terms() == Terms(Mode.PAY, DAY, {})
    assert config.portal.public_url is None
    assert str(config.portal.listen) == "127.0.0.1:8852"
    assert config.portal.timezone is UTC


def test_what_may_be_deposited_is_said_by_currency(tmp_path: Path) -> None:
    more = (
        "step = 100\npresets = [1000]\nbalance_max = 200000\n"
        "bonus = [{ at_least = 10000, percent = 5 }, { at_least = 50000, percent = 7.25 }]\n"
    )
    config = loaded(tmp_path, DATABASE + SIGNING + EUR + more + PLAN + STOREFRONT)
    tiers = (Tier(10_000, 500), Tier(50_000, 725))
    assert config.storefronts[0].deposits.terms().limits == {
        "EUR": Limits("EUR", 500, 100_000, 100, (1000,), 200_000, tiers)
    }
    assert [one.plan() for one in config.plans] == [Plan("pro", "Pro", 1900, "EUR", "month")]


def test_a_storefronts_deposits_lie_over_the_global_ones(tmp_path: Path) -> None:
    own = '[storefronts.deposits]\nmode = "checkout"\nexpires_in_s = 3600\n'
    config = loaded(tmp_path, DATABASE + SIGNING + EUR + STOREFRONT + own)
    terms = config.storefronts[0].deposits.terms()
    assert (terms.mode, terms.expires_in, set(terms.limits)) == (
        Mode.CHECKOUT,
        3600 * SECOND,
        {"EUR"},
    )
    assert config.deposits.mode is Mode.PAY


def test_a_list_of_currencies_replaces_the_global_one(tmp_path: Path) -> None:
    own = EUR.replace("deposits", "storefronts.deposits").replace("EUR", "USD")
    config = loaded(tmp_path, DATABASE + SIGNING + EUR + STOREFRONT + own)
    assert set(config.storefronts[0].deposits.terms().limits) == {"USD"}


@pytest.mark.parametrize(
    ("text", "place", "advice"),
    [
        (EUR, "signing.key_file", "openssl rand -hex 32"),
        (PAGE, "signing.key_file", "openssl rand -hex 32"),
        (SIGNING + EUR.replace("100000", "400"), "deposits.currencies[0]", "larger maximum"),
        (SIGNING + EUR + "step = 100001\n", "deposits.currencies[0]", "smaller step"),
        (SIGNING + EUR + "presets = [1]\n", "deposits.currencies[0]", "offers 1 in presets"),
        (SIGNING + EUR + EUR, "deposits.currencies", "has EUR 2 times"),
        (SIGNING + EUR.replace("EUR", "EURO"), "deposits.currencies[0].currency", "ISO 4217"),
        (
            SIGNING + EUR + "bonus = [{ at_least = 1, percent = 0.125 }]\n",
            "deposits.currencies[0].bonus[0].percent",
            "2 decimal places",
        ),
        (SIGNING + '[deposits]\nmode = "mail"\n' + EUR, "deposits.mode", "'pay'"),
        (PLAN, "plans[0].currency", "[[deposits.currencies]]"),
        (SIGNING + EUR + PLAN + PLAN, "plans[0].id", "is used 2 times"),
    ],
)
def test_mistakes_about_deposits_are_named_with_their_place(
    tmp_path: Path, text: str, place: str, advice: str
) -> None:
    said = mistakes(tmp_path, DATABASE + text)
    assert said[0].startswith(f"{place}: ")
    assert advice in said[0]


@pytest.mark.parametrize(
    ("setting", "advice"),
    [
        ('public_url = "https://example.com/billing"', "scheme and host only"),
        ('public_url = "billing.example.com"', "scheme and host only"),
        ('public_url = "http://billing.example.com"', "not safe for cookies"),
        ('accent = "#bbbbbb"', "write a darker one"),
        ('accent_dark = "#222222"', "write a lighter one"),
        ('accent = "red"', "six hexadecimal digits"),
        ('language = "xx"', "'en' or 'de'"),
        ('timezone = "Mars/Olympus"', "Europe/Berlin"),
        ('logo_file = "logo.gif"', "is no picture"),
        ('logo_file = "missing.png"', "is no file"),
        ('logo_file = "large.png"', "larger than 256 KiB"),
        (f'listen = "127.0.0.1:8851"\n{PUBLIC}', "is the address of [webhooks] too"),
    ],
)
def test_mistakes_about_the_page_are_named_with_their_place(
    tmp_path: Path, setting: str, advice: str
) -> None:
    (tmp_path / "large.png").write_bytes(bytes(2**18 + 1))
    [said] = mistakes(tmp_path, f"{DATABASE}{SIGNING}[portal]\n{setting}\n")
    assert said.startswith(f"portal.{setting.partition(' ')[0]}: ")
    assert advice in said


def test_the_page_is_configured(tmp_path: Path) -> None:
    (tmp_path / "logo.svg").write_text("<svg/>")
    said = 'logo_file = "logo.svg"\ntimezone = "Europe/Berlin"\naccent = "#004488"\n'
    portal = loaded(tmp_path, DATABASE + SIGNING + PAGE + said).portal
    assert portal.public_url == "https://billing.example.com"
    assert (portal.timezone, portal.accent) == (ZoneInfo("Europe/Berlin"), "#004488")
    here = loaded(
        tmp_path, DATABASE + SIGNING + '[portal]\npublic_url = "http://127.0.0.1:8852/"\n'
    )
    assert here.portal.public_url == "http://127.0.0.1:8852"


def test_where_no_page_is_shown_its_address_is_free_for_others(tmp_path: Path) -> None:
    config = loaded(tmp_path, f'{DATABASE}[webhooks]\nlisten = "127.0.0.1:8852"\n')
    assert config.webhooks.listen.port == 8852


def test_the_page_speaks_every_language_there_is(tmp_path: Path) -> None:
    for language in languages():
        said = f'{DATABASE}[portal]\nlanguage = "{language}"\n'
        assert loaded(tmp_path, said).portal.language == language


def test_a_signing_key_is_long_and_closed_to_others(tmp_path: Path) -> None:
    key = tmp_path / "signing_key"
    key.touch(mode=0o600)
    key.write_text("x" * 31)
    [said] = mistakes(tmp_path, DATABASE + SIGNING + EUR, with_secrets=True)
    assert said.startswith("signing.key_file: 'signing_key' is shorter than 32 characters")
    assert "xxx" not in said
    key.write_text("x" * 32)
    key.chmod(0o644)
    [said] = mistakes(tmp_path, DATABASE + SIGNING + EUR, with_secrets=True)
    assert "is open to others" in said


def test_contrast_is_that_of_wcag() -> None:
    """The two ends, and a grey that WCAG's own understanding documents call just enough."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#123456", "#123456") == 1
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)
