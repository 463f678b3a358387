"""A home: where the databases of one kind live."""

from bench.postgres import POSTGRESQL, Cluster
from bench.sqlite import SQLITE, Files

Home = Files | Cluster

TITLES = {POSTGRESQL: "PostgreSQL", SQLITE: "SQLite"}
"""What the databases are called."""

__all__ = ["POSTGRESQL", "SQLITE", "TITLES", "Cluster", "Files", "Home"]
