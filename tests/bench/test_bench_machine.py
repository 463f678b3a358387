from pathlib import Path

import pytest

from bench.machine import file_system

MOUNTS = """\
/dev/vda / ext4 rw,relatime 0 0
tmpfs /tmp tmpfs rw 0 0
/dev/vdb /tmp/large xfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/tmp/x", "ext4"),
        ("/tmp/x", "tmpfs"),
        ("/tmp/large", "xfs"),
        ("/tmp/larger", "tmpfs"),
    ],
)
def test_the_file_system_is_the_one_that_is_mounted_deepest(path: str, kind: str) -> None:
    assert file_system(Path(path), MOUNTS) == kind


def test_of_two_file_systems_at_one_place_the_later_one_is_seen() -> None:
    assert file_system(Path("/tmp/x"), f"{MOUNTS}/dev/vdc /tmp btrfs rw 0 0\n") == "btrfs"
