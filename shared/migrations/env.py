"""What Alembic runs for an upgrade: on the connection, and with the listener, that `runner` hands over."""

from collections.abc import Collection, Mapping

from alembic import context
from alembic.runtime.migration import MigrationContext, MigrationInfo

attributes = context.config.attributes


def tell_applied(
    ctx: MigrationContext, step: MigrationInfo, heads: Collection[object], run_args: Mapping[str, object]
) -> None:
    """Name each revision once it is applied."""
    del ctx, heads, run_args
    for revision in step.up_revision_ids:
        attributes["tell"](revision)


context.configure(
    connection=attributes["connection"],
    transaction_per_migration=True,
    on_version_apply=tell_applied,
)
with context.begin_transaction():
    context.run_migrations()
