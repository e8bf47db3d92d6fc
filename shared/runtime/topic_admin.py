"""Creating this installation's topics."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import for_code

from shared.runtime.errors import RuntimeTrouble
from shared.runtime.kafka import client_options
from shared.runtime.settings import Settings
from shared.schemas.topics import MESSAGE_MAX_BYTES, TOPICS, Retention, Topics

# Kafka's answer when another process has just created the topic.
_ALREADY_EXISTS = 36


class WrongTopics(RuntimeTrouble):
    """Topics that exist do not fit the settings, or can't be created."""


@dataclass(frozen=True, slots=True)
class TopicsReport:
    """Which topics were there and which were made."""

    existing: Sequence[str]
    created: Sequence[str]


async def create_topics(settings: Settings) -> TopicsReport:
    """Create the topics that are missing; safe twice and from several pods at once.

    Raises WrongTopics when one exists with another partition count: an SMB's events must stay in one partition.
    """
    names = Topics(settings.topic_prefix)
    wanted = {names.full_name(topic): TOPICS[topic].retention for topic in TOPICS}
    admin = AIOKafkaAdminClient(**client_options(settings))
    await admin.start()
    try:
        existing = sorted(set(wanted) & set(await admin.list_topics()))
        await _require_partitions(admin, existing, settings.topic_partitions)
        missing = sorted(set(wanted) - set(existing))
        if missing:
            response = await admin.create_topics(
                [_new_topic(name, wanted[name], settings) for name in missing], timeout_ms=20_000
            )
            _require_created(response.topic_errors)
    finally:
        await admin.close()
    return TopicsReport(existing, missing)


def _new_topic(name: str, retention: Retention, settings: Settings) -> NewTopic:
    days = settings.topic_retention_days if retention is Retention.EVENTS else settings.command_retention_days
    return NewTopic(
        name,
        num_partitions=settings.topic_partitions,
        replication_factor=settings.topic_replication,
        topic_configs={
            "retention.ms": str(int(timedelta(days=days).total_seconds() * 1000)),
            "max.message.bytes": str(MESSAGE_MAX_BYTES),
            # The broker's clock: a sender that writes the events' own times would let retention delete them at once.
            "message.timestamp.type": "LogAppendTime",
            # An acknowledged message is on two brokers, where there are so many.
            "min.insync.replicas": str(min(2, settings.topic_replication)),
        },
    )


async def _require_partitions(admin: AIOKafkaAdminClient, existing: Sequence[str], partitions: int) -> None:
    if not existing:
        return
    for topic in await admin.describe_topics(list(existing)):
        found = len(topic["partitions"])
        if found != partitions:
            message = (
                f"topic {topic['topic']} has {found} partitions and SMB_TOPIC_PARTITIONS is {partitions}: the count is "
                "fixed for ever, because an SMB's events must stay in one partition"
            )
            raise WrongTopics(message)


def _require_created(errors: Iterable[tuple[str, int, str | None]]) -> None:
    for name, code, explanation in errors:
        if code not in (0, _ALREADY_EXISTS):
            message = f"topic {name} cannot be created: {explanation or for_code(code).__name__}"
            raise WrongTopics(message)
