"""Job runs: every SMB is in exactly one shard, and a shard counts once however often it comes."""

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest

from shared.runtime import jobs
from shared.runtime.database import Database, Transaction
from shared.schemas.envelope import Input
from shared.schemas.identity import Place, SmbKey, event_key
from shared.schemas.shards import JobShard, shard_of
from shared.schemas.triggers import RecalculateEngagementScores

NOW = datetime.now(UTC)
JOB = "RecalculateEngagementScores"
SIZE = 4


@pytest.fixture
async def population(administrator: asyncpg.Connection) -> AsyncIterator[str]:
    """A population that a test fills."""
    await administrator.execute("CREATE TABLE people (tenant_id uuid, smb_id uuid); GRANT SELECT ON people TO PUBLIC")
    yield "SELECT tenant_id, smb_id FROM people"
    await administrator.execute("DROP TABLE people")


@pytest.fixture
async def transaction(database: Database) -> AsyncIterator[Transaction]:
    async with database.transaction() as one:
        yield one


def trigger_of(id_: str, offset: int = 0) -> Input:
    data = RecalculateEngagementScores(scheduled_for=NOW)
    place = Place("smb.schedule", 0, offset)
    return Input(JOB, "/test", id_, NOW, None, data, None, place, event_key("/test", id_), int(NOW.timestamp() * 1000))


@pytest.mark.parametrize("size", [1, SIZE])
@pytest.mark.parametrize("count", [0, 1, 2, SIZE - 1, SIZE, SIZE + 1, 2 * SIZE, 2 * SIZE + 1])
async def test_ranges_hold_every_smb_once_and_no_more_than_asked(
    database: Database, administrator: asyncpg.Connection, population: str, count: int, size: int
) -> None:
    keys = sorted(SmbKey(uuid.uuid4(), uuid.uuid4()) for _ in range(count))
    await administrator.executemany("INSERT INTO people VALUES ($1, $2)", keys)
    async with database.transaction() as transaction:
        ranges = await jobs.ranges_of(transaction, population, size)
    held = [[key for key in keys if first <= key <= last] for first, last in ranges]
    assert [key for shard in held for key in shard] == keys
    assert all(1 <= len(shard) <= size for shard in held)
    assert len(ranges) == -(-count // size)
    assert [(shard[0], shard[-1]) for shard in held] == [(SmbKey(*first), SmbKey(*last)) for first, last in ranges]


async def begin(transaction: Transaction, shards: int) -> list[JobShard]:
    trigger = trigger_of(uuid.uuid4().hex)
    await jobs.register(transaction, trigger, NOW)
    keys = sorted(SmbKey(uuid.uuid4(), uuid.uuid4()) for _ in range(2 * shards))
    ranges = list(zip(keys[::2], keys[1::2], strict=True))
    return await jobs.start(transaction, JOB, trigger.event_key, ranges, NOW)


async def run_of(administrator: asyncpg.Connection, run_id: uuid.UUID) -> tuple[object, ...]:
    (run,) = await administrator.fetch(
        "SELECT status, shards_done, shards_total, smbs_seen, smbs_changed FROM job_runs WHERE run_id = $1", run_id
    )
    return tuple(run)


async def test_a_shard_that_is_finished_twice_counts_once_and_the_last_one_ends_the_run(
    database: Database, administrator: asyncpg.Connection
) -> None:
    async with database.transaction() as transaction:
        one, other = await begin(transaction, 2)
    for _ in range(2):
        async with database.transaction() as transaction:
            await jobs.finish(transaction, one, seen=5, changed=2, now=NOW)
    assert await run_of(administrator, one.run_id) == ("running", 1, 2, 5, 2)
    async with database.transaction() as transaction:
        assert not await jobs.is_open(transaction, one)
        assert await jobs.is_open(transaction, other)
        await jobs.finish(transaction, other, seen=1, changed=0, now=NOW)
    assert await run_of(administrator, one.run_id) == ("finished", 2, 2, 6, 2)


async def test_only_a_known_shard_with_its_own_bounds_is_open(transaction: Transaction) -> None:
    (shard,) = await begin(transaction, 1)
    assert await jobs.is_open(transaction, shard)
    elsewhere = shard_of(JOB, shard.run_id, 1, shard.first.key, SmbKey(uuid.uuid4(), uuid.uuid4()))
    unknown_number = shard_of(JOB, shard.run_id, 2, shard.first.key, shard.last.key)
    unknown_run = shard_of(JOB, uuid.uuid4(), 1, shard.first.key, shard.last.key)
    for other in (elsewhere, unknown_number, unknown_run):
        assert not await jobs.is_open(transaction, other)


async def test_a_run_without_smbs_is_finished_at_once(database: Database, administrator: asyncpg.Connection) -> None:
    trigger = trigger_of("nobody")
    async with database.transaction() as transaction:
        await jobs.register(transaction, trigger, NOW)
        assert await jobs.start(transaction, JOB, trigger.event_key, [], NOW) == []
    assert await run_of(administrator, trigger.event_key) == ("finished", 0, 0, 0, 0)


async def test_a_run_starts_once(transaction: Transaction) -> None:
    (shard,) = await begin(transaction, 1)
    ranges = [(shard.first.key, shard.last.key)]
    assert await jobs.start(transaction, JOB, shard.run_id, ranges, NOW) == []


async def test_a_trigger_is_new_then_only_delivered_again_then_a_copy(transaction: Transaction) -> None:
    trigger = trigger_of("three times")
    outcomes = [await jobs.register(transaction, one, NOW) for one in (trigger, trigger, trigger_of("three times", 9))]
    assert [(one.applied, one.repeated, len(one.copies)) for one in outcomes] == [(1, 0, 0), (0, 1, 0), (0, 1, 1)]
    assert not outcomes[2].copies[0].differs


async def test_a_trigger_that_the_ledger_may_have_forgotten_counts_as_repeated(transaction: Transaction) -> None:
    trigger = trigger_of("forgotten")
    later = NOW + jobs.LEDGER_KEEPS
    assert (await jobs.register(transaction, trigger, later.replace(microsecond=0))).applied == 1
    again = trigger_of("forgotten too")
    assert (await jobs.register(transaction, again, NOW + jobs.LEDGER_KEEPS * 2)).repeated == 1
