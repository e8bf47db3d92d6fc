"""The SQL score equals the pure score: 10,000 random SMBs with random policies, events and dates."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.engagement import store
from services.engagement.rules import score
from services.engagement.store import LastSeen
from shared.runtime import heads
from shared.runtime.database import Database, Transaction
from shared.schemas.identity import SmbKey
from shared.schemas.policy import ApprovalDecay, Caps, EventPoints, Scoring
from tests.engagement.histories import TENANT, TODAY, drawn_history, events_of, insert, scorings

EXAMPLES = 250
SMBS_IN_AN_EXAMPLE = 40  # 250 * 40 = 10,000 cases


@pytest.fixture(scope="module")
async def database(database_url: str) -> "Database":
    return Database.create(database_url)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    scoring=scorings,
    seed=st.integers(0, 2**32),
    as_of=st.integers(0, 20).map(lambda days: TODAY + timedelta(days=days)),
)
async def test_sql_and_pure_score_agree(database: Database, scoring: Scoring, seed: int, as_of: date) -> None:
    random = Random(seed)
    histories = [drawn_history(random) for _ in range(SMBS_IN_AN_EXAMPLE)]
    smbs = [SmbKey(TENANT, UUID(int=number)) for number in range(1, len(histories) + 1)]
    now = datetime.combine(as_of, datetime.min.time(), UTC) + timedelta(hours=13)
    expected = {
        smb: score(events_of(history), scoring, as_of).score for smb, history in zip(smbs, histories, strict=True)
    }
    async with database.engine.connect() as connection:
        await heads.lock(connection, smbs)
        transaction = Transaction(connection, smbs)
        await insert(transaction, dict(zip(smbs, histories, strict=True)), now)
        await store.score_touched(transaction, dict.fromkeys(smbs, LastSeen(None, None, None, None)), scoring, now)
        assert await _scores(connection) == expected
        await connection.execute(text("UPDATE smb_heads SET engagement_score = 0, engagement_scored_on = NULL"))
        await store.score_range(transaction, smbs, scoring, now)
        assert await _scores(connection) == expected
        await connection.rollback()


async def test_a_hot_smb_with_many_old_approvals_is_scored_from_all_of_them(database: Database) -> None:
    scoring = Scoring(
        window_days=30,
        points=EventPoints(**dict.fromkeys(EventPoints.model_fields, Decimal(1))),
        caps=Caps(reach=Decimal(25), response=Decimal(30), content=Decimal(20), approval=Decimal(25)),
        approval=ApprovalDecay(points=Decimal(5), half_life_days=30),
    )
    smb = SmbKey(TENANT, UUID(int=1))
    now = datetime(2026, 3, 8, 13, tzinfo=UTC)
    history = [("approval_approved", now - timedelta(days=300), 4000)]  # a thousand of them give 4.9 points
    async with database.engine.connect() as connection:
        await heads.lock(connection, [smb])
        transaction = Transaction(connection, [smb])
        await insert(transaction, {smb: history}, now)
        await store.score_touched(transaction, {smb: LastSeen(None, None, None, None)}, scoring, now)
        expected = score(events_of(history), scoring, now.date()).score
        assert (await _scores(connection))[smb] == expected == 19
        await connection.rollback()


async def _scores(connection: AsyncConnection) -> dict[SmbKey, int]:
    rows = await connection.execute(text("SELECT tenant_id, smb_id, engagement_score FROM smb_heads"))
    return {SmbKey(tenant_id, smb_id): score for tenant_id, smb_id, score in rows}
