"""The outbox: what is told commits with the state, numbered per SMB without a gap."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

import asyncpg
import pytest
from sqlalchemy import text

from shared.runtime import outbox_queue
from shared.runtime.batch import transact
from shared.runtime.database import Database, Transaction
from shared.runtime.outbox import CHANNEL, AnnouncementTooLarge
from shared.runtime.outcome import Announcement, Outcome
from shared.schemas.announcements import ProfileChanges, ServicesChange, SMBUpdated
from shared.schemas.identity import SmbKey
from shared.schemas.topics import Topics
from tests.announced import announcement_of

TOPICS = Topics("outbox.")
STORY = "SELECT epoch, sequence FROM outgoing_messages WHERE smb_id = $1 ORDER BY id"


async def tell(database: Database, *smbs: SmbKey, touched: frozenset[SmbKey] = frozenset()) -> datetime:
    """Announce something about each SMB of the list, in its order; returns when."""
    when: list[datetime] = []

    async def act(_transaction: Transaction, now: datetime) -> Outcome:
        when.append(now)
        told = [announcement_of(smb) for smb in smbs]
        return Outcome(announcements=told, touched=set(touched))

    await transact(database, TOPICS, [*smbs, *touched], act)
    return when[-1]


async def test_announcements_are_numbered_per_smb_in_the_order_of_the_outcome(
    database: Database, administrator: asyncpg.Connection, smbs: Sequence[SmbKey]
) -> None:
    one, other, _ = smbs
    await tell(database, other, one, other)
    await tell(database, other)
    assert [tuple(row) for row in await administrator.fetch(STORY, other.smb_id)] == [(1, 1), (1, 2), (1, 3)]
    assert [tuple(row) for row in await administrator.fetch(STORY, one.smb_id)] == [(1, 1)]
    assert await administrator.fetchval("SELECT sequence FROM smb_heads WHERE smb_id = $1", other.smb_id) == 3


async def test_forty_transactions_at_once_leave_no_gap_and_no_disorder(
    database: Database, administrator: asyncpg.Connection, smbs: Sequence[SmbKey]
) -> None:
    await asyncio.gather(*(tell(database, *(smbs if number % 2 else smbs[::-1])) for number in range(40)))
    for smb in smbs:
        numbers = [row["sequence"] for row in await administrator.fetch(STORY, smb.smb_id)]
        assert numbers == list(range(1, 41))


async def test_a_touched_smb_gets_the_moment_and_no_number(
    database: Database, administrator: asyncpg.Connection, smbs: Sequence[SmbKey]
) -> None:
    now = await tell(database, smbs[0], touched=frozenset({smbs[1]}))
    rows = await administrator.fetch("SELECT sequence, last_now FROM smb_heads WHERE smb_id = $1", smbs[1].smb_id)
    assert [tuple(row) for row in rows] == [(0, now)]


async def test_what_fails_tells_nothing(
    database: Database, administrator: asyncpg.Connection, smbs: Sequence[SmbKey]
) -> None:
    async def fail(transaction: Transaction, _now: datetime) -> Outcome:
        await transaction.execute(text("UPDATE smb_heads SET engagement_score = 50"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await transact(database, TOPICS, smbs, fail)
    heads = await administrator.fetch("SELECT sequence, engagement_score FROM smb_heads WHERE smb_id = $1", smbs[0][1])
    assert [tuple(row) for row in heads] == [(0, 0)]
    assert await administrator.fetch(STORY, smbs[0].smb_id) == []


async def test_a_commit_wakes_the_relay_and_a_failure_does_not(
    database: Database, administrator: asyncpg.Connection, smbs: Sequence[SmbKey]
) -> None:
    woken = asyncio.Event()
    await administrator.add_listener(CHANNEL, lambda *_: woken.set())
    await tell(database, touched=frozenset(smbs))
    await administrator.fetchval("SELECT 1")
    assert not woken.is_set()
    await tell(database, smbs[0])
    await asyncio.wait_for(woken.wait(), 30)


async def test_the_epoch_is_the_installation_s(
    database: Database, administrator: asyncpg.Connection, smbs: Sequence[SmbKey]
) -> None:
    await tell(database, smbs[0])
    await administrator.execute("UPDATE installation SET epoch = 2")
    await tell(database, smbs[0])
    await administrator.execute("UPDATE installation SET epoch = 1")
    assert [tuple(row) for row in await administrator.fetch(STORY, smbs[0].smb_id)] == [(1, 1), (2, 2)]


async def test_the_queue_gives_the_oldest_first_and_forgets_exactly_what_was_sent(
    database: Database, administrator: asyncpg.Connection, smbs: Sequence[SmbKey]
) -> None:
    await administrator.execute("DELETE FROM outbox")
    for _ in range(3):
        await tell(database, *smbs)
    first = await outbox_queue.oldest(database, 4)
    assert len(first) == 4
    assert [one.id for one in first] == sorted(one.id for one in first)
    assert (first[0].topic, first[0].key) == ("outbox.smb.events", str(smbs[0].smb_id).encode())
    await tell(database, smbs[0])
    for _ in range(2):
        await outbox_queue.delete(database, first)
    rest = await outbox_queue.oldest(database, 100)
    assert len(rest) == 6
    assert min(one.id for one in rest) > max(one.id for one in first)
    async with database.transaction() as transaction:
        messages, seconds = await outbox_queue.depth(transaction)
    assert messages == 6
    assert seconds >= 0


async def test_an_announcement_that_kafka_would_refuse_fails_its_own_transaction(
    database: Database, administrator: asyncpg.Connection, smbs: Sequence[SmbKey]
) -> None:
    huge = tuple(f"{number:05} {'x' * 190}" for number in range(10_000))
    change = ProfileChanges(services_activated=ServicesChange(old=(), new=huge))

    async def act(_transaction: Transaction, _now: datetime) -> Outcome:
        return Outcome(announcements=[Announcement(smbs[0], SMBUpdated(smb_id=smbs[0].smb_id, changes=change))])

    with pytest.raises(AnnouncementTooLarge, match=f"SMBUpdated of .*{smbs[0].smb_id}"):
        await transact(database, TOPICS, smbs[:1], act)
    assert await administrator.fetch(STORY, smbs[0].smb_id) == []
