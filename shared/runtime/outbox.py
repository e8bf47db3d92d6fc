"""The outbox: outgoing messages commit with the state that they tell of, and the relay publishes them."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic_core import to_json
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.runtime import heads
from shared.runtime.copied import WORTH_COPYING, CopiedRows
from shared.runtime.database import Transaction
from shared.runtime.errors import RuntimeTrouble
from shared.runtime.heads import Locked
from shared.runtime.outcome import Announcement, Outcome
from shared.schemas.encoding import EncodedMessage, encode, encode_announcement
from shared.schemas.identity import SmbKey
from shared.schemas.shards import JobShard
from shared.schemas.topics import ANNOUNCEMENTS_TOPIC, JOB_SHARDS_TOPIC, Topics

# Less than Kafka takes (2 MiB, with headers): a message that it refuses would hold up everybody's for ever.
ANNOUNCEMENT_MAX_BYTES = 1_900_000
CHANNEL = "smb_crm_outbox"

COLUMNS = {
    "topic": "text",
    "key": "text",
    "headers": "json",
    "value": "bytea",
    "type": "text",
    "caused_at": "timestamptz",
    "tenant_id": "uuid",
    "smb_id": "uuid",
    "sequence": "bigint",
    "causation_id": "text",
    "place": "integer",
}
_NAMES = ", ".join(name for name in COLUMNS if name != "place")
# The identity column counts in the order of the rows, which is the order in which an SMB's numbers were given. The
# notification wakes the relay at the commit, never before it.
_WRITE = f"""
    WITH written AS (
        INSERT INTO outgoing_messages ({_NAMES}, created_at, epoch)
        SELECT {_NAMES}, :now, CAST(:epoch AS integer) FROM {{messages}} ORDER BY place
        RETURNING id, tenant_id
    ), waiting AS (
        INSERT INTO outbox (message_id, created_at, tenant_id) SELECT id, :now, tenant_id FROM written
    )
    SELECT pg_notify(:channel, '')
"""  # noqa: S608  the names above
_ARRAYS = ", ".join(f"CAST(:{name} AS {type_}[])" for name, type_ in COLUMNS.items())
WRITE = text(_WRITE.format(messages=f"unnest({_ARRAYS}) AS message ({', '.join(COLUMNS)})"))
# The same for thousands.
NEW_MESSAGES = CopiedRows("new_messages", COLUMNS)
WRITE_COPIED = text(_WRITE.format(messages=NEW_MESSAGES.name))


class AnnouncementTooLarge(RuntimeTrouble):
    """An announcement that Kafka would refuse: what leads to it fails instead, alone, and is parked."""

    def __init__(self, announcement: Announcement, size_bytes: int) -> None:
        """Name the type, the SMB and the size."""
        smb = announcement.smb
        super().__init__(f"{type(announcement.data).__name__} of {smb.tenant_id}/{smb.smb_id}: {size_bytes} bytes")


async def store(connection: AsyncConnection, outcome: Outcome, topics: Topics, locked: Locked) -> None:
    """Number the announcements of `outcome` per SMB, note the touched SMBs, and write all messages to the outbox."""
    counts: Counter[SmbKey] = Counter(announcement.smb for announcement in outcome.announcements)
    touched = dict.fromkeys(outcome.touched, 0) | counts
    if touched:
        last = await heads.number(connection, touched, locked.now)
        await _store_announcements(connection, outcome.announcements, last, topics, locked)
    await _store_shards(connection, outcome.shards, topics, locked.now)


async def _store_announcements(
    connection: AsyncConnection,
    announcements: Sequence[Announcement],
    last: dict[SmbKey, int],
    topics: Topics,
    locked: Locked,
) -> None:
    topic = topics.full_name(ANNOUNCEMENTS_TOPIC)
    rows = []
    for place, announcement in enumerate(announcements):
        smb = announcement.smb
        last[smb] = sequence = last[smb] + 1
        message = encode_announcement(
            announcement.data,
            tenant_id=smb.tenant_id,
            time=locked.now,
            epoch=locked.epoch,
            sequence=sequence,
            causation_id=announcement.causation_id,
            traceparent=announcement.traceparent,
        )
        if len(message.value) > ANNOUNCEMENT_MAX_BYTES:
            raise AnnouncementTooLarge(announcement, len(message.value))
        rows.append(
            (
                topic,
                str(smb.smb_id),
                _headers(message),
                message.value,
                type(announcement.data).__name__,
                announcement.caused_at,
                smb.tenant_id,
                smb.smb_id,
                sequence,
                announcement.causation_id,
                place,
            ),
        )
    await _write(connection, rows, locked.epoch, locked.now)


async def _store_shards(connection: AsyncConnection, shards: Sequence[JobShard], topics: Topics, now: datetime) -> None:
    topic = topics.full_name(JOB_SHARDS_TOPIC)
    rows = []
    for place, shard in enumerate(shards):
        key = f"{shard.run_id}/{shard.number}"
        message = encode(shard, id=key, time=now)
        type_ = type(shard).__name__
        rows.append((topic, key, _headers(message), message.value, type_, None, None, None, None, None, place))
    await _write(connection, rows, None, now)


async def _write(
    connection: AsyncConnection, rows: Sequence[tuple[Any, ...]], epoch: int | None, now: datetime
) -> None:
    """Write rows with the columns above."""
    if not rows:
        return
    parameters = {"epoch": epoch, "now": now, "channel": CHANNEL}
    if len(rows) < WORTH_COPYING:
        arrays = dict(zip(COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
        await connection.execute(WRITE, arrays | parameters)
    else:
        await NEW_MESSAGES.copy(Transaction(connection), rows)
        await connection.execute(WRITE_COPIED, parameters)


def _headers(message: EncodedMessage) -> str:
    return to_json(message.headers).decode()
