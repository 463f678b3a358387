"""What an operator says about renewals, events, alerts and letters."""

from pathlib import Path

import pytest

from bridge.config import Config
from bridge.domain.alert import Threshold
from bridge.domain.clock import DAY
from bridge.domain.event import EventType
from bridge.domain.renewal import Terms
from tests.config.test_loading import DATABASE, loaded, mistakes

ENDPOINT = """
[[events.endpoints]]
name = "core"
url = "https://core.example.com/events"
secret_file = "core_secret"
"""
EMAIL = '[email]\nhost = "smtp.example.com"\nsender = "Billing <billing@example.com>"\n'


def with_endpoint(directory: Path, *settings: str) -> Config:
    return loaded(directory, DATABASE + ENDPOINT + "\n".join(settings))


def test_nobody_is_told_and_no_letter_sent_unless_said(tmp_path: Path) -> None:
    config = loaded(tmp_path, DATABASE)
    assert config.events.endpoints == ()
    assert config.email.host is None
    assert config.events.kept_days == 90


def test_renewals_are_announced_a_week_before_and_waited_for_two(tmp_path: Path) -> None:
    assert loaded(tmp_path, DATABASE).renewals.terms() == Terms(7 * DAY, 14 * DAY)
    said = f"{DATABASE}[renewals]\nnotice_days = 0\ngrace_days = 1\n"
    assert loaded(tmp_path, said).renewals.terms() == Terms(0, DAY)


def test_an_endpoint_is_told_of_everything_unless_types_or_families_are_named(
    tmp_path: Path,
) -> None:
    [endpoint] = with_endpoint(tmp_path).events.endpoints
    assert (endpoint.wanted, endpoint.secret_file) == (frozenset(EventType), ("core_secret",))
    [endpoint] = with_endpoint(tmp_path, 'types = ["hold.*", "balance.low"]').events.endpoints
    assert endpoint.wanted == {
        "hold.placed",
        "hold.captured",
        "hold.voided",
        "hold.expired",
        "balance.low",
    }


def test_the_address_of_an_endpoint_is_kept_as_it_was_written(tmp_path: Path) -> None:
    """Its last slash and its query too: they are the receiver's."""
    said = "https://core.example.com/events/?to=billing"
    config = loaded(tmp_path, DATABASE + ENDPOINT.replace("https://core.example.com/events", said))
    assert config.events.endpoints[0].url == said


def test_plain_http_is_for_ones_own_network(tmp_path: Path) -> None:
    said = DATABASE + ENDPOINT.replace("https", "http")
    [mistake] = mistakes(tmp_path, said)
    assert mistake.startswith("events.endpoints[0].url: uses http")
    assert loaded(tmp_path, f"{said}allow_private = true").events.endpoints[0].allow_private


def test_a_low_balance_is_what_was_said_or_does_not_cover_the_next_renewal(
    tmp_path: Path,
) -> None:
    said = f"{DATABASE}[alerts]\nbelow = {{ EUR = 500, JPY = 90 }}\n"
    alerts = loaded(tmp_path, said).alerts
    assert alerts.thresholds() == {"EUR": Threshold(500, True), "JPY": Threshold(90, True)}
    assert (alerts.otherwise(), alerts.cooldown) == (Threshold(0, True), DAY)


def test_letters_need_a_server_and_somebody_who_writes(tmp_path: Path) -> None:
    email = loaded(tmp_path, f'{DATABASE}{EMAIL}operators = ["ops@example.com"]\n').email
    assert (email.port, email.tls, email.operators) == (587, "starttls", ("ops@example.com",))
    here = EMAIL.replace("smtp.example.com", "127.0.0.1") + 'tls = "none"\n'
    assert loaded(tmp_path, DATABASE + here).email.tls == "none"


@pytest.mark.parametrize(
    ("text", "place", "advice"),
    [
        (ENDPOINT + ENDPOINT, "events.endpoints[0].name", "every endpoint has its own name"),
        (ENDPOINT.replace("core", "email:core", 1), "events.endpoints[0].name", "such as core"),
        (ENDPOINT.replace("core.ex", "me@core.ex"), "events.endpoints[0].url", "plain address"),
        (
            ENDPOINT.replace('"core_secret"', "[]"),
            "events.endpoints[0].secret_file",
            "not be empty",
        ),
        (
            f'{ENDPOINT}types = ["wallet.debitted"]',
            "events.endpoints[0].types",
            "did you mean wallet.debited",
        ),
        (f'{ENDPOINT}types = "wallet.*"', "events.endpoints[0].types", 'types = ["renewal.*", '),
        (f'{ENDPOINT}types = ["*"]', "events.endpoints[0].types", "families: balance.*"),
        (ENDPOINT.replace("[[", "[").replace("]]", "]"), "events.endpoints", "two pairs"),
        ("[events]\nkept_days = 6\n", "events.kept_days", "7"),
        ("[alerts]\nbelow = { EURO = 1 }\n", "alerts.below.EURO.[key]", "ISO 4217"),
        ('[email]\nhost = "smtp.example.com"\n', "email", "sender"),
        (EMAIL.replace('"smtp.', '"smtps://smtp.'), "email.host", "such as smtp.example.com"),
        ('[email]\nhost = "smtp.example.com:587"\n', "email.host", "and its port as port"),
        (f'{EMAIL}tls = "none"\n', "email", "anybody on the way"),
        (f'{EMAIL}username = "bridge"\n', "email", "together"),
        ('[email]\noperators = ["ops@example.com"]\n', "email", "no host"),
        (f'{EMAIL}operators = "ops"', "email.operators", 'operators = ["ops@example.com"]'),
        (f'{EMAIL}operators = ["Ops <ops@example.com>"]\n', "email.operators[0]", "plain e-mail"),
        (EMAIL.replace("Billing <", ""), "email.sender", "an address, with a name"),
    ],
)
def test_mistakes_are_named_with_their_place(
    tmp_path: Path, text: str, place: str, advice: str
) -> None:
    said = mistakes(tmp_path, DATABASE + text)[0]
    assert said.startswith(f"{place}: ")
    assert advice in said


@pytest.mark.parametrize("secret", ["a short one", f"whsec_{'a' * 31}", "A" * 44])
def test_a_secret_is_one_of_standard_webhooks_and_closed_to_others(
    tmp_path: Path, secret: str
) -> None:
    path = tmp_path / "core_secret"
    path.touch(mode=0o600)
    path.write_text(f"{secret}\n")
    [said] = mistakes(tmp_path, DATABASE + ENDPOINT, with_secrets=True)
    assert said.startswith("events.endpoints[0].secret_file: 'core_secret' holds no secret")
    assert "openssl rand -base64 32" in said
    assert secret not in said
    path.write_text(f"whsec_{'a' * 43}=\n")
    path.chmod(0o644)
    [said] = mistakes(tmp_path, DATABASE + ENDPOINT, with_secrets=True)
    assert "is open to others" in said
