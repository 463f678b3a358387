"""How the parts are put together from what the configuration says."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.api.services import Services
from bridge.config import load
from bridge.domain.clock import DAY, Instant, parse
from bridge.domain.errors import ConfigurationError, NotFoundError
from bridge.domain.offer import read_offer
from bridge.domain.signing import derived
from bridge.sandbox import Sandbox
from bridge.wiring import Wiring
from tests.installation import DEPOSITS, SIGNING_KEY, WEBHOOK_SECRET, Installation, installed

PAGE = '[portal]\npublic_url = "https://billing.example.com"\nlogo_file = "logo.svg"\n'
NEW, OLD = f"whsec_{'bmV3' * 8}", f"whsec_{'b2xk' * 8}"
NOON = parse("2026-11-22T12:00:00Z")


@pytest.fixture
def installation(tmp_path: Path, migrated_sqlite: Path) -> Iterator[Installation]:
    shutil.copy(migrated_sqlite, tmp_path / "bridge.db")
    with Sandbox() as sandbox:
        yield installed(tmp_path, sandbox)


def wired(installation: Installation) -> Wiring:
    return Wiring(load(installation.config), clock=lambda: NOON)


def services_of(wiring: Wiring) -> Services:
    return wiring.services(reconcile=lambda _: "run_1", nudge=lambda _: None, ready=list)


@pytest.mark.parametrize(
    ("setting", "begins"),
    [
        ("", NOON - 35 * DAY),
        ("sweep_window_days = 7", NOON - 7 * DAY),
        ("import_from = 2026-11-01", parse("2026-11-01")),
    ],
)
def test_the_first_poll_begins_where_told_or_as_far_back_as_the_sweep_looks(
    installation: Installation, setting: str, begins: Instant
) -> None:
    installation.edit("[[storefronts]]", f"[[storefronts]]\n{setting}")
    assert wired(installation).source("main").import_from == begins


def test_a_storefront_is_known_by_its_name_alone(installation: Installation) -> None:
    wiring = wired(installation)
    assert wiring.source("main") is wiring.source("main")
    with pytest.raises(NotFoundError, match="there are: main"):
        wiring.source("moon")


def test_unknown_tenants_are_created_or_held_as_each_storefront_says(
    installation: Installation,
) -> None:
    assert wired(installation).source("main").policy.create_tenants
    with installation.config.open("a") as config:
        config.write('[storefronts.crediting]\nunknown_tenants = "hold"\n')
    assert not wired(installation).source("main").policy.create_tenants


def test_the_api_is_given_the_webhook_secrets_and_nobody_a_repr_of_keys(
    installation: Installation,
) -> None:
    wiring = wired(installation)
    services = services_of(wiring)
    assert services.storefronts["main"].webhook_secrets == (WEBHOOK_SECRET,)
    assert "ck_" not in repr(wiring.source("main")) + repr(wiring.config)


def test_without_their_settings_there_are_neither_deposits_nor_a_page(
    installation: Installation,
) -> None:
    services = services_of(wired(installation))
    assert (services.deposits, services.portal) == (None, None)


@pytest.fixture
def depositing(installation: Installation) -> Installation:
    """With deposits, and with a page that has a logo."""
    installation.edit("[[storefronts]]", f"{DEPOSITS}{PAGE}[[storefronts]]")
    (installation.directory / "logo.svg").write_text("<svg/>")
    return installation


def test_deposits_are_taken_as_configured_under_keys_of_their_own(
    depositing: Installation,
) -> None:
    wiring = wired(depositing)
    services = services_of(wiring)
    assert services.deposits is not None
    assert services.deposits.limits("EUR", "main").bonus(10_000) == 500
    assert set(services.deposits.plans) == {"pro"}
    tags = derived([SIGNING_KEY], "deposit-tag/main")
    assert services.storefronts["main"].rules.deposit_keys == tags
    assert wiring.source("main").policy.rules.deposit_keys == tags


def test_the_page_looks_as_configured(depositing: Installation) -> None:
    portal = services_of(wired(depositing)).portal
    assert portal is not None
    assert (portal.public_url, portal.currencies) == ("https://billing.example.com", ("EUR",))
    assert (portal.logo, portal.logo_type) == (b"<svg/>", "image/svg+xml")
    assert len({portal.link_keys, portal.cookie_keys, portal.form_keys}) == 3


def test_deposits_and_crediting_share_a_storefronts_client(installation: Installation) -> None:
    wiring = wired(installation)
    assert wiring.client(wiring.storefront("main")) is wiring.source("main").client


def test_a_missing_secret_says_which_file_to_write(installation: Installation) -> None:
    (installation.directory / "secret").unlink()
    with pytest.raises(ConfigurationError, match="'secret' cannot be read"):
        wired(installation).source("main")


ENDPOINT = """
[[events.endpoints]]
name = "core"
url = "https://core.example.com/events"
secret_file = ["new", "old"]
types = ["renewal.*"]
workers = 2
"""
EMAIL = """
[email]
host = "smtp.example.com"
username = "bridge"
password_file = "smtp"
sender = "billing@example.com"
operators = ["ops@example.com"]
"""


@pytest.fixture
def telling(installation: Installation) -> Installation:
    """With an endpoint whose secret is being changed, and with letters to all."""
    with installation.config.open("a") as config:
        config.write(ENDPOINT + EMAIL)
    for name, secret in (("new", NEW), ("old", OLD), ("smtp", "a password")):
        path = installation.directory / name
        path.touch(mode=0o600)
        path.write_text(f"{secret}\n")
    return installation


def test_nobody_is_told_of_events_unless_said(installation: Installation) -> None:
    wiring = wired(installation)
    assert (wiring.subscribers, list(wiring.senders())) == ([], [])


def test_endpoints_are_told_what_they_want_and_people_what_letters_are_for(
    telling: Installation,
) -> None:
    wiring = wired(telling)
    told = services_of(wiring).subscribers
    assert list(told) == ["core", "email:tenants", "email:operators"]
    assert all(one.startswith("renewal.") for one in told["core"])
    assert "balance.low" in told["email:tenants"]
    assert "order.held" in told["email:operators"]
    threads = {name: threads for name, _, threads in wiring.senders()}
    assert threads == {"core": 2, "email:tenants": 1, "email:operators": 1}


def test_letters_go_to_whom_they_may(telling: Installation) -> None:
    telling.edit('operators = ["ops@example.com"]', "tenants = false")
    assert [name for name, _, _ in wired(telling).senders()] == ["core"]


def test_senders_read_the_secrets_and_subscribers_do_not(telling: Installation) -> None:
    (telling.directory / "old").unlink()
    wiring = wired(telling)
    assert wiring.subscribers
    with pytest.raises(ConfigurationError, match="'old' cannot be read"):
        list(wiring.senders())


def test_offers_lead_to_the_page_where_deposits_are_taken(depositing: Installation) -> None:
    wiring = wired(depositing)
    link = wiring.offers.link("acme", 1900, "EUR", NOON)
    assert link.startswith("https://billing.example.com/billing/offer?link=")
    assert wiring.offers.link("acme", 1900, "JPY", NOON) == ""
    keys = services_of(wiring).offer_keys
    offer = read_offer(keys, link.partition("link=")[2], NOON)
    assert offer == ("acme", 1900, "EUR", NOON + 14 * DAY)
    assert read_offer(derived([SIGNING_KEY], "portal-link"), link, NOON) is None


def test_renewals_are_made_as_configured(installation: Installation) -> None:
    wiring = wired(installation)
    assert services_of(wiring).renewals is wiring.renewals
    assert wiring.renewals.run(lambda: False) == {}
