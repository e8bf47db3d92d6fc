"""Reading the outbox: what the relay, `status` and the removal of old messages need."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from shared.runtime.database import Database, Transaction
from shared.schemas.announcements import SMBErased

# Ids grow in the order in which an SMB's numbers were given, because its head was held: oldest first keeps its order.
OLDEST = text(
    """
    SELECT message.id, message.topic, message.key, message.headers, message.value, message.type, message.created_at,
        message.caused_at
    FROM (SELECT message_id FROM outbox ORDER BY message_id LIMIT :at_most) AS waiting
    JOIN outgoing_messages AS message ON message.id = waiting.message_id
    ORDER BY message.id
    """,
)
# The database's clock also tells when: it wrote created_at, and another machine's may differ. Nobody waits for the
# disk: a server that crashes before it has this there gives the same messages once more, which readers drop.
DELETE = text(
    """
    WITH gone AS (DELETE FROM outbox WHERE message_id = ANY(CAST(:ids AS bigint[])))
    SELECT clock_timestamp() AS deleted_at, set_config('synchronous_commit', 'off', true)
    """,
)
# What an SMB's erasure had to leave, because readers are promised every number. An SMB's erasure is its last message.
FORGET_ERASED = text(
    """
    DELETE FROM outgoing_messages AS told USING outgoing_messages AS erasure
    WHERE erasure.id = ANY(CAST(:ids AS bigint[])) AND told.tenant_id = erasure.tenant_id
        AND told.smb_id = erasure.smb_id AND told.id < erasure.id
        AND NOT EXISTS (SELECT FROM outbox WHERE outbox.message_id = told.id)
    """,
)
DEPTH = text(
    """
    SELECT count(*) AS messages, coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0) AS oldest_seconds
    FROM outbox
    """,
)


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One message of the outbox, ready for the producer."""

    id: int
    topic: str
    key: bytes
    headers: list[tuple[str, bytes]]
    value: bytes
    type: str
    created_at: datetime
    caused_at: datetime | None


async def oldest(database: Database, at_most: int) -> list[OutgoingMessage]:
    """Read the oldest messages, in order."""
    async with database.single_statements() as transaction:
        rows = (await transaction.execute(OLDEST, {"at_most": at_most})).all()
    return [
        OutgoingMessage(
            id=row.id,
            topic=row.topic,
            key=row.key.encode(),
            headers=[(name, value.encode()) for name, value in row.headers],
            value=row.value,
            type=row.type,
            created_at=row.created_at,
            caused_at=row.caused_at,
        )
        for row in rows
    ]


def waves(messages: Sequence[OutgoingMessage]) -> list[list[OutgoingMessage]]:
    """Part messages so that no two of a wave have the same key: the first of each key, then the second, and so on."""
    parted: list[list[OutgoingMessage]] = []
    seen: Counter[bytes] = Counter()
    for message in messages:
        number = seen[message.key]
        seen[message.key] += 1
        if number == len(parted):
            parted.append([])
        parted[number].append(message)
    return parted


async def delete(database: Database, messages: Sequence[OutgoingMessage]) -> datetime:
    """Take these messages off the outbox, those that are gone already do not matter; gives the database's time.

    Where one of them tells an erasure, what was told of that SMB before is not kept any longer.
    """
    ids = [message.id for message in messages]
    erasures = [message.id for message in messages if message.type == SMBErased.__name__]
    # One statement where one is enough: this is a part of every message's way.
    async with database.transaction() if erasures else database.single_statements() as transaction:
        deleted_at: datetime = (await transaction.execute(DELETE, {"ids": ids})).one().deleted_at
        if erasures:
            await transaction.execute(FORGET_ERASED, {"ids": erasures})
    return deleted_at


async def depth(transaction: Transaction) -> tuple[int, float]:
    """How many messages wait, and the age of the oldest in seconds."""
    row = (await transaction.execute(DEPTH)).one()
    return row.messages, max(0.0, float(row.oldest_seconds))
