"""What the figures were taken on. Neither the name of the machine nor a path of it is told."""

import os
import platform
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

_SYNC_FOR_S = 0.5


class Machine(NamedTuple):
    """A machine and the programs on it."""

    date: str
    cores: int
    cpu: str
    memory_gib: float
    kernel: str
    file_system: str
    syncs_per_s: float
    python: str
    databases: tuple[str, ...]
    generator: str
    generator_rate: float
    load_before: float


def look(
    directory: Path, databases: tuple[str, ...], generator: str, generator_rate: float
) -> Machine:
    """Look at this machine; the file system is the one the directory is on."""
    return Machine(
        date=datetime.now(UTC).date().isoformat(),
        cores=len(os.sched_getaffinity(0)),
        cpu=_cpu(),
        memory_gib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30,
        kernel=f"{platform.system()} {platform.release().partition('-')[0]}",
        file_system=file_system(directory, Path("/proc/self/mounts").read_text()),
        syncs_per_s=_syncs_per_s(directory / "syncs"),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        databases=databases,
        generator=generator,
        generator_rate=generator_rate,
        load_before=os.getloadavg()[0],
    )


def file_system(path: Path, mounts: str) -> str:
    """Return the kind of file system that a path is on, from the text of /proc/mounts."""
    mounted = [line.split()[1:3] for line in mounts.splitlines()]
    above = [(place, kind) for place, kind in mounted if path.is_relative_to(place)]
    # The deepest one holds the path, and of two at one place the one that was mounted later.
    return max(enumerate(above), key=lambda found: (len(found[1][0]), found[0]))[1][1]


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _syncs_per_s(path: Path) -> float:
    """Count how often a small write can be made durable in a second."""
    with path.open("wb", buffering=0) as file:
        began, count = time.perf_counter(), 0
        while (passed := time.perf_counter() - began) < _SYNC_FOR_S:
            file.write(b"\0" * 512)
            os.fdatasync(file.fileno())
            count += 1
    return count / passed
