"""What Alembic runs around the migrations: they belong to the transaction that migrate.py is in."""

from alembic import context

from tools.hes.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite cannot change a column in place
    transactional_ddl=False,  # the transaction is not Alembic's to begin
)
context.run_migrations()
