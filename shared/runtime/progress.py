"""How far each group has come in each partition, written in the transaction of the batch itself.

Kafka's committed offsets decide where reading goes on; these rows are their witness. A row is written before the
offset is committed, so a row behind a committed offset means: the database was put back to a backup.
"""

from collections.abc import Mapping
from datetime import datetime

from aiokafka import TopicPartition
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.runtime.errors import DatabaseWentBack

READ = text(
    """
    SELECT topic, partition_number, next_offset FROM consumer_progress
    WHERE consumer_group = :consumer_group
    """,
)
# The greatest wins: a redelivered batch, or a zombie's, takes nothing back. Returns where the rows stood before.
RECORD = text(
    """
    WITH finished AS (
        SELECT * FROM unnest(CAST(:topics AS text[]), CAST(:partitions AS integer[]), CAST(:next_offsets AS bigint[]))
            AS finished (topic, partition_number, next_offset)
    ), written AS (
        INSERT INTO consumer_progress AS progress (consumer_group, topic, partition_number, next_offset, updated_at)
        SELECT :consumer_group, topic, partition_number, next_offset, :now
        FROM finished ORDER BY topic, partition_number
        ON CONFLICT (consumer_group, topic, partition_number) DO UPDATE
        SET next_offset = greatest(progress.next_offset, excluded.next_offset), updated_at = excluded.updated_at
    )
    SELECT before.topic, before.partition_number, before.next_offset
    FROM finished JOIN consumer_progress AS before ON before.consumer_group = :consumer_group
        AND before.topic = finished.topic AND before.partition_number = finished.partition_number
    """,
)

Offsets = Mapping[TopicPartition, int]


async def read(connection: AsyncConnection, consumer_group: str) -> dict[TopicPartition, int]:
    """Return the next offset of each partition that this group has finished a batch of."""
    rows = (await connection.execute(READ, {"consumer_group": consumer_group})).all()
    return {TopicPartition(topic, partition): offset for topic, partition, offset in rows}


async def record(
    connection: AsyncConnection, consumer_group: str, finished: Offsets, acknowledged: Offsets, now: datetime
) -> Offsets:
    """Write how far this batch has come; returns how far the group had come before, where it had.

    `acknowledged` is what Kafka is known to have committed for these partitions. Raises DatabaseWentBack when a row
    stood before it, and the transaction must then be rolled back: what was written would hide that records between the
    two are missing from the restored database.
    """
    partitions = sorted(finished)
    parameters = {
        "consumer_group": consumer_group,
        "topics": [partition.topic for partition in partitions],
        "partitions": [partition.partition for partition in partitions],
        "next_offsets": [finished[partition] for partition in partitions],
        "now": now,
    }
    rows = (await connection.execute(RECORD, parameters)).all()
    known = {TopicPartition(topic, partition): offset for topic, partition, offset in rows}
    require_not_behind(consumer_group, known, {one: acknowledged[one] for one in partitions if one in acknowledged})
    return known


def require_not_behind(consumer_group: str, rows: Offsets, acknowledged: Offsets) -> None:
    """Raise DatabaseWentBack when a row (0 where there is none) stands before an acknowledged offset."""
    for partition, offset in sorted(acknowledged.items()):
        row = rows.get(partition, 0)
        if row < offset:
            message = (
                f"the database knows group {consumer_group} at {partition.topic}[{partition.partition}] up to offset "
                f"{row}, but Kafka has {offset} acknowledged: it was restored from a backup. Stop all workers and run "
                "`smb-crm after-restore --backup-taken-at TIME`"
            )
            raise DatabaseWentBack(message)
