"""Copies: records that repeat an identity from another place in Kafka. They change nothing; `trace` shows them."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.runtime.outcome import Copy

NOTE = text(
    """
    INSERT INTO repeated_inputs
        (consumer_group, topic, partition_number, partition_offset, tenant_id, smb_id, type, source, event_id,
        differs, seen_at)
    VALUES
        (:consumer_group, :topic, :partition_number, :partition_offset, :tenant_id, :smb_id, :type, :source,
        :event_id, :differs, :now)
    ON CONFLICT DO NOTHING
    """,
)


async def note(connection: AsyncConnection, copies: Sequence[Copy], *, consumer_group: str, now: datetime) -> None:
    """Remember where copies stand; one that is known already stays as it is."""
    if not copies:
        return
    ordered = sorted(copies, key=lambda copy: copy.input.place)
    rows = [
        {
            "consumer_group": consumer_group,
            "topic": copy.input.place.topic,
            "partition_number": copy.input.place.partition,
            "partition_offset": copy.input.place.offset,
            "tenant_id": copy.input.smb.tenant_id if copy.input.smb else None,
            "smb_id": copy.input.smb.smb_id if copy.input.smb else None,
            "type": copy.input.type,
            "source": copy.input.source,
            "event_id": copy.input.id,
            "differs": copy.differs,
            "now": now,
        }
        for copy in ordered
    ]
    await connection.execute(NOTE, rows)
