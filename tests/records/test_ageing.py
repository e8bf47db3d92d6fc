"""What the records service keeps for a time goes then, and not before."""

from datetime import UTC, datetime, timedelta

from services.records import ageing
from shared.runtime import retention
from shared.runtime.database import Database
from tests.records.desk import RecordsDesk

ANSWER = """
INSERT INTO idempotency_keys (tenant_id, key, fingerprint, status, headers, body, created_at)
VALUES ($1, $2, decode(repeat('00', 32), 'hex'), 204, '[]', '', $3)
"""


async def test_an_answer_is_kept_for_a_day(desk: RecordsDesk, database: Database) -> None:
    now, minute = datetime.now(UTC), timedelta(minutes=1)
    for name, age in (("young", ageing.ANSWERS_KEPT - minute), ("old", ageing.ANSWERS_KEPT + minute)):
        await desk.fetch(ANSWER, desk.tenant_id, name, now - age)
    for _ in range(2):
        await ageing.remove_old(database)
    assert [row["key"] for row in await desk.fetch("SELECT key FROM idempotency_keys")] == ["young"]


async def test_old_answers_are_found_by_their_age(desk: RecordsDesk, database: Database) -> None:
    await desk.fetch(
        ANSWER.replace("VALUES ($1, $2,", "SELECT $1::uuid, $2 || n,").replace("'', $3)", "'', $3::timestamptz")
        + " FROM generate_series(1, 20000) AS n",
        desk.tenant_id,
        "many-",
        datetime.now(UTC),
    )
    await desk.fetch("ANALYZE idempotency_keys")
    connection = await database.raw_connection("smb-crm plan")
    try:
        written = ageing.REMOVE_OLD_ANSWERS.text.replace(":before", "$1").replace(":at_once", "$2")
        await connection.execute(f"PREPARE removal (timestamptz, bigint) AS {written}")
        lines = await connection.fetch(f"EXPLAIN EXECUTE removal (now(), {retention.AT_ONCE})")
    finally:
        await connection.close()
    plan = "\n".join(row[0] for row in lines)
    assert "Seq Scan on idempotency_keys" not in plan, plan
