"""Secrets stand in files that nobody else may read."""

from pathlib import Path

import pytest

from bridge.config import load, secrets
from bridge.config.secrets import SecretFileError
from bridge.domain.errors import ConfigurationError


def kept(directory: Path, name: str = "key", content: str = "ck_1\n", mode: int = 0o600) -> Path:
    path = directory / name
    path.write_text(content)
    path.chmod(mode)
    return path


def test_the_line_break_at_the_end_is_not_part_of_the_secret(tmp_path: Path) -> None:
    kept(tmp_path, content="ck_1\r\n")
    assert secrets.read("key", tmp_path) == "ck_1"
    kept(tmp_path, content=" a&amp;b ")
    assert secrets.read("key", tmp_path) == " a&amp;b "


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o622])
def test_a_file_that_others_may_open_is_refused(tmp_path: Path, mode: int) -> None:
    kept(tmp_path, mode=mode)
    with pytest.raises(SecretFileError, match="chmod 600"):
        secrets.read("key", tmp_path)


@pytest.mark.parametrize("content", ["", "\n", "two\nlines\n", "x" * 5000])
def test_a_file_that_holds_no_secret_is_refused_without_repeating_it(
    tmp_path: Path, content: str
) -> None:
    kept(tmp_path, content=content)
    with pytest.raises(SecretFileError) as caught:
        secrets.read("key", tmp_path)
    assert str(caught.value) == (
        "'key' holds no secret; write the secret into that file, on one line"
    )


@pytest.mark.parametrize("mode", [0o400, 0o440])
def test_a_credential_is_a_file_that_systemd_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    """With DynamicUser its mode is 0440, and an ACL says who may read."""
    with pytest.raises(SecretFileError, match="add LoadCredential=secrets_key"):
        secrets.read("credential:secrets_key", tmp_path)
    kept(tmp_path, "secrets_key", mode=mode)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert secrets.read("credential:secrets_key", Path("/")) == "ck_1"


def test_wrong_secret_files_are_named_with_all_other_mistakes(tmp_path: Path) -> None:
    kept(tmp_path, "open", mode=0o644)
    config = tmp_path / "config.toml"
    config.write_text("""
[database]
url = "sqlite:///bridge.db"
[[storefronts]]
name = "main"
url = "not an address"
consumer_key_file = "nowhere"
consumer_secret_file = "open"
webhook_secret_file = ["nowhere-1", "nowhere-2"]
""")
    with pytest.raises(ConfigurationError) as caught:
        load(config, with_secrets=True)
    said = str(caught.value)
    assert "5 mistakes" in said
    for place in ("url", "consumer_key_file", "consumer_secret_file", "webhook_secret_file"):
        assert f"storefronts[0].{place}: " in said


def test_who_does_not_talk_to_storefronts_needs_no_secrets(tmp_path: Path) -> None:
    """An admin's shell has no systemd credentials, but may show a balance."""
    config = tmp_path / "config.toml"
    config.write_text("""
[database]
url = "sqlite:///bridge.db"
[[storefronts]]
name = "main"
url = "https://store.example.com"
consumer_key_file = "credential:key"
consumer_secret_file = "credential:secret"
""")
    assert load(config).storefronts[0].consumer_key_file == "credential:key"
