"""Alembic's entry: the connection comes from hub.journal.schema.upgrade, never from a file."""

from alembic import context

from hub.journal.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
