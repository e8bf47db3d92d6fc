"""However many events an SMB has, a batch reads no more of them than reach the caps, a timeline little over a page."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import TextClause

from services.engagement import store
from services.engagement.handler import EngagementHandler
from services.engagement.rules import KINDS
from services.engagement.scoring import NEWEST_APPROVALS, ORDINARY_EVENTS
from services.engagement.views.sends import campaign_sends
from services.engagement.views.store import READ_COUNTED
from services.engagement.views.timeline import APPROVALS, Filter, timeline
from shared.runtime import heads
from shared.runtime.database import Database
from shared.schemas.engagement import EmailClicked
from shared.schemas.envelope import Input
from shared.schemas.identity import Place, SmbKey, event_key
from shared.schemas.policy import Policy
from tests.engagement.plans import Noting, plans_of, rows_of_events

POLICY = Policy.default()
HOT = SmbKey(UUID(int=7), UUID(int=1))
HOT_EVENTS = 20_000
# Together the caps of the windowed groups take 86 events: 25 opens, 25 voicemails, 10 clicks, 6 calls, 20 of content.
TO_THE_CAPS = 86
# So many events of a kind share each moment; a page takes those of its last moment whole.
AT_ONE_MOMENT = HOT_EVENTS // 8 // 28 + 1

# Every kind in turn, all within the window; the others are there so that the hot one is an exception to the planner.
FILL = """
INSERT INTO engagement_events (tenant_id, smb_id, event_key, occurred_at, received_at, partition_offset,
    partition_number, kind, source, event_id, reference, service, url)
SELECT $1, $2::uuid, gen_random_uuid(), now() - number % 28 * interval '1 day', now(), 0, 0, kind, '/test', 'id', 'ref',
    CASE WHEN kind::text LIKE 'approval%' THEN 'Web' END, CASE WHEN kind = 'email_clicked' THEN 'https://x.test' END
FROM generate_series(1, $3::integer / 8) AS number, unnest(enum_range(NULL::engagement_kind)) AS kind
"""


@pytest.fixture(scope="module")
async def database(database_url: str) -> AsyncIterator[Database]:
    one = Database.create(database_url)
    connection = await one.raw_connection("smb-crm test")
    await connection.execute("SET ROLE NONE")
    await connection.execute(FILL, *HOT, HOT_EVENTS)
    await connection.executemany(FILL, [(HOT.tenant_id, UUID(int=number), 24) for number in range(2, 500)])
    await connection.execute("VACUUM ANALYZE engagement_events")
    await connection.close()
    yield one
    await one.close()


async def test_a_batch_reads_few_of_a_hot_smbs_events(database: Database) -> None:
    executed = await statements_of_a_batch(database)
    assert [statement for statement, _ in executed[:2]] == [store.INSERT_EVENTS, store.FIND_EVENTS]
    plans = await plans_of(database, executed)
    # What is inserted, what is known, the first events, and those that reach the caps.
    most = [0, 2, ORDINARY_EVENTS + 1, TO_THE_CAPS + NEWEST_APPROVALS]
    read = [rows_of_events(plan) for plan in plans]
    assert [min(*pair) for pair in zip(read, most, strict=True)] == read
    assert sum(most) < HOT_EVENTS / 10
    # A page for each row would already be many; what was inserted is not read.
    assert sum(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] for plan in plans[1:]) < sum(most)


@pytest.mark.usefixtures("database")
async def test_a_timeline_reads_little_more_than_a_page_of_each_kind(database_url: str) -> None:
    api = Database.create(database_url, role="smb_api")
    today, size = datetime.now(UTC).date(), 50
    async with api.of(HOT.tenant_id).connect() as connection:
        transaction = Noting(connection)
        first = await timeline(transaction, HOT, POLICY.score, today, size)
        await timeline(transaction, HOT, POLICY.score, today, size, after=first.last)
        ahead = datetime.now(UTC) + timedelta(days=9)
        await timeline(transaction, HOT, POLICY.score, today, size, only=Filter(APPROVALS, until=ahead))
        await campaign_sends(transaction, HOT, size, reactions_most=100)
        await connection.rollback()
    plans = await plans_of(api, transaction.executed, HOT.tenant_id)
    await api.close()
    a_kind = size + 1 + AT_ONE_MOMENT
    # Behind a position, those of its own moment are passed over once more.
    most = [8 * a_kind, 8 * (a_kind + AT_ONE_MOMENT), 2 * a_kind, 3 * 101]
    read = [rows_of_events(plan) for plan in plans]
    assert [min(*pair) for pair in zip(read, most, strict=True)] == read
    assert min(read) > size
    assert sum(most) < HOT_EVENTS / 5


@pytest.mark.usefixtures("database")
async def test_counting_reads_the_index_alone(database_url: str) -> None:
    api = Database.create(database_url, role="smb_api")
    async with api.of(HOT.tenant_id).connect() as connection:
        transaction = Noting(connection)
        await transaction.execute(READ_COUNTED, HOT._asdict() | {"kinds": list(KINDS), "since": datetime.now(UTC)})
        await connection.rollback()
    (plan,) = await plans_of(api, transaction.executed, HOT.tenant_id)
    await api.close()
    # All approvals, and of the other events none: they lie before the moment that was asked for.
    assert round(rows_of_events(plan)) in range(HOT_EVENTS // 8, HOT_EVENTS // 8 + 8)  # averages are rounded
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < HOT_EVENTS / 8 / 10


async def statements_of_a_batch(database: Database) -> list[tuple[TextClause, Mapping[str, Any]]]:
    """What the handler executes for a new event of the hot SMB and one that comes again."""
    now = datetime.now(UTC)
    async with database.engine.connect() as connection:
        await heads.lock(connection, [HOT])
        transaction = Noting(connection, [HOT])
        handler = EngagementHandler(POLICY, 1)
        for ids in (("known",), ("known", "new")):
            transaction.executed.clear()
            await handler.handle(transaction, [click(id_, now) for id_ in ids], now)
            now += timedelta(seconds=1)
        await connection.commit()
    return transaction.executed


def click(id_: str, time: datetime) -> Input:
    data = EmailClicked(smb_id=HOT.smb_id, message_id="m", url="https://example.test/")
    place = Place("any", 0, int(time.timestamp()))
    return Input(type(data).__name__, "/test", id_, time, HOT, data, None, place, event_key("/test", id_), 0)
