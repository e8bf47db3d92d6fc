"""The score of the last microsecond of a UTC day and of the first one of the next, by every way of scoring."""

import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from services.engagement import store
from services.engagement.handler import EngagementHandler
from services.engagement.scoring import ORDINARY_EVENTS
from shared.runtime import heads
from shared.runtime.database import Database, Transaction
from shared.schemas.engagement import ApprovalSubmitted, EmailClicked
from shared.schemas.envelope import Input, require_not_ahead
from shared.schemas.identity import Place, SmbKey, event_key
from shared.schemas.policy import Policy

POLICY = Policy.default()
SMB = SmbKey(UUID(int=7), UUID(int=1))
MIDNIGHT = datetime(2026, 4, 1, tzinfo=UTC)
BEFORE_MIDNIGHT = MIDNIGHT - timedelta(microseconds=1)
ONE_DAY = timedelta(days=1)
OFFSETS = itertools.count()

# When a click happened, and how much of it counts before and after midnight.
CLICKS = {
    "29 days ago, at the beginning": (MIDNIGHT - 30 * ONE_DAY, (1, 0)),
    "29 days ago, at the end": (BEFORE_MIDNIGHT - 29 * ONE_DAY, (1, 0)),
    "28 days ago, at the beginning": (MIDNIGHT - 29 * ONE_DAY, (1, 1)),
    "30 days ago, at the end": (BEFORE_MIDNIGHT - 30 * ONE_DAY, (0, 0)),
    "just now": (BEFORE_MIDNIGHT, (1, 1)),
    "tomorrow, at the beginning": (MIDNIGHT, (0, 1)),
    "tomorrow, as far ahead as may be": (BEFORE_MIDNIGHT + timedelta(minutes=5), (0, 1)),
}


def input_of(data: EmailClicked | ApprovalSubmitted, time: datetime) -> Input:
    offset = next(OFFSETS)
    place, key = Place("any", 0, offset), event_key("/test", str(offset))
    return Input(type(data).__name__, "/test", str(offset), time, SMB, data, None, place, key, 0)


def click(time: datetime) -> Input:
    return input_of(EmailClicked(smb_id=SMB.smb_id, message_id="m", url="https://example.test/"), time)


def approval(time: datetime) -> Input:
    return input_of(ApprovalSubmitted(smb_id=SMB.smb_id, approval_id="a", service="Web", decision="approved"), time)


@pytest.fixture(scope="module")
async def database(database_url: str) -> AsyncIterator[Database]:
    one = Database.create(database_url)
    yield one
    await one.close()


async def scores(database: Database, events: list[Input]) -> tuple[list[int], list[int]]:
    """The scores before and after midnight of a batch and of a creation, and those of the nightly work."""
    handler = EngagementHandler(POLICY, 1)
    touched, ranged = [], []
    async with database.engine.connect() as connection:
        await heads.lock(connection, [SMB])
        transaction = Transaction(connection, [SMB])
        for now in (BEFORE_MIDNIGHT, MIDNIGHT):
            if now is BEFORE_MIDNIGHT:
                await handler.handle(transaction, events, now)
            else:
                await handler.rescore(transaction, [SMB], now)
            touched.append(await score(transaction))
        for now in (BEFORE_MIDNIGHT, MIDNIGHT):
            await store.score_range(transaction, [SMB], POLICY.score, now)
            ranged.append(await score(transaction))
        await connection.rollback()
    return touched, ranged


async def score(transaction: Transaction) -> int:
    found: int = (await transaction.execute(text("SELECT engagement_score FROM smb_heads"))).scalar_one()
    return found


@pytest.mark.parametrize(("clicks", "points"), [(1, 3), (ORDINARY_EVENTS + 1, 30)], ids=["ordinary", "hot"])
@pytest.mark.parametrize(("time", "counts"), CLICKS.values(), ids=CLICKS)
async def test_a_click_counts_for_30_utc_days_to_the_microsecond(
    database: Database, time: datetime, counts: tuple[int, int], clicks: int, points: int
) -> None:
    require_not_ahead(click(time), BEFORE_MIDNIGHT)
    expected = [count * points for count in counts]
    assert await scores(database, [click(time) for _ in range(clicks)]) == (expected, expected)


@pytest.mark.parametrize(("approvals", "most"), [(1, 5), (ORDINARY_EVENTS + 1, 25)], ids=["ordinary", "hot"])
async def test_an_approval_of_tomorrow_counts_from_midnight_on(database: Database, approvals: int, most: int) -> None:
    tomorrow = [approval(BEFORE_MIDNIGHT + timedelta(minutes=5)) for _ in range(approvals)]
    assert await scores(database, tomorrow) == ([0, most], [0, most])


async def test_an_approval_decays_by_a_day_at_midnight(database: Database) -> None:
    assert await scores(database, [approval(BEFORE_MIDNIGHT)]) == ([5, 4], [5, 4])
