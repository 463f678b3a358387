"""Alembic migrations, the same for both databases."""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text

from bridge.domain.errors import ConfigurationError
from bridge.store.database import Database

if TYPE_CHECKING:
    from alembic.config import Config

# "brid" in ASCII: replicas that start together migrate one after the other.
_ADVISORY_LOCK = 0x62726964


def migrate(database: Database) -> None:
    """Bring the schema to this version of bridge, in one database transaction.

    Raises ConfigurationError where the database was migrated by a newer bridge.
    """
    if not pending(database):
        return
    # Imported by who needs it: it takes a tenth of a second, and most starts need it not.
    from alembic import command  # noqa: PLC0415
    from alembic.util.exc import CommandError  # noqa: PLC0415

    with database.write() as tx:
        if not database.is_sqlite:
            tx.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
        config = _config()
        config.attributes["connection"] = tx
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise ConfigurationError(
                f"the database's schema is unknown to this bridge ({error}); "
                "it was migrated by a newer version: install that one, or restore the backup"
            ) from error


def pending(database: Database) -> bool:
    """Tell whether `migrate` has something to do."""
    with database.read() as tx:
        if not inspect(tx).has_table("alembic_version"):
            return True
        current: str | None = tx.scalar(text("SELECT version_num FROM alembic_version"))
    return current != _head()


def _head() -> str:
    """Return the last revision: they are numbered, and named like v0001_first_schema.py."""
    return max(path.name[1:5] for path in (Path(__file__).parent / "versions").glob("v*.py"))


def _config() -> "Config":
    from alembic.config import Config  # noqa: PLC0415 - as above

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config
