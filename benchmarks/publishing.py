"""Filling topics before they are read, and watching how far a group has come."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from benchmarks.stage import Installation
from benchmarks.traffic import Published
from shared.runtime.kafka import client_options

# Acknowledgements that are awaited together: bounds the memory of a million records.
AT_ONCE = 20_000
LINGER_MILLISECONDS = 20
BATCH_BYTES = 256 * 1024

# Only the topics of events: the group reads triggers as well.
CONSUMED = """
SELECT coalesce(sum(next_offset), 0)::bigint FROM consumer_progress
WHERE consumer_group = $1 AND topic NOT LIKE '%smb.schedule'
"""


async def publish(
    installation: Installation, records: Iterable[Published], name: Callable[[str], str] | None = None
) -> int:
    """Publish records to an installation's topics and wait for all acknowledgements; returns how many there were."""
    producer = AIOKafkaProducer(
        **client_options(installation.settings), linger_ms=LINGER_MILLISECONDS, max_batch_size=BATCH_BYTES
    )
    await producer.start()
    published = 0
    try:
        waiting = []
        full_name = name or installation.topics.full_name
        for one in records:
            topic = full_name(one.topic)
            waiting.append(
                await producer.send(topic, one.value, key=one.key, partition=one.partition, headers=list(one.headers))
            )
            published += 1
            if len(waiting) == AT_ONCE:
                await asyncio.gather(*waiting)
                waiting.clear()
        await asyncio.gather(*waiting)
    finally:
        await producer.stop()
    return published


async def consumed(installation: Installation) -> int:
    """How many events the engagement group has committed to the database so far."""
    count: int = await installation.connection.fetchval(CONSUMED, installation.group)
    return count


async def members(installation: Installation, group: str) -> int:
    """How many members a consumer group has that hold their partitions; 0 while it finds itself anew."""
    admin: Any = AIOKafkaAdminClient(**client_options(installation.settings))
    await admin.start()
    try:
        (answer,) = await admin.describe_consumer_groups([group])
        _, _, state, _, _, joined, *_ = answer.groups[0]
    except KafkaError:
        return 0  # the group's coordinator is not there yet
    finally:
        await admin.close()
    return len(joined) if state == "Stable" else 0
