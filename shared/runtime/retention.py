"""What the runtime keeps for 35 days (messages told, copies seen, finished job runs) and then removes, bit by bit.

No statement reads more than what it may remove, however much there is to keep: each takes the oldest by an index.
"""

from datetime import timedelta

from sqlalchemy import TextClause, text

from shared.runtime.database import Database
from shared.runtime.jobs import LEDGER_KEEPS

EVERY_SECONDS = 60.0
# Rows removed at once, so that no transaction takes long.
AT_ONCE = 5000
# So many times at most in a row, so that a worker that ends is not kept waiting.
ROUNDS = 100
# A day more, so that no identity goes too early.
KEEPS = LEDGER_KEEPS + timedelta(days=1)
# Verifications are noted until so many came after them.
VERIFICATIONS = 100

# The database's clock, which wrote what is compared; given to the statements as a value, for the planner's sake.
NOW = text("SELECT clock_timestamp()")
# Ids grow with time, so the oldest have the lowest. A message that still waits in the outbox is kept, however old.
MESSAGES = text(
    """
    DELETE FROM outgoing_messages WHERE id = ANY(ARRAY(
        SELECT id FROM (SELECT id, created_at FROM outgoing_messages ORDER BY id LIMIT :at_once) AS oldest
        WHERE created_at < :before AND NOT EXISTS (SELECT FROM outbox WHERE message_id = oldest.id)))
    """,
)
COPIES = text(
    """
    DELETE FROM repeated_inputs WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM repeated_inputs WHERE seen_at < :before
        ORDER BY seen_at LIMIT :at_once FOR UPDATE SKIP LOCKED))
    """,
)
# A few a day: these two tables are small.
RUNS = text(
    """
    DELETE FROM job_runs WHERE run_id = ANY(ARRAY(
        SELECT run_id FROM job_runs WHERE received_at < :before AND status = 'finished'
        LIMIT :at_once FOR UPDATE SKIP LOCKED))
    """,
)
OLD_VERIFICATIONS = text(
    """
    DELETE FROM verifications
    WHERE id <= (SELECT id FROM verifications ORDER BY id DESC OFFSET :verifications LIMIT 1)
    """,
)


async def remove_old(database: Database) -> None:
    """Remove what the runtime has kept for long enough, or much of it; harmless when two do it at once."""
    for statement in (MESSAGES, COPIES, RUNS):
        await remove(database, statement)
    async with database.transaction() as transaction:
        await transaction.execute(OLD_VERIFICATIONS, {"verifications": VERIFICATIONS})


async def remove(database: Database, statement: TextClause, keeps: timedelta = KEEPS) -> None:
    """Remove what is older than that, by a DELETE that takes `before` and `at_once`, again and again.

    A service removes what only it knows of with a statement of its own.
    """
    for _ in range(ROUNDS):
        async with database.transaction() as transaction:
            now = (await transaction.execute(NOW)).scalar_one()
            removed = await transaction.execute(statement, {"before": now - keeps, "at_once": AT_ONCE})
        if removed.rowcount < AT_ONCE:
            return
