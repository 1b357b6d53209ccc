"""Alembic's entry: run the migrations on the connection that the ledger hands in."""

from __future__ import annotations

from alembic import context

from agent.ledger.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters tables by copying them
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
