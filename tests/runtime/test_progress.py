"""Progress: the witness of what was finished, that notices a database which went back."""

from datetime import UTC, datetime

import pytest
from aiokafka import TopicPartition

from shared.runtime import progress
from shared.runtime.database import Database
from shared.runtime.errors import DatabaseWentBack

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ONE, OTHER = TopicPartition("a", 0), TopicPartition("a", 1)


async def record(
    database: Database, group: str, finished: progress.Offsets, acknowledged: progress.Offsets | None = None
) -> progress.Offsets:
    async with database.begin() as connection:
        return await progress.record(connection, group, finished, acknowledged or {}, NOW)


async def rows(database: Database, group: str) -> progress.Offsets:
    async with database.begin() as connection:
        return await progress.read(connection, group)


async def test_the_greatest_offset_wins(database: Database) -> None:
    assert await record(database, "greatest", {ONE: 10, OTHER: 3}) == {}
    assert await record(database, "greatest", {ONE: 7}) == {ONE: 10}
    assert await record(database, "greatest", {OTHER: 4}) == {OTHER: 3}
    assert await rows(database, "greatest") == {ONE: 10, OTHER: 4}


async def test_groups_do_not_see_each_other(database: Database) -> None:
    await record(database, "mine", {ONE: 10})
    assert await record(database, "yours", {ONE: 2}, {ONE: 0}) == {}
    assert await rows(database, "yours") == {ONE: 2}


async def test_a_row_behind_what_kafka_has_is_a_database_that_went_back(database: Database) -> None:
    await record(database, "back", {ONE: 10, OTHER: 10})
    with pytest.raises(DatabaseWentBack, match=r"group back at a\[1\] up to offset 10, but Kafka has 11") as caught:
        await record(database, "back", {ONE: 20, OTHER: 20}, {ONE: 10, OTHER: 11})
    assert "smb-crm after-restore" in str(caught.value)
    assert await rows(database, "back") == {ONE: 10, OTHER: 10}


async def test_a_row_that_is_gone_counts_as_nought(database: Database) -> None:
    with pytest.raises(DatabaseWentBack, match="up to offset 0"):
        await record(database, "gone", {ONE: 20}, {ONE: 1})
    assert await record(database, "gone", {ONE: 20}, {ONE: 0}) == {}


async def test_a_row_at_or_ahead_of_what_kafka_has_is_as_it_should_be(database: Database) -> None:
    await record(database, "ahead", {ONE: 10})
    assert await record(database, "ahead", {ONE: 11}, {ONE: 10, OTHER: 99}) == {ONE: 10}
    assert await record(database, "ahead", {ONE: 12}, {ONE: 5}) == {ONE: 11}
