"""Heads: everybody locks them in one order, missing ones too, and time never goes back under them."""

import asyncio
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from shared.runtime import heads
from shared.runtime.database import Database
from shared.schemas.identity import SmbKey
from tests.installation import eventually

HOLD = "SELECT FROM smb_heads WHERE (tenant_id, smb_id) = ($1, $2) FOR UPDATE"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def locked(database: Database, keys: Sequence[SmbKey]) -> heads.Locked:
    async with database.begin() as connection:
        return await heads.lock(connection, keys)


async def somebody_waits(administrator: asyncpg.Connection) -> None:
    await eventually(lambda: administrator.fetchval(WAITING), "somebody waits for a head")


async def test_heads_are_locked_one_after_the_other_in_their_order(
    database: Database, database_url: str, administrator: asyncpg.Connection, smbs: Sequence[SmbKey]
) -> None:
    first, second, third = smbs
    other = await asyncpg.connect(database_url)
    async with administrator.transaction():
        await administrator.execute(HOLD, *second)
        locking = asyncio.create_task(locked(database, [third, second, first]))
        await somebody_waits(other)
        async with other.transaction():
            await other.execute(f"{HOLD} NOWAIT", *third)
        with pytest.raises(asyncpg.LockNotAvailableError):
            await other.execute(f"{HOLD} NOWAIT", *first)
    assert list((await locking).keys) == [first, second, third]
    await other.close()


async def test_a_missing_head_is_inserted_and_an_erased_one_is_told(
    database: Database, administrator: asyncpg.Connection, smbs: Sequence[SmbKey]
) -> None:
    missing = SmbKey(uuid.uuid4(), uuid.uuid4())
    await administrator.execute("UPDATE smb_heads SET erased_at = now() WHERE smb_id = $1", smbs[1].smb_id)
    found = await locked(database, [*smbs, missing, missing])
    assert set(found.keys) == {*smbs, missing}
    assert found.erased == {smbs[1]}
    assert await administrator.fetchval("SELECT sequence FROM smb_heads WHERE smb_id = $1", missing.smb_id) == 0


async def test_a_head_that_the_cleanup_removes_meanwhile_is_there_again(
    database: Database, database_url: str, administrator: asyncpg.Connection, smbs: Sequence[SmbKey]
) -> None:
    other = await asyncpg.connect(database_url)
    async with administrator.transaction():
        await administrator.execute("DELETE FROM smb_heads WHERE smb_id = $1", smbs[1].smb_id)
        locking = asyncio.create_task(locked(database, smbs))
        await somebody_waits(other)
    assert list((await locking).keys) == list(smbs)
    assert await administrator.fetchval("SELECT count(*) FROM smb_heads WHERE smb_id = $1", smbs[1].smb_id) == 1
    await other.close()


async def test_missing_heads_that_many_want_at_once_never_deadlock(
    database: Database, administrator: asyncpg.Connection, smbs: Sequence[SmbKey]
) -> None:
    missing = [SmbKey(uuid.uuid4(), uuid.uuid4()) for _ in range(40)]
    orders = [[*missing, *smbs], [*smbs, *missing[::-1]], missing[::2], missing[::-3]] * 6
    await asyncio.gather(*(locked(database, order) for order in orders))
    ids = [smb.smb_id for smb in missing]
    assert await administrator.fetchval("SELECT count(*) FROM smb_heads WHERE smb_id = ANY($1)", ids) == len(missing)


async def test_now_is_read_after_the_wait_for_the_locks(
    database: Database, database_url: str, administrator: asyncpg.Connection, smbs: Sequence[SmbKey]
) -> None:
    other = await asyncpg.connect(database_url)
    async with administrator.transaction():
        await administrator.execute(HOLD, *smbs[0])
        locking = asyncio.create_task(locked(database, smbs))
        await somebody_waits(other)
        released_after = await administrator.fetchval("SELECT clock_timestamp()")
    assert (await locking).now > released_after
    await other.close()


async def test_now_never_lies_before_the_last_moment_of_any_head(
    database: Database, administrator: asyncpg.Connection, smbs: Sequence[SmbKey]
) -> None:
    ahead = datetime.now(UTC) + timedelta(hours=1)
    await administrator.execute("UPDATE smb_heads SET last_now = $1 WHERE smb_id = $2", ahead, smbs[2].smb_id)
    assert (await locked(database, smbs)).now == ahead
    async with database.begin() as connection:
        assert (await heads.lock_range(connection, smbs[0], smbs[2])).now == ahead


async def test_no_smb_means_no_lock_and_the_time_all_the_same(database: Database) -> None:
    found = await locked(database, [])
    assert (list(found.keys), found.erased, found.epoch) == ([], frozenset(), 1)
    assert found.now.tzinfo is not None


async def test_a_range_holds_both_its_ends_and_inserts_nothing(database: Database, smbs: Sequence[SmbKey]) -> None:
    async with database.begin() as connection:
        found = await heads.lock_range(connection, smbs[0], smbs[2])
        assert set(found.keys) >= set(smbs)
        assert list(found.keys) == sorted(found.keys)
        nobody = SmbKey(uuid.UUID(int=0), uuid.UUID(int=0))
        assert (await heads.lock_range(connection, nobody, nobody)).keys == []


async def test_numbers_go_on_where_the_head_stands(database: Database, smbs: Sequence[SmbKey]) -> None:
    one, other, _ = smbs
    for before in (0, 2):
        async with database.begin() as connection:
            now = (await heads.lock(connection, smbs)).now
            assert await heads.number(connection, {other: 0, one: 2}, now) == {one: before, other: 0}
    assert (await locked(database, [other])).now >= now
