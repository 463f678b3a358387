"""The unit: what it must say, and what systemd itself thinks of it."""

import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "systemd" / "bridge.service"
EXPOSURE_MAX = 1.5

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine"
)


def directives() -> dict[str, list[str]]:
    """Every directive as "Section.Name" with its values in order; systemd allows repeating one."""
    found: dict[str, list[str]] = defaultdict(list)
    section = ""
    for line in UNIT.read_text().splitlines():
        if header := re.fullmatch(r"\[(\w+)\]", line):
            section = header[1]
        elif line and not line.startswith("#"):
            name, equals, value = line.partition("=")
            assert equals, f"neither comment nor directive: {line!r}"
            found[f"{section}.{name}"].append(value)
    return found


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("directive", "values"),
    [
        ("Service.Type", ["notify"]),
        ("Service.ExecStart", ["/opt/bridge/bin/bridge run --config /etc/bridge/config.toml"]),
        ("Service.DynamicUser", ["yes"]),
        ("Service.StateDirectory", ["bridge"]),
        ("Service.ConfigurationDirectory", ["bridge"]),
        ("Service.LoadCredential", ["secrets:/etc/bridge/secrets"]),
        ("Service.Restart", ["always"]),
        ("Service.RestartPreventExitStatus", ["78"]),
        ("Unit.StartLimitIntervalSec", ["0"]),
        ("Service.RestrictAddressFamilies", ["AF_INET AF_INET6 AF_UNIX"]),
        ("Install.WantedBy", ["multi-user.target"]),
    ],
)
def test_the_unit_keeps_the_outside_contract(directive: str, values: list[str]) -> None:
    assert directives()[directive] == values


def test_every_wait_has_a_limit() -> None:
    said = directives()
    for name in ("TimeoutStartSec", "TimeoutStopSec", "WatchdogSec", "RestartSec"):
        assert re.fullmatch(r"[1-9]\d*(s|min)", said[f"Service.{name}"][0]), name


def test_secrets_are_neither_in_the_command_line_nor_in_the_environment() -> None:
    said = directives()
    assert not {"Service.Environment", "Service.EnvironmentFile"} & said.keys()
    assert not re.search(r"ck_|cs_|secret|password", said["Service.ExecStart"][0])


def test_each_paragraph_says_why() -> None:
    paragraphs = UNIT.read_text().split("\n\n")
    bare = [text for text in paragraphs if "=" in text and "#" not in text]
    assert bare == ["[Install]\nWantedBy=multi-user.target\n"]


@needs_systemd
def test_systemd_finds_little_exposed() -> None:
    report = analyze("security", "--offline=true", "--no-pager", str(UNIT))
    found = re.search(r"Overall exposure level for bridge.service: ([\d.]+)", report.stdout)
    assert found, report.stdout + report.stderr
    assert float(found[1]) <= EXPOSURE_MAX, report.stdout


@needs_systemd
def test_systemd_knows_every_directive(tmp_path: Path) -> None:
    """`verify` also wants the program to exist, so it is given one that does."""
    copy = tmp_path / "bridge.service"
    copy.write_text(UNIT.read_text().replace("/opt/bridge/bin/bridge", sys.executable))
    report = analyze("verify", str(copy))
    assert (report.returncode, report.stderr) == (0, "")
