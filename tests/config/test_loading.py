"""What an operator writes, and what bridge says to it."""

from pathlib import Path

import pytest

from bridge.config import Config, Listen, find, load
from bridge.domain.clock import parse
from bridge.domain.crediting import AmountRule, TagPlace
from bridge.domain.errors import ConfigurationError

DATABASE = '[database]\nurl = "sqlite:///bridge.db"\n'
STOREFRONT = """
[[storefronts]]
name = "main"
url = "https://store.example.com"
consumer_key_file = "key"
consumer_secret_file = "secret"
"""


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BRIDGE_CONFIG", raising=False)


def written(directory: Path, text: str) -> Path:
    path = directory / "config.toml"
    path.write_text(text)
    return path


def loaded(directory: Path, text: str) -> Config:
    return load(written(directory, text))


def mistakes(directory: Path, text: str, *, with_secrets: bool = False) -> list[str]:
    """The lines that name mistakes, without the first, which counts them."""
    with pytest.raises(ConfigurationError) as caught:
        load(written(directory, text), with_secrets=with_secrets)
    count, *lines = str(caught.value).splitlines()
    assert f"has {len(lines)} mistake" in count
    return [line.strip() for line in lines]


def test_a_database_is_all_that_must_be_said(tmp_path: Path) -> None:
    config = loaded(tmp_path, DATABASE)
    assert (str(config.api.listen), str(config.webhooks.listen)) == (
        "127.0.0.1:8850",
        "127.0.0.1:8851",
    )
    assert config.storefronts == ()


def test_the_path_of_an_sqlite_file_begins_at_the_configuration(tmp_path: Path) -> None:
    assert loaded(tmp_path, DATABASE).database_url == f"sqlite:///{tmp_path}/bridge.db"
    absolute = '[database]\nurl = "sqlite:////var/lib/bridge/bridge.db"\n'
    assert loaded(tmp_path, absolute).database_url == "sqlite:////var/lib/bridge/bridge.db"
    remote = '[database]\nurl = "postgresql://bridge@db/bridge"\n'
    assert loaded(tmp_path, remote).database_url == "postgresql://bridge@db/bridge"


def test_a_storefront_has_safe_defaults(tmp_path: Path) -> None:
    [storefront] = loaded(tmp_path, DATABASE + STOREFRONT).storefronts
    rules = storefront.rules()
    assert (storefront.poll_interval_s, storefront.poll_overlap_s) == (30, 300)
    assert (rules.tag_key, rules.statuses, rules.amount) == (
        "_tenant_id",
        frozenset({"completed"}),
        AmountRule.TOTAL,
    )
    assert rules.tag_places == {TagPlace.ORDER, TagPlace.LINES}
    assert storefront.webhook_secret_file == ()


def test_a_storefronts_rules_lie_over_the_global_ones(tmp_path: Path) -> None:
    text = f"""{DATABASE}
[crediting]
statuses = ["processing", "completed"]
currencies = ["EUR"]
[crediting.gateways.stripe]
statuses = ["processing"]
{STOREFRONT}
[storefronts.crediting]
statuses = ["completed"]
[storefronts.crediting.gateways.cod]
statuses = ["completed"]
"""
    rules = loaded(tmp_path, text).storefronts[0].rules()
    assert rules.statuses == {"completed"}
    assert rules.currencies == frozenset({"EUR"})
    assert rules.gateway_statuses == {"stripe": {"processing"}, "cod": {"completed"}}


@pytest.mark.parametrize(
    ("written_as", "instant"),
    [
        ("2026-11-01", "2026-11-01T00:00:00Z"),
        ("2026-11-01T12:00:00+01:00", "2026-11-01T11:00:00Z"),
        ('"2026-11-01T11:00:00Z"', "2026-11-01T11:00:00Z"),
    ],
)
def test_import_from_is_a_date_or_a_time_with_its_zone(
    tmp_path: Path, written_as: str, instant: str
) -> None:
    [storefront] = loaded(
        tmp_path, f"{DATABASE}{STOREFRONT}import_from = {written_as}\n"
    ).storefronts
    assert storefront.import_from == parse(instant)


@pytest.mark.parametrize(
    ("text", "listen"),
    [
        ("127.0.0.1:0", Listen("127.0.0.1", 0)),
        ("[::1]:8850", Listen("::1", 8850)),
        ("unix:/run/bridge/api.sock", Listen(path="/run/bridge/api.sock")),
    ],
)
def test_listen_addresses_are_read_and_written_alike(
    tmp_path: Path, text: str, listen: Listen
) -> None:
    config = loaded(tmp_path, f'{DATABASE}[api]\nlisten = "{text}"\n')
    assert (config.api.listen, str(config.api.listen)) == (listen, text)


def test_all_mistakes_are_named_at_once_each_with_its_place(tmp_path: Path) -> None:
    """Wherever they are, and whether one table knows or only two together do."""
    text = """
[database]
urll = "sqlite:///bridge.db"
[api]
listen = "here"
[crediting]
amount = "deposit_lines"
statuses = ["on-hold"]
[[storefronts]]
name = "Main"
url = "http://store.example.com"
consumer_key_file = "key"
tag_key = "_wc_other/tenant"
poll_interval_s = 0
[[storefronts]]
name = "Main"
url = "https://store.example.com"
consumer_key_file = "key"
consumer_secret_file = "secret"
[log]
level = "loud"
"""
    places = {line.partition(": ")[0] for line in mistakes(tmp_path, text)}
    assert places == {
        "database.url",
        "database.urll",
        "api.listen",
        "crediting.amount",
        "crediting.statuses[0]",
        "storefronts[0].name",
        "storefronts[0].url",
        "storefronts[0].consumer_secret_file",
        "storefronts[0].tag_key",
        "storefronts[0].poll_interval_s",
        "storefronts[1].name",
        "log.level",
    }


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('consumer_key = "ck_123"', "is no setting; did you mean consumer_key_file?"),
        ("poll_interval_s = 0", "write for example poll_interval_s = 30"),
        ('poll_interval_s = "often"', "write for example poll_interval_s = 30"),
        ('tag_key = "_wc_order_attribution_x"', "shoppers fill in keys that begin with"),
        ('tag_key = "billing_tenant"', "shoppers fill in keys that begin with"),
        ('tag_places = ["sku"]', "no prefix to find the tenant behind"),
        ('tag_places = "order"', "should be a list"),
        ("import_from = 2026-11-01T12:00:00", "add Z or an offset"),
        ('import_from = "soon"', "write a date such as 2026-11-22"),
        ('ca_file = "nowhere.pem"', "'nowhere.pem' is no file"),
        ('[storefronts.crediting]\nstatuses = ["wc-completed"]', "write 'completed'"),
        ('[storefronts.crediting]\nstatuses = ["trash"]', "'trash' cannot credit"),
        (
            "[storefronts.crediting]\nstatuses = []",
            "should not be empty; write for example statuses",
        ),
        (
            '[storefronts.crediting]\ncurrencies = "EUR"',
            'write for example currencies = ["EUR", "USD"]',
        ),
        ('[storefronts.crediting]\ncurrencies = ["EURO"]', "'EURO' is no ISO 4217 currency"),
        ('[storefronts.crediting]\ntenant_pattern = "("', "is no regular expression"),
        ('[storefronts.crediting]\namount = "deposit_lines"', "which lines are deposits"),
        ('[storefronts.crediting]\namount = "half"', "should be 'total', 'net' or 'deposit_lines'"),
        ("[storefronts.crediting.gateways.stripe]", "write for example statuses ="),
    ],
)
def test_a_mistake_says_what_to_write(tmp_path: Path, line: str, said: str) -> None:
    [mistake] = mistakes(tmp_path, f"{DATABASE}{STOREFRONT}{line}\n")
    assert mistake.startswith("storefronts[0].")
    assert said in mistake


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[database]\nurl = "mysql://db"\n', "names no database bridge can use"),
        ('[database]\nurl = "sqlite:///:memory:"\n', "names no file"),
        (f"{DATABASE}[databases]\nx = 1\n", "did you mean database?"),
        (f'{DATABASE}[storefronts]\nname = "main"\n', "in two pairs of brackets"),
        (f'{DATABASE}[api]\nlisten = "127.0.0.1:8851"\n', "is the address of [api] too"),
        (f'{DATABASE}[api]\nlisten = "127.0.0.1:99999"\n', "is no address to listen on"),
        (f'{DATABASE}[log]\nformat = "xml"\n', 'write for example format = "auto"'),
    ],
)
def test_mistakes_beside_storefronts_say_what_to_write_too(
    tmp_path: Path, text: str, said: str
) -> None:
    assert any(said in mistake for mistake in mistakes(tmp_path, text))


def test_no_secret_written_into_the_file_is_repeated(tmp_path: Path) -> None:
    text = (
        f'{DATABASE}{STOREFRONT}consumer_key = "ck_1234567890"\n'
        'webhook_secret = "hunter22"\npoll_interval_s = "hunter33"\n'
    )
    said = "\n".join(mistakes(tmp_path, text))
    assert not {"ck_1234567890", "hunter22", "hunter33"} & set(said.replace("'", " ").split())


def test_http_is_for_the_loopback_or_whoever_insists(tmp_path: Path) -> None:
    plain = (DATABASE + STOREFRONT).replace("https://store.example.com", "http://10.0.0.5")
    [mistake] = mistakes(tmp_path, plain)
    assert "use https, or set insecure_http = true" in mistake
    assert loaded(tmp_path, f"{plain}insecure_http = true\n").storefronts[0].insecure_http
    local = plain.replace("10.0.0.5", "127.0.0.1:8852")
    assert loaded(tmp_path, local).storefronts[0].url == "http://127.0.0.1:8852"


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRIDGE_LOG__LEVEL", "debug")
    monkeypatch.setenv("BRIDGE_CREDITING__CURRENCIES", '["EUR", "USD"]')
    config = loaded(tmp_path, f'{DATABASE}[log]\nlevel = "error"\nformat = "json"\n')
    assert (config.log.level, config.log.format) == ("debug", "json")
    assert config.crediting.currencies == frozenset({"EUR", "USD"})


def test_plain_values_are_written_in_the_environment_as_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRIDGE_DATABASE__MIGRATE_ON_START", "false")
    monkeypatch.setenv("BRIDGE_API__LISTEN", "[::1]:9000")
    monkeypatch.setenv("BRIDGE_WEBHOOKS__LISTEN", "unix:/run/webhooks.sock")
    monkeypatch.setenv("BRIDGE_CREDITING__TENANT_PATTERN", "[a-z]{3}")
    monkeypatch.setenv("BRIDGE_DAEMON__DRAIN_TIMEOUT_S", "5")
    config = loaded(tmp_path, DATABASE)
    assert not config.database.migrate_on_start
    assert (str(config.api.listen), config.webhooks.listen.path) == (
        "[::1]:9000",
        "/run/webhooks.sock",
    )
    assert config.crediting.tenant_pattern.pattern == "[a-z]{3}"
    assert config.daemon.drain_timeout_s == 5


def test_a_wrong_environment_is_a_mistake_like_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRIDGE_LOG__LEVEL", "loud")
    [mistake] = mistakes(tmp_path, DATABASE)
    assert mistake.startswith("log.level: ")
    monkeypatch.setenv("BRIDGE_STOREFRONTS", "[not json")
    with pytest.raises(ConfigurationError, match="environment variable is wrong"):
        loaded(tmp_path, DATABASE)


def test_a_password_in_the_database_url_is_in_no_repr(tmp_path: Path) -> None:
    config = loaded(tmp_path, '[database]\nurl = "postgresql://bridge:hunter2@db/bridge"\n')
    assert "hunter2" not in repr(config)


def test_what_is_not_toml_says_where(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"is not TOML: .*line 1"):
        loaded(tmp_path, "database = \n")
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        load(tmp_path / "nowhere.toml")


def test_the_file_is_the_one_named_or_that_of_the_environment_or_beside_us(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path, DATABASE)
    other = tmp_path / "other.toml"
    other.write_text(DATABASE)
    assert find(None) == Path("config.toml")
    monkeypatch.setenv("BRIDGE_CONFIG", str(other))
    assert find(None) == other
    assert find(path) == path
    with pytest.raises(ConfigurationError, match=r"copy config\.example\.toml there"):
        find(tmp_path / "nowhere.toml")
