"""Positions: lag, records lost to retention, and going back, on a real broker."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from shared.runtime import progress
from shared.runtime.positions import GroupIsActive, Position, Positions
from tests.installation import Installation, Message, eventually

TOPIC = "email.opened"
NOW = datetime.now(UTC)


async def publish(installation: Installation, count: int) -> None:
    await installation.publish([Message(TOPIC, b"{}", b"k", partition=0) for _ in range(count)])


async def position(installation: Installation, group: str) -> Position:
    topic = installation.topics.full_name(TOPIC)
    async with Positions(installation.settings) as positions:
        found = await positions.read(installation.database, {group: [topic]})
    return next(one for one in found if one.partition.partition == 0)


async def finish(installation: Installation, group: str, offset: int) -> None:
    """As a worker does: the row first, then Kafka."""
    partition = TopicPartition(installation.topics.full_name(TOPIC), 0)
    async with installation.database.begin() as connection:
        await progress.record(connection, group, {partition: offset}, {}, NOW)
    async with Positions(installation.settings) as positions:
        await positions.set(group, {partition: offset})


@pytest.fixture
def group(installation: Installation) -> str:
    return f"{installation.topics.prefix}{uuid.uuid4().hex}"


async def test_lag_is_what_a_group_has_not_finished(installation: Installation, group: str) -> None:
    before = await position(installation, group)
    assert (before.row, before.committed) == (None, None)
    await publish(installation, 10)
    after = await position(installation, group)
    assert after.lag == before.lag + 10
    await finish(installation, group, after.log_end - 3)
    found = await position(installation, group)
    assert (found.row, found.committed, found.lag, found.lost) == (after.log_end - 3, after.log_end - 3, 3, 0)


async def test_a_group_goes_back_to_a_moment_and_never_forward(installation: Installation, group: str) -> None:
    await publish(installation, 5)
    end = (await position(installation, group)).log_end
    await finish(installation, group, end - 2)
    topics = [installation.topics.full_name(TOPIC)]
    async with Positions(installation.settings) as positions:
        await positions.rewind(group, topics, datetime.now(UTC) + timedelta(days=1))
        assert (await position(installation, group)).committed == end - 2
        await positions.rewind(group, topics, NOW - timedelta(days=1))
    found = await position(installation, group)
    assert found.committed == found.log_start


async def test_records_that_retention_took_unread_are_counted(installation: Installation, group: str) -> None:
    await publish(installation, 10)
    end = (await position(installation, group)).log_end
    await finish(installation, group, end - 8)
    partition = TopicPartition(installation.topics.full_name(TOPIC), 0)
    admin = AIOKafkaAdminClient(bootstrap_servers=installation.settings.kafka_bootstrap_servers)
    await admin.start()
    try:
        await admin.delete_records({partition: RecordsToDelete(before_offset=end - 3)})
    finally:
        await admin.close()
    found = await position(installation, group)
    assert (found.log_start, found.lost, found.lag) == (end - 3, 5, 3)


@pytest.mark.parametrize(
    ("row", "committed", "log_start", "lost"),
    [
        (None, None, 50, 0),  # a group that never read anything starts where the log starts
        (None, 40, 50, 10),
        (40, None, 50, 10),
        (45, 40, 50, 5),  # the row says how far it had come, also after a rewind
        (60, 60, 50, 0),
        (0, 0, 0, 0),
    ],
)
def test_only_what_a_group_had_still_to_read_is_lost(
    row: int | None, committed: int | None, log_start: int, lost: int
) -> None:
    assert Position("g", TopicPartition("t", 0), row, committed, log_start, 100).lost == lost


@pytest.mark.parametrize(("row", "past"), [(None, False), (100, False), (101, True)])
def test_a_group_that_has_finished_more_than_there_is_stands_past_the_end(row: int | None, *, past: bool) -> None:
    assert Position("g", TopicPartition("t", 0), row, None, 0, 100).is_past_the_end is past


async def test_positions_of_a_running_group_stay(installation: Installation) -> None:
    worker = installation.start("engagement")
    await eventually(lambda: worker.ops("/readyz")[0] == 200, "ready")
    async with Positions(installation.settings) as positions:
        with pytest.raises(GroupIsActive, match="stop them first"):
            await positions.require_stopped([installation.topics.group("engagement")])
        assert worker.terminate() == 0
        await positions.require_stopped([installation.topics.group("engagement")])
