"""What the service manager and bridge tell each other: sd_notify(3), the watchdog and credentials.

Outside systemd the environment variables are absent, nothing is sent and nothing is found.
"""

import contextlib
import os
import socket
from pathlib import Path


def notify(*states: str) -> None:
    """Send states such as "READY=1" in one datagram to the socket $NOTIFY_SOCKET names.

    sd_notify(3): an address that begins with "@" is an abstract socket, and failures to send are
    best ignored, for a service must run without a listening manager too. It never waits: a manager
    that does not read must not hold up the loop that serves requests.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address.removeprefix("@")
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.setblocking(False)
        manager.sendto("\n".join(states).encode(), address)


def ready(text: str) -> None:
    """Tell that start-up is complete, with a status line for `systemctl status`."""
    notify("READY=1", _status(text))


def status(text: str) -> None:
    """Set the status line of `systemctl status`."""
    notify(_status(text))


def stopping() -> None:
    """Tell that draining has begun."""
    notify("STOPPING=1")


def watchdog() -> None:
    """Tell that the daemon is alive; due every `watchdog_interval_s()`."""
    notify("WATCHDOG=1")


def watchdog_interval_s() -> float | None:
    """Return the seconds between two `watchdog()` calls, or None when nobody waits for them.

    sd_watchdog_enabled(3): $WATCHDOG_USEC is the timeout in microseconds, meant for the process
    $WATCHDOG_PID when that is set; a daemon should send at every half of it.
    """
    timeout_us = os.environ.get("WATCHDOG_USEC", "")
    meant_for = os.environ.get("WATCHDOG_PID") or str(os.getpid())
    if not timeout_us.isdecimal() or meant_for != str(os.getpid()):
        return None
    return int(timeout_us) / 2_000_000


def credential(name: str) -> Path | None:
    """Return the file of a credential the unit was given, or None when there is none by that name.

    systemd.exec(5): LoadCredential=ID:PATH shows a file as $CREDENTIALS_DIRECTORY/ID, and each file
    of a directory as $CREDENTIALS_DIRECTORY/ID_FILENAME.
    """
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    if not directory or Path(name).name != name:
        return None
    path = Path(directory, name)
    return path if path.is_file() else None


def _status(text: str) -> str:
    """One line: a line break would begin another state."""
    return "STATUS=" + " ".join(text.split())
