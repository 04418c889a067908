"""Alembic's entry: migrations run on the connection, and in the transaction, that `Database.migrate` hands in."""

from alembic import context

from shelflife.store.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
context.run_migrations()
