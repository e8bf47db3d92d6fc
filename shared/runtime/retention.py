"""What the runtime keeps for 35 days (messages told, copies seen, finished job runs) and then removes, bit by bit."""

from datetime import timedelta

from sqlalchemy import text

from shared.runtime.database import Database
from shared.runtime.jobs import LEDGER_KEEPS

# Rows removed at once, so that no look takes long.
AT_ONCE = 5000
SPARE = timedelta(days=1)

# A message that still waits in the outbox is kept, however old. Never two processes at once: SKIP LOCKED.
REMOVE = tuple(
    text(statement)
    for statement in (
        """
        DELETE FROM outgoing_messages WHERE id IN (
            SELECT id FROM outgoing_messages AS message
            WHERE created_at < clock_timestamp() - CAST(:keeps AS interval)
                AND NOT EXISTS (SELECT FROM outbox WHERE outbox.message_id = message.id)
            LIMIT :at_once FOR UPDATE SKIP LOCKED)
        """,
        """
        DELETE FROM repeated_inputs WHERE ctid IN (
            SELECT ctid FROM repeated_inputs WHERE seen_at < clock_timestamp() - CAST(:keeps AS interval)
            LIMIT :at_once FOR UPDATE SKIP LOCKED)
        """,
        """
        DELETE FROM job_runs WHERE run_id IN (
            SELECT run_id FROM job_runs WHERE received_at < clock_timestamp() - CAST(:keeps AS interval)
                AND status = 'finished'
            LIMIT :at_once FOR UPDATE SKIP LOCKED)
        """,
    )
)


async def remove_old(database: Database) -> None:
    """Remove some of what is older than the ledger keeps; a day more, so that no identity goes too early."""
    for statement in REMOVE:
        async with database.transaction() as transaction:
            await transaction.execute(statement, {"keeps": LEDGER_KEEPS + SPARE, "at_once": AT_ONCE})
