"""The outbox: outgoing messages commit with the state that they tell of, and the relay publishes them."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic_core import to_json
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.runtime import heads
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

# The identity column counts in the order of the arrays, which is the order in which an SMB's numbers were given. The
# notification wakes the relay at the commit, never before it.
WRITE = text(
    """
    WITH written AS (
        INSERT INTO outgoing_messages
            (topic, key, headers, value, type, created_at, caused_at, tenant_id, smb_id, epoch, sequence, causation_id)
        SELECT topic, key, headers, value, type, :now, caused_at, tenant_id, smb_id,
            CAST(:epoch AS integer), sequence,
            causation_id
        FROM unnest(
            CAST(:topics AS text[]), CAST(:keys AS text[]), CAST(:headers AS json[]), CAST(:values AS bytea[]),
            CAST(:types AS text[]), CAST(:caused_at AS timestamptz[]), CAST(:tenant_ids AS uuid[]),
            CAST(:smb_ids AS uuid[]), CAST(:sequences AS bigint[]), CAST(:causation_ids AS text[]))
        WITH ORDINALITY AS message
            (topic, key, headers, value, type, caused_at, tenant_id, smb_id, sequence, causation_id, place)
        ORDER BY place
        RETURNING id, tenant_id
    ), waiting AS (
        INSERT INTO outbox (message_id, created_at, tenant_id) SELECT id, :now, tenant_id FROM written
    )
    SELECT pg_notify(:channel, '')
    """,
)


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
    rows = []
    for announcement in announcements:
        last[announcement.smb] = sequence = last[announcement.smb] + 1
        message = encode_announcement(
            announcement.data,
            tenant_id=announcement.smb.tenant_id,
            time=locked.now,
            epoch=locked.epoch,
            sequence=sequence,
            causation_id=announcement.causation_id,
            traceparent=announcement.traceparent,
        )
        if len(message.value) > ANNOUNCEMENT_MAX_BYTES:
            raise AnnouncementTooLarge(announcement, len(message.value))
        rows.append((announcement, message, sequence))
    if not rows:
        return
    await connection.execute(
        WRITE,
        _arrays([message for _, message, _ in rows])
        | {
            "topics": [topics.full_name(ANNOUNCEMENTS_TOPIC)] * len(rows),
            "keys": [str(announcement.smb.smb_id) for announcement, _, _ in rows],
            "types": [type(announcement.data).__name__ for announcement, _, _ in rows],
            "caused_at": [announcement.caused_at for announcement, _, _ in rows],
            "tenant_ids": [announcement.smb.tenant_id for announcement, _, _ in rows],
            "smb_ids": [announcement.smb.smb_id for announcement, _, _ in rows],
            "sequences": [sequence for _, _, sequence in rows],
            "causation_ids": [announcement.causation_id for announcement, _, _ in rows],
            "epoch": locked.epoch,
            "now": locked.now,
            "channel": CHANNEL,
        },
    )


async def _store_shards(connection: AsyncConnection, shards: Sequence[JobShard], topics: Topics, now: datetime) -> None:
    if not shards:
        return
    nothing = [None] * len(shards)
    await connection.execute(
        WRITE,
        _arrays([encode(shard, id=f"{shard.run_id}/{shard.number}", time=now) for shard in shards])
        | {
            "topics": [topics.full_name(JOB_SHARDS_TOPIC)] * len(shards),
            "keys": [f"{shard.run_id}/{shard.number}" for shard in shards],
            "types": [type(shard).__name__ for shard in shards],
            "caused_at": nothing,
            "tenant_ids": nothing,
            "smb_ids": nothing,
            "sequences": nothing,
            "causation_ids": nothing,
            "epoch": None,
            "now": now,
            "channel": CHANNEL,
        },
    )


def _arrays(messages: Sequence[EncodedMessage]) -> dict[str, Any]:
    return {
        "headers": [to_json(message.headers).decode() for message in messages],
        "values": [message.value for message in messages],
    }
