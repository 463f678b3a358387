"""Processes that are started, watched through /proc, and ended."""

import contextlib
import os
import resource
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""Where `-m bench` and `-m bridge` are found."""

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
FILES_MAX = 65_536
"""Open files of a process: as many as bridge's systemd unit gives it."""

_POLL_S = 0.02
_LAST_WORDS = 2000
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def raise_file_limit() -> None:
    """Let this process, and those it starts, open as many files as bridge's unit allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, FILES_MAX)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


@contextlib.contextmanager
def running(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command while the block lasts, its talk in a file; then SIGTERM, at last SIGKILL."""
    with (
        log.open("wb") as talk,
        subprocess.Popen(
            command, stdout=talk, stderr=talk, env=os.environ | (environment or {}), cwd=ROOT
        ) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_TIMEOUT_S)
            process.kill()


def wait_for(condition: Callable[[], object], process: subprocess.Popen[bytes], talk: Path) -> None:
    """Wait until a process is as it should be; RuntimeError with its last words if it never is."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            words = talk.read_text()[-_LAST_WORDS:]
            raise RuntimeError(f"{process.args!r} did not start: {words}")
        time.sleep(_POLL_S)


def resident_bytes(pid: int) -> int:
    """Return how much memory a process has resident."""
    return _status_bytes(pid, "VmRSS")


def peak_bytes(pid: int) -> int:
    """Return how much memory a process had resident at most."""
    return _status_bytes(pid, "VmHWM")


def _status_bytes(pid: int, field: str) -> int:
    """Read a size from proc_pid_status(5), which counts in KiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) * 1024


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process, of its children, and of children that have ended."""
    try:
        own = sum(_ticks(pid)) / _TICKS_PER_S
        children = _children(pid)
    except (FileNotFoundError, ProcessLookupError):
        return 0.0  # it ended meanwhile, and counts among its parent's ended children
    return own + sum(cpu_s(child) for child in children)


def _ticks(pid: int) -> list[int]:
    """Return utime, stime, cutime and cstime: fields 14 to 17 of proc_pid_stat(5)."""
    # The second field is the command's name, which may hold blanks and brackets.
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return [int(field) for field in after_name[11:15]]


def _children(pid: int) -> list[int]:
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for listed in lists for child in listed.read_text().split()]
