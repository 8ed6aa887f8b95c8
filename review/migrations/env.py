"""Run by Alembic, on the connection that ``review.database`` hands over."""

from alembic import context

from review.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
