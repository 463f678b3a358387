"""Alembic's entry: migrate on the connection in config.attributes["connection"]."""

from alembic import context

from bridge.store import tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.metadata,
    # Our SQLite connections begin explicitly, so DDL belongs to the database transaction there too.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
