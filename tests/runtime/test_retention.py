"""What the runtime keeps goes after 35 days and a spare one, never what is still under way."""

import uuid
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from sqlalchemy import TextClause

from shared.runtime import retention
from shared.runtime.database import Database

YOUNG, OLD = timedelta(days=35, hours=23), timedelta(days=36, hours=1)

MESSAGE = """
INSERT INTO outgoing_messages (topic, key, headers, value, type, created_at)
VALUES ('t', $1, '[]', '', 'T', $2) RETURNING id
"""
COPY = """
INSERT INTO repeated_inputs (consumer_group, topic, partition_number, partition_offset, type, source, event_id, differs,
    seen_at) VALUES ('g', $1, 0, 0, 'T', 's', 'e', false, $2)
"""
RUN = """
INSERT INTO job_runs (run_id, name, trigger_source, trigger_id, partition_number, partition_offset, scheduled_for,
    status, received_at, progressed_at, finished_at, shards_total)
VALUES ($1, 'J', 's', $2, 0, 0, $3::timestamptz, $4::text, $3, $3,
    CASE WHEN $4 = 'finished' THEN $3::timestamptz END, 0)
"""
VERIFICATION = """
INSERT INTO verifications (started_at, finished_at, smbs_checked, mismatches, mismatches_by_kind)
SELECT now(), now(), number, 0, '{}' FROM generate_series(1, $1::integer) AS number
"""
MANY = """
INSERT INTO outgoing_messages (topic, key, headers, value, type, created_at)
SELECT 't', number::text, '[]', '', 'T', now() FROM generate_series(1, 20000) AS number
"""
MANY_COPIES = """
INSERT INTO repeated_inputs (consumer_group, topic, partition_number, partition_offset, type, source, event_id, differs,
    seen_at) SELECT 'g', 'many', 0, number, 'T', 's', 'e', false, now() FROM generate_series(1, 20000) AS number
"""


async def remaining(administrator: asyncpg.Connection, table: str, column: str) -> set[str]:
    return {row[0] for row in await administrator.fetch(f"SELECT {column} FROM {table}")}


async def test_old_rows_go_and_young_ones_and_those_under_way_stay(
    database: Database, administrator: asyncpg.Connection
) -> None:
    now = datetime.now(UTC)
    for name, age in (("young", YOUNG), ("old", OLD), ("old and waiting", OLD)):
        id_ = await administrator.fetchval(MESSAGE, name, now - age)
        if "waiting" in name:
            await administrator.execute("INSERT INTO outbox VALUES ($1, $2)", id_, now - age)
        await administrator.execute(COPY, name, now - age)
        status = "running" if "waiting" in name else "finished"
        await administrator.execute(RUN, uuid.uuid4(), name, now - age, status)
    for _ in range(2):
        await retention.remove_old(database)
    assert await remaining(administrator, "outgoing_messages", "key") == {"young", "old and waiting"}
    assert await remaining(administrator, "repeated_inputs", "topic") == {"young"}
    assert await remaining(administrator, "job_runs", "trigger_id") == {"young", "old and waiting"}


async def test_it_removes_bit_by_bit(
    database: Database, administrator: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    await administrator.execute("TRUNCATE repeated_inputs")
    for number in range(5):
        await administrator.execute(COPY, str(number), datetime.now(UTC) - OLD)
    left = []
    for rounds in (1, 2, 1):
        monkeypatch.setattr(retention, "ROUNDS", rounds)
        await retention.remove_old(database)
        left.append(await administrator.fetchval("SELECT count(*) FROM repeated_inputs"))
    assert left == [3, 0, 0]


async def test_the_last_verifications_stay(database: Database, administrator: asyncpg.Connection) -> None:
    await administrator.execute(VERIFICATION, retention.VERIFICATIONS + 7)
    await retention.remove_old(database)
    left = await administrator.fetch("SELECT smbs_checked FROM verifications ORDER BY id")
    assert [row["smbs_checked"] for row in left] == list(range(8, retention.VERIFICATIONS + 8))
    await retention.remove_old(database)
    assert await administrator.fetchval("SELECT count(*) FROM verifications") == retention.VERIFICATIONS


@pytest.mark.parametrize(
    ("table", "statement", "fill"),
    [("outgoing_messages", retention.MESSAGES, MANY), ("repeated_inputs", retention.COPIES, MANY_COPIES)],
)
async def test_it_reads_no_more_than_it_may_remove(
    database: Database, administrator: asyncpg.Connection, table: str, statement: TextClause, fill: str
) -> None:
    await administrator.execute(fill)
    await administrator.execute(f"ANALYZE {table}, outbox")
    connection = await database.raw_connection("smb-crm plan")
    try:
        written = statement.text.replace(":before", "$1").replace(":at_once", "$2")
        await connection.execute(f"PREPARE removal (timestamptz, bigint) AS {written}")
        plan = "\n".join(row[0] for row in await connection.fetch("EXPLAIN EXECUTE removal (now(), 5000)"))
    finally:
        await connection.close()
    assert f"Seq Scan on {table}" not in plan, plan
    assert f"Index Scan using {table}" in plan, plan
