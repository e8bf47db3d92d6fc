"""The announced score is the one in the last SMBEngagementChanged, as long as that message is surely kept."""

import uuid
from collections.abc import AsyncIterator
from datetime import date, timedelta

import asyncpg
import pytest

from shared.runtime.database import Database
from shared.schemas.announcements import GroupPoints, SMBEngagementChanged
from shared.schemas.identity import SmbKey
from tests.verify.examples import differences

HEAD = "INSERT INTO smb_heads (tenant_id, smb_id, announced_score, sequence, erased_at) VALUES ($1, $2, $3, $4, $5)"
MESSAGE = """
INSERT INTO outgoing_messages (tenant_id, smb_id, epoch, sequence, type, value, created_at, topic, key, headers)
VALUES ($1, $2, $3, $4, $5, $6, now() - $7::interval, 't', 'k', '[]')
"""
SECOND, KEPT, OLD = timedelta(seconds=1), timedelta(days=34, hours=23), timedelta(days=35, seconds=1)


@pytest.fixture
async def smb(administrator: asyncpg.Connection) -> AsyncIterator[SmbKey]:
    """An SMB of which only head and messages matter; gone after the test."""
    key = SmbKey(uuid.uuid4(), uuid.uuid4())
    yield key
    await administrator.execute("DELETE FROM outgoing_messages")
    await administrator.execute("DELETE FROM smb_heads")


async def tell(administrator: asyncpg.Connection, smb: SmbKey, *places: tuple[int, int, int, timedelta]) -> None:
    """Keep an announcement for each epoch, sequence, score and age, and one of another type after the last."""
    for epoch, sequence, score, age in places:
        groups = GroupPoints(reach=0, response=0, content=0, approval=0)
        data = SMBEngagementChanged(
            smb_id=smb.smb_id,
            old_score=0,
            new_score=score,
            delta=score,
            groups=groups,
            policy_version="0123456789ab",
            as_of=date(2026, 1, 1),
        )
        value = data.model_dump_json().encode()
        await administrator.execute(MESSAGE, *smb, epoch, sequence, "SMBEngagementChanged", value, age)
    epoch, sequence, _, age = places[-1]
    await administrator.execute(MESSAGE, *smb, epoch, sequence + 1, "SMBTierChanged", b"{}", age)


@pytest.mark.parametrize(
    "places",
    [
        ((1, 1, 5, SECOND),),
        ((1, 1, 40, KEPT), (1, 2, 5, SECOND)),
        ((1, 1, 60, SECOND), (1, 2, 40, SECOND), (2, 3, 5, SECOND)),
        ((1, 1, 40, OLD), (1, 2, 5, KEPT)),
    ],
    ids=["one", "the last of two", "the last of the newest epoch", "the last is young enough"],
)
async def test_an_announced_score_that_was_not_told_is_found_though_it_is_near_the_score(
    database: Database, administrator: asyncpg.Connection, smb: SmbKey, places: tuple[tuple[int, int, int, timedelta]]
) -> None:
    await tell(administrator, smb, *places)
    await administrator.execute(HEAD, *smb, 4, places[-1][1] + 1, None)
    assert await differences(database) == [(smb, "announced", "announced_score", 4, "5 as in the last announcement")]
    await administrator.execute("UPDATE smb_heads SET announced_score = 5")
    assert await differences(database) == []


async def test_an_announcement_that_may_not_be_the_last_any_more_says_nothing(
    database: Database, administrator: asyncpg.Connection, smb: SmbKey
) -> None:
    await tell(administrator, smb, (1, 1, 9, OLD))
    await administrator.execute(HEAD, *smb, 4, 2, None)
    assert await differences(database) == []


async def test_what_an_erased_smb_still_has_to_tell_says_nothing(
    database: Database, administrator: asyncpg.Connection, smb: SmbKey
) -> None:
    await tell(administrator, smb, (1, 1, 9, SECOND))
    erased_at = await administrator.fetchval("SELECT now()")
    await administrator.execute(HEAD, *smb, 0, 2, erased_at)
    await administrator.execute("INSERT INTO outbox (message_id, created_at) SELECT id, now() FROM outgoing_messages")
    assert await differences(database) == []
