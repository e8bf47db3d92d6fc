"""Replaying dead letters: the original bytes, key and headers go to the original topic again."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from aiokafka import AIOKafkaProducer
from sqlalchemy import RowMapping

from shared.runtime import dead_letters
from shared.runtime.database import Database
from shared.runtime.kafka import producer_options
from shared.runtime.settings import Settings

# So many letters are read and under way at once: each may be long.
AT_ONCE = 20
# What came compressed may be far longer than a topic takes; compressed again, it fits again.
LONGEST_BYTES = 512 * 1024 * 1024


async def replay(settings: Settings, database: Database, ids: Sequence[int], report: Callable[[], None]) -> int:
    """Publish these letters in order and mark them; returns how many.

    A letter is marked after Kafka has acknowledged it, so what breaks in between is published once more, which
    changes nothing. `report` is called for each one.
    """
    if not ids:
        return 0
    options = producer_options(settings) | {"max_request_size": LONGEST_BYTES, "compression_type": "gzip"}
    producer = AIOKafkaProducer(**options)
    replayed = 0
    try:
        await producer.start()
        for place in range(0, len(ids), AT_ONCE):
            async with database.transaction() as transaction:
                found = [await dead_letters.get(transaction, one) for one in ids[place : place + AT_ONCE]]
            letters = [letter for letter in found if letter is not None]
            await asyncio.gather(*[await _send(producer, letter) for letter in letters])
            async with database.transaction() as transaction:
                marked = [letter["id"] for letter in letters]
                await dead_letters.mark_replayed(transaction, marked, datetime.now(UTC))
            for _ in letters:
                report()
            replayed += len(letters)
    finally:
        await producer.stop()
    return replayed


async def _send(producer: AIOKafkaProducer, letter: RowMapping) -> "asyncio.Future[object]":
    """Send one letter to the partition that it came from, where that still exists: an SMB's events stay together."""
    topic, key, value = letter["topic"], letter["key"], letter["value"]
    headers = [(name, dead_letters.from_base64(value)) for name, value in letter["headers"]]
    partitions = await producer.partitions_for(topic)
    partition = letter["partition_number"] if letter["partition_number"] in partitions else None
    sent: asyncio.Future[object]
    if key is None and value is None:
        # aiokafka sends no record without key and value; other producers do, and a batch of our own takes it.
        batch = producer.create_batch()
        batch.append(key=None, value=None, timestamp=None, headers=headers)
        sent = await producer.send_batch(batch, topic, partition=min(partitions) if partition is None else partition)
    else:
        sent = await producer.send(topic, value, key=key, headers=headers, partition=partition)
    return sent
