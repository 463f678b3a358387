"""The service manager is a datagram socket of our own; its variables are set per test."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge import systemd


@pytest.fixture(autouse=True)
def outside_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def manager(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outside_systemd: None
) -> Iterator[socket.socket]:
    # Relative, because an AF_UNIX path holds 107 bytes and tmp_path may be longer.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOTIFY_SOCKET", "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("notify")
        listener.settimeout(5)
        yield listener


def test_states_arrive_in_one_datagram(manager: socket.socket) -> None:
    systemd.notify("READY=1", "MAINPID=42")
    assert manager.recv(4096) == b"READY=1\nMAINPID=42"


def test_each_helper_sends_its_state(manager: socket.socket) -> None:
    systemd.ready("polling 2 storefronts")
    systemd.status("3 orders held")
    systemd.watchdog()
    systemd.stopping()
    assert [manager.recv(4096) for _ in range(4)] == [
        b"READY=1\nSTATUS=polling 2 storefronts",
        b"STATUS=3 orders held",
        b"WATCHDOG=1",
        b"STOPPING=1",
    ]


def test_a_status_of_several_lines_cannot_smuggle_in_another_state(manager: socket.socket) -> None:
    systemd.status("poll failed:\nSTOPPING=1")
    assert manager.recv(4096) == b"STATUS=poll failed: STOPPING=1"


def test_an_at_sign_names_an_abstract_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("")  # unix(7): the kernel picks a free abstract name
        listener.settimeout(5)
        name = listener.getsockname()
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name[1:].decode())
        systemd.watchdog()
        assert listener.recv(4096) == b"WATCHDOG=1"


def test_without_a_manager_nothing_happens() -> None:
    systemd.ready("running in a terminal")


def test_a_manager_that_went_away_does_not_stop_bridge(manager: socket.socket) -> None:
    manager.close()
    systemd.watchdog()


def test_a_manager_that_does_not_read_holds_nobody_up(manager: socket.socket) -> None:
    for number in range(1000):
        systemd.status(str(number))
    assert manager.recv(100) == b"STATUS=0"


def test_the_watchdog_is_due_at_half_its_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    assert systemd.watchdog_interval_s() == 15.0
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert systemd.watchdog_interval_s() == 15.0


def test_no_watchdog_is_due_unless_it_waits_for_this_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert systemd.watchdog_interval_s() is None
    monkeypatch.setenv("WATCHDOG_USEC", "soon")
    assert systemd.watchdog_interval_s() is None
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getppid()))
    assert systemd.watchdog_interval_s() is None


def test_a_credential_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secrets_main_key").write_text("made up")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert systemd.credential("secrets_main_key") == tmp_path / "secrets_main_key"
    assert systemd.credential("secrets_other_key") is None


def test_a_path_is_not_the_name_of_a_credential(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside"
    outside.write_text("not a credential")
    inside = tmp_path / "credentials"
    inside.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(inside))
    assert systemd.credential(str(outside)) is None
    assert systemd.credential("../outside") is None


def test_without_credentials_none_is_found() -> None:
    assert systemd.credential("secrets_main_key") is None
