"""A batch reads no more of an SMB's events than reach the caps, however many there are."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import CursorResult, TextClause
from sqlalchemy.ext.asyncio import AsyncConnection

from services.engagement import store
from services.engagement.handler import EngagementHandler
from services.engagement.scoring import NEWEST_APPROVALS, ORDINARY_EVENTS
from shared.runtime import heads
from shared.runtime.database import Database, Transaction
from shared.schemas.engagement import EmailClicked
from shared.schemas.envelope import Input
from shared.schemas.identity import Place, SmbKey, event_key
from shared.schemas.policy import Policy

POLICY = Policy.default()
HOT = SmbKey(UUID(int=7), UUID(int=1))
HOT_EVENTS = 20_000
# Together the caps of the windowed groups take 86 events: 25 opens, 25 voicemails, 10 clicks, 6 calls, 20 of content.
TO_THE_CAPS = 86

# Every kind in turn, all within the window; the others are there so that the hot one is an exception to the planner.
FILL = """
INSERT INTO engagement_events (tenant_id, smb_id, event_key, occurred_at, received_at, partition_offset,
    partition_number, kind, source, event_id, reference, service, url)
SELECT $1, $2::uuid, gen_random_uuid(), now() - number % 28 * interval '1 day', now(), 0, 0, kind, '/test', 'id', 'ref',
    CASE WHEN kind::text LIKE 'approval%' THEN 'Web' END, CASE WHEN kind = 'email_clicked' THEN 'https://x.test' END
FROM generate_series(1, $3::integer / 8) AS number, unnest(enum_range(NULL::engagement_kind)) AS kind
"""


class Noting(Transaction):
    """A transaction that keeps what it executes."""

    __slots__ = ("executed",)

    def __init__(self, connection: AsyncConnection, locked: Sequence[SmbKey]) -> None:
        super().__init__(connection, locked)
        self.executed: list[tuple[TextClause, Mapping[str, Any]]] = []

    async def execute(self, statement: TextClause, parameters: Mapping[str, Any] | None = None) -> CursorResult[Any]:
        self.executed.append((statement, parameters or {}))
        return await super().execute(statement, parameters)


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


async def plans_of(
    database: Database, executed: Sequence[tuple[TextClause, Mapping[str, Any]]]
) -> list[dict[str, Any]]:
    """How each statement was executed, planned as the workers' connections plan."""
    connection = await database.raw_connection("smb-crm plan")
    plans = []
    try:
        for number, (statement, parameters) in enumerate(executed):
            compiled = statement.compile(dialect=database.engine.dialect)
            values = ", ".join(literal(parameters[name]) for name in compiled.positiontup or ())
            await connection.execute(f"PREPARE statement_{number} AS {compiled}")
            explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE statement_{number} ({values})"
            plans.append(json.loads(await connection.fetchval(explain))[0]["Plan"])
    finally:
        await connection.close()
    return plans


def rows_of_events(plan: dict[str, Any]) -> float:
    """How many events were looked at, whether or not they were of use."""
    own = 0
    if "Scan" in plan["Node Type"] and plan.get("Relation Name", "").startswith("engagement_events"):
        seen = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
        own = plan["Actual Loops"] * sum(plan.get(name, 0) for name in seen)
    return own + sum(rows_of_events(child) for child in plan.get("Plans", ()))


def literal(value: object) -> str:
    if isinstance(value, list):
        return "'{" + ",".join("NULL" if one is None else f'"{one}"' for one in value) + "}'"
    return f"'{value}'"
