"""The glue to FastStream: raw batches in, nothing decoded, nothing acknowledged, nothing published on its own."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

from aiokafka import ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.kafka.message import KafkaAckableMessage
from pydantic import SkipValidation, WithJsonSchema

from shared.runtime.consumer import Consumer
from shared.runtime.kafka import REQUEST_TIMEOUT_MILLISECONDS, broker_security
from shared.runtime.settings import Settings
from shared.schemas.json_schemas import schema_of_documents
from shared.schemas.topics import JOB_SHARDS_TOPIC, TOPICS, Service, accepted_types

# The longest a rebalance waits for a running batch; a batch is shorter than a transaction may be.
REBALANCE_SECONDS = 90
# After an empty poll FastStream sleeps as long as the poll took: short, for latency.
POLL_MILLISECONDS = 20
PARTITION_FETCH_BYTES = 128 * 1024
# How soon a topic that was created anew is noticed by workers that run.
METADATA_MILLISECONDS = 30_000
# Longer than any outage during which a batch is retried: leaving the group would only cost a rebalance.
LONGEST_BATCH_MILLISECONDS = 3_600_000

Records = Annotated[list[Any], SkipValidation]
"""Raw records of Kafka. An app adds `described(...)`, for the AsyncAPI page alone: decoding is `Consumer`'s."""


def described(service: Service, *, shards: bool = False) -> WithJsonSchema:
    """Say which documents a service reads: its inputs, or the job shards of its own."""
    topics = [topic for topic in TOPICS if (topic == JOB_SHARDS_TOPIC) is shards]
    return WithJsonSchema(schema_of_documents({name for topic in topics for name in accepted_types(service, topic)}))


def create_broker(settings: Settings) -> KafkaBroker:
    """A broker whose consumers this process runs; publishing is the relay's."""
    return KafkaBroker(
        settings.kafka_bootstrap_servers.split(","),
        security=broker_security(settings),
        request_timeout_ms=REQUEST_TIMEOUT_MILLISECONDS,
        allow_auto_create_topics=False,
        metadata_max_age_ms=METADATA_MILLISECONDS,
        enable_idempotence=True,
        acks="all",
        graceful_timeout=settings.shutdown_seconds,
        apply_types=False,
        logger=None,
    )


def batch_options(settings: Settings, consumer: Consumer, max_records: int) -> dict[str, Any]:
    """Options of a subscriber that hands raw batches to `consumer` and acknowledges nothing by itself."""
    return {
        "batch": True,
        "group_id": consumer.batches.consumer_group,
        "ack_policy": AckPolicy.MANUAL,
        "auto_offset_reset": "earliest",
        "max_records": max_records,
        "batch_timeout_ms": POLL_MILLISECONDS,
        "fetch_max_bytes": settings.fetch_max_bytes,
        # What is fetched ahead while a batch takes long: so much of each partition of each topic.
        "max_partition_fetch_bytes": PARTITION_FETCH_BYTES,
        # What a producer has taken back never happened.
        "isolation_level": "read_committed",
        "session_timeout_ms": settings.kafka_session_timeout_seconds * 1000,
        "heartbeat_interval_ms": settings.kafka_session_timeout_seconds * 1000 // 5,
        "rebalance_timeout_ms": REBALANCE_SECONDS * 1000,
        "max_poll_interval_ms": LONGEST_BATCH_MILLISECONDS,
        "no_reply": True,
        "parser": parse_nothing,
        "decoder": hand_over_raw,
        "listener": _Listener(consumer),
    }


async def parse_nothing(
    records: tuple[ConsumerRecord[Any, Any], ...], _original: Callable[..., Awaitable[Any]]
) -> KafkaMessage:
    """Wrap raw records without looking at them: one broken header must not fail the batch that it came in."""
    first, last = records[0], records[-1]
    return KafkaAckableMessage(
        body=records,
        headers={},
        batch_headers=[],
        reply_to="",
        content_type=None,
        message_id=f"{first.offset}-{last.offset}",
        correlation_id=f"{first.topic}-{first.partition}-{first.offset}",
        raw_message=records,
        consumer=_NEVER_COMMITS,
    )


async def hand_over_raw(message: KafkaMessage, _original: Callable[..., Awaitable[Any]]) -> Sequence[Any]:
    """Give the handler the raw records."""
    return list(message.raw_message) if isinstance(message.raw_message, tuple) else [message.raw_message]


class _NeverCommits:
    """Stands where FastStream expects a consumer: only `Consumer` acknowledges, exactly what it has committed."""

    async def commit(self) -> None:
        message = "acknowledging is the consumer's, after the database's commit"
        raise AssertionError(message)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        del partition, offset
        message = "nothing is sought: whatever comes again changes nothing"
        raise AssertionError(message)


_NEVER_COMMITS = _NeverCommits()


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Lets a running batch end before its partitions go; asks no one anything (heartbeats start after it returns)."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        try:
            async with asyncio.timeout(REBALANCE_SECONDS / 2), self._consumer.busy:
                self._consumer.forget(list(revoked))
        except TimeoutError:
            # The batch goes on and commits what it can: whoever reads these records again finds them applied.
            self._consumer.forget(list(revoked))

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._consumer.forget(list(assigned))
