"""What the fault tests share: publishing with proof, waiting for progress, and dumping everything for the checker."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.structs import RecordMetadata

from shared.schemas.identity import Place, SmbKey
from shared.schemas.topics import ANNOUNCEMENTS_TOPIC, ENGAGEMENT_TOPICS
from tests.faults.checker import LAST_SEEN, Dump, Head, Letter, Sent, Stored, Told
from tests.faults.erased_checker import check_with_erased
from tests.installation import Installation, Message, eventually

KIND_TOPICS = {
    "email_opened": "email.opened",
    "rvm_delivered": "rvm.delivered",
    "email_clicked": "email.clicked",
    "callback_received": "callback.received",
    "content_viewed": "content.viewed",
    "content_completed": "content.completed",
    "approval_approved": "approval.submitted",
    "approval_rejected": "approval.submitted",
}
OURS = b"/modules/smb-crm"
# The test's own patience with a broker that is down.
PRODUCER_MILLISECONDS = 90_000


class Load:
    """Publishes and remembers what the broker has acknowledged."""

    def __init__(self, installation: Installation, producer: AIOKafkaProducer) -> None:
        self._installation = installation
        self._producer = producer
        self.acknowledged: set[Place] = set()

    async def send(self, messages: Sequence[Message]) -> list[Place]:
        """Publish in order, wait for the acknowledgements, return where the records stand."""
        sent = [await self._send(one) for one in messages]
        stand = await asyncio.gather(*sent)
        places = [Place(one.topic, at.partition, at.offset) for one, at in zip(messages, stand, strict=True)]
        self.acknowledged.update(places)
        return places

    async def _send(self, one: Message) -> "asyncio.Future[RecordMetadata]":
        topic, headers = self._installation.topics.full_name(one.topic), list(one.headers)
        if one.key is None and one.value is None:
            # The producer's own method takes no such record, Kafka does.
            batch = self._producer.create_batch()
            batch.append(timestamp=None, key=None, value=None, headers=headers)
            sent = await self._producer.send_batch(batch, topic, partition=one.partition or 0)
        else:
            sent = await self._producer.send(topic, one.value, key=one.key, headers=headers, partition=one.partition)
        acknowledgement: asyncio.Future[RecordMetadata] = sent
        return acknowledgement


@asynccontextmanager
async def load_on(installation: Installation) -> AsyncIterator[Load]:
    """A load whose producer loses and doubles nothing."""
    producer = AIOKafkaProducer(
        bootstrap_servers=installation.settings.kafka_bootstrap_servers,
        enable_idempotence=True,
        linger_ms=5,
        request_timeout_ms=PRODUCER_MILLISECONDS,
        max_request_size=2 * 1024 * 1024,
    )
    await producer.start()
    try:
        yield Load(installation, producer)
    finally:
        await producer.stop()


async def progress(installation: Installation, service: str = "engagement") -> int:
    """How many records the group of a service has finished, by the database."""
    records: int = await installation.value(
        "SELECT coalesce(sum(next_offset), 0) FROM consumer_progress WHERE consumer_group = $1",
        installation.topics.prefix + service,
    )
    return records


async def progressed(installation: Installation, records: int = 1, service: str = "engagement") -> int:
    """Wait until so many records more are finished than now; returns how many there are then."""
    target = await progress(installation, service) + records

    async def enough() -> int:
        there = await progress(installation, service)
        return there if there >= target else 0

    there: int = await eventually(enough, f"{records} records of progress")
    return there


async def all_hold(installation: Installation, *loads: Load) -> Dump:
    """Wait for rest, dump, and require that the checker has nothing to complain about."""
    await installation.idle()
    dump = await dumped(installation, *loads)
    complaints = check_with_erased(dump)
    assert complaints == [], "\n".join(complaints[:20])
    return dump


async def dumped(installation: Installation, *loads: Load) -> Dump:
    """Read the event topics, the database and `smb.events`."""
    sent = [
        Sent(Place(topic, one.partition, one.offset), one.key, one.value, tuple(one.headers))
        for topic, one in await read_topics(installation, set(ENGAGEMENT_TOPICS.values()))
    ]
    announced = await read_topics(installation, {ANNOUNCEMENTS_TOPIC})
    told = [_told(one) for _, one in announced if ("ce_source", OURS) in one.headers]
    heads = await installation.fetch("SELECT * FROM smb_heads")
    live = await installation.fetch("SELECT tenant_id, id FROM smbs WHERE deleted_at IS NULL")
    copies = await copies_of(installation, "engagement")
    return Dump(
        sent=sent,
        acknowledged=frozenset(
            place for load in loads for place in load.acknowledged if place.topic in ENGAGEMENT_TOPICS.values()
        ),
        events=await _stored(installation),
        copies=frozenset(place for place in copies if place.topic in ENGAGEMENT_TOPICS.values()),
        letters=[letter for letter in await letters(installation) if letter.place.topic in ENGAGEMENT_TOPICS.values()],
        heads={
            SmbKey(plain(row["tenant_id"]), plain(row["smb_id"])): Head(
                row["sequence"],
                row["engagement_score"],
                row["announced_score"],
                row["engagement_scored_on"],
                {name: row[name] for name in LAST_SEEN},
            )
            for row in heads
        },
        live=frozenset(SmbKey(plain(row["tenant_id"]), plain(row["id"])) for row in live),
        told=told,
        erased=frozenset(
            SmbKey(plain(row["tenant_id"]), plain(row["smb_id"])) for row in heads if row["erased_at"] is not None
        ),
    )


async def letters(installation: Installation) -> list[Letter]:
    """All dead letters, in the order in which they were parked."""
    return [
        Letter(
            Place(short(installation, row["topic"]), row["partition_number"], row["partition_offset"]),
            row["service"],
            row["key"],
            row["value"],
            tuple((name, None if it is None else base64.b64decode(it)) for name, it in json.loads(row["headers"])),
        )
        for row in await installation.fetch("SELECT * FROM dead_letters ORDER BY id")
    ]


async def copies_of(installation: Installation, service: str) -> list[Place]:
    """Where the records stand that a service has taken for copies."""
    repeated = await installation.fetch(
        "SELECT * FROM repeated_inputs WHERE consumer_group = $1", installation.topics.prefix + service
    )
    return [
        Place(short(installation, row["topic"]), row["partition_number"], row["partition_offset"]) for row in repeated
    ]


async def read_topics(installation: Installation, topics: Iterable[str]) -> list[tuple[str, ConsumerRecord]]:
    """All records of topics (named without prefix) with their topic, in the order of each partition."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=installation.settings.kafka_bootstrap_servers,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        numbers = range(installation.settings.topic_partitions)
        partitions = [TopicPartition(installation.topics.full_name(topic), one) for topic in topics for one in numbers]
        await consumer.topics()
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        found: list[tuple[str, ConsumerRecord]] = []
        waiting = {one for one in partitions if ends[one] > 0}
        while waiting:
            for partition, records in (await consumer.getmany(*waiting, timeout_ms=200)).items():
                found += [(short(installation, partition.topic), one) for one in records]
            waiting = {one for one in waiting if await consumer.position(one) < ends[one]}
        return sorted(found, key=lambda one: (one[0], one[1].partition, one[1].offset))
    finally:
        await consumer.stop()


def metric(page: str, name: str, **labels: str) -> float:
    """The sum of a metric over all its series that have these labels; 0 when there is none."""
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    lines = [line for line in page.splitlines() if line.startswith((f"{name}{{", f"{name} "))]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if all(one in line for one in wanted))


async def _stored(installation: Installation) -> list[Stored]:
    return [
        Stored(
            SmbKey(plain(row["tenant_id"]), plain(row["smb_id"])),
            row["source"],
            row["event_id"],
            row["kind"],
            row["occurred_at"],
            Place(KIND_TOPICS[row["kind"]], row["partition_number"], row["partition_offset"]),
        )
        for row in await installation.fetch("SELECT *, kind::text AS kind FROM engagement_events ORDER BY event_key")
    ]


def _told(record: ConsumerRecord) -> Told:
    headers = {name: value.decode() for name, value in record.headers}
    return Told(
        SmbKey(UUID(headers["ce_tenantid"]), UUID(headers["ce_subject"])),
        int(headers["ce_epoch"]),
        int(headers["ce_sequence"]),
        headers["ce_type"],
        (tuple(record.headers), record.value),
    )


def short(installation: Installation, topic: str) -> str:
    """The name of a topic without prefix."""
    return topic.removeprefix(installation.topics.prefix)


def plain(value: UUID) -> UUID:
    """A UUID of the standard library; the driver's own compares equal, and sorts with it."""
    return UUID(int=value.int)
