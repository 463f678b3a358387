"""Alembic migrations, the same for both databases."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import text

from bridge.domain.errors import ConfigurationError
from bridge.store.database import Database

# "brid" in ASCII: replicas that start together migrate one after the other.
_ADVISORY_LOCK = 0x62726964


def migrate(database: Database) -> None:
    """Bring the schema to this version of bridge, in one database transaction.

    Raises ConfigurationError where the database was migrated by a newer bridge.
    """
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
        current = MigrationContext.configure(tx).get_current_heads()
    return set(current) != set(ScriptDirectory.from_config(_config()).get_heads())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config
