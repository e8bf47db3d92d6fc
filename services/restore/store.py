"""Every SQL statement of after-restore."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from aiokafka import TopicPartition
from sqlalchemy import text

from shared.runtime.database import Database
from shared.runtime.heads import as_arrays
from shared.schemas.identity import SmbKey

WRITTEN_AT = text("SELECT consumer_group, topic, partition_number, updated_at FROM consumer_progress")
RAISE_EPOCH = text(
    """
    UPDATE installation SET epoch = greatest(epoch, :epoch_told) + 1, epoch_raised_at = clock_timestamp()
    RETURNING epoch
    """,
)
FORGET = text("DELETE FROM consumer_progress WHERE consumer_group = :consumer_group")
REMEMBER = text(
    """
    INSERT INTO consumer_progress (consumer_group, topic, partition_number, next_offset, updated_at)
    VALUES (:consumer_group, :topic, :partition, :next_offset, :written_at)
    """,
)
EXISTING = text(
    """
    SELECT smb.tenant_id, smb.id
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[])) AS wanted (tenant_id, smb_id)
    JOIN smbs AS smb ON smb.tenant_id = wanted.tenant_id AND smb.id = wanted.smb_id
    """,
)
AT_ONCE = 10_000

GroupPartition = tuple[str, TopicPartition]


class Row(NamedTuple):
    """Where a group goes on in a partition, and when it came there."""

    next_offset: int
    written_at: datetime


async def written_at(database: Database) -> dict[GroupPartition, datetime]:
    """When each group last finished a batch of each partition, as the database knows it."""
    async with database.transaction() as transaction:
        rows = (await transaction.execute(WRITTEN_AT)).all()
    return {(row.consumer_group, TopicPartition(row.topic, row.partition_number)): row.updated_at for row in rows}


async def raise_epoch(database: Database, epoch_told: int) -> int:
    """Raise the epoch above the present one and above the highest that readers have seen."""
    async with database.transaction() as transaction:
        epoch: int = (await transaction.execute(RAISE_EPOCH, {"epoch_told": epoch_told})).scalar_one()
        return epoch


async def set_rows(database: Database, group: str, rows: Mapping[TopicPartition, Row]) -> None:
    """Replace all rows of a group."""
    async with database.transaction() as transaction:
        await transaction.execute(FORGET, {"consumer_group": group})
        for partition, row in rows.items():
            await transaction.execute(
                REMEMBER,
                {
                    "consumer_group": group,
                    "topic": partition.topic,
                    "partition": partition.partition,
                    "next_offset": row.next_offset,
                    "written_at": row.written_at,
                },
            )


async def existing(database: Database, keys: Sequence[SmbKey]) -> set[SmbKey]:
    """Those of `keys` that the database has as SMBs, deleted ones included."""
    found: set[SmbKey] = set()
    async with database.transaction() as transaction:
        for place in range(0, len(keys), AT_ONCE):
            rows = (await transaction.execute(EXISTING, as_arrays(keys[place : place + AT_ONCE]))).all()
            found |= {SmbKey(row.tenant_id, row.id) for row in rows}
    return found
