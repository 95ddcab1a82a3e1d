"""What Alembic runs: the migrations, on the connection that `central.upgrade` hands over.

- SQLite and PostgreSQL both change tables inside a transaction; the caller's is used, so that a
  migration that fails leaves nothing behind.
"""

from alembic import context

from central.schema import Base

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
