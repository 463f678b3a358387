"""The kinds of columns."""

from typing import Any

from sqlalchemy import BigInteger, Integer, String
from sqlmodel import Field

# Byte order on both databases: SQLite's own default, and what "C" means to PostgreSQL.
KEY = String().with_variant(String(collation="C"), "postgresql")

# SQLite keeps rows by a lone key that is declared INTEGER, and needs no index for it.
ROWID = BigInteger().with_variant(Integer, "sqlite")


def key(*, primary_key: bool = True, default: Any = ...) -> Any:
    """Text compared byte by byte on both databases."""
    return Field(default, sa_type=KEY, primary_key=primary_key)


def integer(*, primary_key: bool = False, default: Any = ..., **options: Any) -> Any:
    """Minor units, ids, counts and instants."""
    extra = {"autoincrement": False} if primary_key else {}
    return Field(
        default, sa_type=BigInteger, primary_key=primary_key, sa_column_kwargs=extra, **options
    )
