"""Alembic's entry: runs the migrations on the connection that `ehr_server.store.migrate` gives."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table="migration",
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
