"""Secrets stand in files that only bridge may read; never in argv, in a setting or in a repr."""

import stat
from pathlib import Path

from bridge import systemd
from bridge.domain.errors import ConfigurationError

SECRET_BYTES_MAX = 4096
_CREDENTIAL = "credential:"


class SecretFileError(ConfigurationError):
    """A secret's file is missing, empty, or open to others; the message holds nothing of it."""


def read(reference: str, directory: Path) -> str:
    """Return the secret in a file, without the line break at its end.

    `reference` is a path, relative to the directory, or `credential:NAME` for a file systemd's
    LoadCredential shows to the service. Raises SecretFileError.
    """
    path = _path(reference, directory)
    try:
        with path.open("rb") as file:
            mode = path.stat().st_mode
            content = file.read(SECRET_BYTES_MAX + 1)
    except OSError as error:
        raise SecretFileError(
            f"{reference!r} cannot be read ({error.strerror}); write the secret into that file, "
            "with mode 0600"
        ) from None
    # A credential's directory is the service's own; the mode of the files shows their ACL's mask,
    # 0440 with DynamicUser (systemd 29435).
    if stat.S_IMODE(mode) & 0o077 and not reference.startswith(_CREDENTIAL):
        raise SecretFileError(
            f"{reference!r} is open to others (mode {stat.S_IMODE(mode):04o}); chmod 600 {path}"
        )
    return _text(content, reference)


def _path(reference: str, directory: Path) -> Path:
    if not reference.startswith(_CREDENTIAL):
        return directory / reference
    name = reference.removeprefix(_CREDENTIAL)
    path = systemd.credential(name)
    if path is None:
        raise SecretFileError(
            f"{reference!r} was not given by systemd; add LoadCredential={name}:… to the unit, "
            "or name a file. Outside of the unit there are no credentials"
        )
    return path


def _text(content: bytes, reference: str) -> str:
    try:
        text = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        text = ""
    if not text or not text.isprintable() or len(content) > SECRET_BYTES_MAX:
        raise SecretFileError(
            f"{reference!r} holds no secret; write the secret into that file, on one line"
        )
    return text
