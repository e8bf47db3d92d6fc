"""Kafka loses what it had: retention passes a group's position, or a topic is deleted and created anew."""

import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from shared.runtime.topic_admin import create_topics
from shared.schemas.identity import SmbKey
from tests.faults.scene import metric
from tests.installation import Installation, Message, event, eventually

TOPIC = "email.opened"
LOST = "smb_records_lost_to_retention"


@asynccontextmanager
async def administrator(installation: Installation) -> AsyncIterator[AIOKafkaAdminClient]:
    """A client that may delete."""
    admin = AIOKafkaAdminClient(bootstrap_servers=installation.settings.kafka_bootstrap_servers)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


def opened(smb: SmbKey, id_: str) -> Message:
    """An event in the first partition."""
    return replace(event("EmailOpened", smb, id_=id_, message_id="m"), partition=0)


def poison(text: str) -> Message:
    """Bytes that are no event, in the first partition."""
    return Message(TOPIC, text.encode(), b"k", partition=0)


async def applied(installation: Installation, beginning: str) -> list[str]:
    """The ids of the events that count and begin so."""
    rows = await installation.fetch(
        "SELECT event_id FROM engagement_events WHERE starts_with(event_id, $1) ORDER BY event_id", beginning
    )
    return [row["event_id"] for row in rows]


async def test_a_topic_that_is_created_anew_is_read_from_its_beginning_and_costs_no_letter(
    installation: Installation,
) -> None:
    (smb,) = await installation.add_smbs(1)
    worker = installation.start("engagement")
    await installation.publish([poison("old 0"), opened(smb, "old-1"), poison("old 2"), opened(smb, "old-3")])
    await installation.idle()
    assert worker.terminate() == 0
    await create_anew(installation)
    worker = installation.start("engagement")
    await installation.publish([opened(smb, "new-0"), opened(smb, "old-1"), poison("new 2")])
    await installation.idle()
    assert await applied(installation, "old") == ["old-1", "old-3"]
    assert await applied(installation, "new") == ["new-0"]
    letters = await installation.fetch("SELECT partition_offset, value FROM dead_letters ORDER BY id")
    assert [tuple(row) for row in letters] == [(0, b"old 0"), (2, b"old 2"), (2, b"new 2")]
    await eventually(lambda: "topic was re-created" in worker.logged(), "the log says so")
    assert metric(worker.ops("/metrics")[1], LOST, group=installation.topics.group("engagement")) == 0
    assert worker.terminate() == 0


async def test_a_worker_that_runs_meanwhile_goes_on_with_the_new_topic(installation: Installation) -> None:
    (smb,) = await installation.add_smbs(1)
    worker = installation.start("engagement")
    await installation.publish([opened(smb, f"first-{number}") for number in range(4)])
    await installation.idle()
    await create_anew(installation, lambda: "not found in cluster metadata" in worker.logged())
    await installation.publish([opened(smb, f"second-{number}") for number in range(6)])
    await installation.idle()
    assert await applied(installation, "second") == [f"second-{number}" for number in range(6)]
    assert worker.terminate() == 0


async def create_anew(installation: Installation, noticed: Callable[[], bool] = lambda: True) -> None:
    """Delete the topic and create it again once somebody has noticed."""
    name = installation.topics.full_name(TOPIC)
    async with administrator(installation) as admin:
        await admin.delete_topics([name])
        await eventually(lambda: is_gone(admin, name), "the topic is gone")
    await eventually(noticed, "it was noticed")
    assert (await create_topics(installation.settings)).created == [name]


async def is_gone(admin: AIOKafkaAdminClient, topic: str) -> bool:
    return topic not in await admin.list_topics()


async def test_records_that_retention_took_from_a_frozen_worker_are_told_and_it_goes_on(
    installation: Installation,
) -> None:
    (smb,) = await installation.add_smbs(1)
    worker = installation.start("engagement")
    await installation.publish([opened(smb, "before")])
    await installation.idle()
    worker.signal(signal.SIGSTOP)
    # A fetch may still be under way: the broker answers it with the first record, and with none after it.
    await installation.publish([opened(smb, "late-0")])
    await installation.publish([opened(smb, f"late-{number}") for number in range(1, 9)])
    (last,) = [record for record in await installation.read_topic(TOPIC) if b"late-8" in record.value]
    async with administrator(installation) as admin:
        partition = TopicPartition(last.topic, last.partition)
        await admin.delete_records({partition: RecordsToDelete(before_offset=last.offset - 2)})
    worker.signal(signal.SIGCONT)
    await installation.idle()
    found = await applied(installation, "late")
    assert found[-3:] == ["late-6", "late-7", "late-8"]
    group = installation.topics.group("engagement")
    assert len(found) in {3, 4}
    # The watch may have looked while the first record was in the worker's hands and not finished yet.
    await eventually(lambda: metric(worker.ops("/metrics")[1], LOST, group=group) in {5, 6}, "the loss is counted once")
    assert "retention deleted records that nobody had read" in worker.logged()
    assert worker.ops("/readyz")[0] == 200
    assert worker.terminate() == 0


async def test_a_worker_that_was_away_tells_what_retention_took_meanwhile(installation: Installation) -> None:
    (smb,) = await installation.add_smbs(1)
    await installation.publish([opened(smb, f"away-{number}") for number in range(5)])
    (last,) = [record for record in await installation.read_topic(TOPIC) if b"away-4" in record.value]
    async with administrator(installation) as admin:
        partition = TopicPartition(last.topic, last.partition)
        await admin.delete_records({partition: RecordsToDelete(before_offset=last.offset)})
    worker = installation.start("engagement")
    await installation.idle()
    assert await applied(installation, "away") == ["away-4"]
    group = installation.topics.group("engagement")
    await eventually(lambda: metric(worker.ops("/metrics")[1], LOST, group=group) == 4, "the loss is counted")
    assert worker.terminate() == 0
