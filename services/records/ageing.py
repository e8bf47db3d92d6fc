"""What the records service removes because of its age alone."""

from datetime import timedelta

from sqlalchemy import text

from shared.runtime import retention
from shared.runtime.database import Database

# A write that is sent again later is a new one.
ANSWERS_KEPT = timedelta(hours=24)

REMOVE_OLD_ANSWERS = text(
    """
    DELETE FROM idempotency_keys WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM idempotency_keys WHERE created_at < :before
        ORDER BY created_at LIMIT :at_once FOR UPDATE SKIP LOCKED))
    """,
)


async def remove_old(database: Database) -> None:
    """Remove the answers that were kept for writes that are sent again; harmless when two do it at once."""
    await retention.remove(database, REMOVE_OLD_ANSWERS, ANSWERS_KEPT)
