"""The companion plugin for WordPress, written for one storefront."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.common import ConfigFile, loaded, tell
from bridge.domain.errors import ConfigurationError, InvalidRequestError
from bridge.domain.signing import Keys, derived

if TYPE_CHECKING:
    from bridge.config import Config

FILE_NAME = "bridge-deposits.php"
NO_KEYS = "const LINK_KEYS = array();"

Directory = Annotated[
    Path,
    typer.Argument(
        metavar="DIR",
        exists=True,
        file_okay=False,
        writable=True,
        help=f"Where {FILE_NAME} is written.",
    ),
]
ForStorefront = Annotated[
    str | None,
    typer.Option(
        "--storefront", metavar="NAME", help="For this storefront; needed if there are several."
    ),
]


def plugin(
    directory: Directory, config: ConfigFile = None, *, storefront: ForStorefront = None
) -> None:
    """Write the companion plugin, which the deposit modes checkout and cart need."""
    said = loaded(config)
    name = _chosen(said, storefront)
    written = source(_link_keys(said, name))
    target = directory / FILE_NAME
    target.touch(mode=0o640)
    target.chmod(0o640)  # it may have been there
    target.write_text(written)
    tell(
        f"wrote {target} for {name}; put it into wp-content/plugins/ there, readable by PHP alone, "
        "and activate it. It holds keys: write it anew when [signing] key_file changes"
    )


def source(keys: Keys) -> str:
    """Return the plugin's PHP with these keys in it."""
    from importlib.resources import files

    template = files("bridge").joinpath("plugin", FILE_NAME).read_text("utf-8")
    written = ", ".join(f"'{key.hex()}'" for key in keys)
    return template.replace(NO_KEYS, f"const LINK_KEYS = array( {written} );")


def _chosen(said: "Config", storefront: str | None) -> str:
    names = [one.name for one in said.storefronts]
    wanted = [name for name in names if storefront in {None, name}]
    if len(wanted) != 1:
        raise InvalidRequestError(
            f"the plugin is for one storefront; name it by --storefront: {', '.join(names)}"
        )
    return wanted[0]


def _link_keys(said: "Config", storefront: str) -> Keys:
    from bridge.config import secrets

    if not said.signing.key_file:
        raise ConfigurationError(
            "there is no key to sign links with; set [signing] key_file (openssl rand -hex 32)"
        )
    signing = [secrets.read(reference, said.directory) for reference in said.signing.key_file]
    return derived(signing, f"deposit-link/{storefront}")
