"""The ledger forgets commands that are older than it has to keep, never approvals."""

from datetime import UTC, datetime, timedelta

from services.campaign import ledger
from tests.campaign.desk import CampaignDesk

INPUT = """
INSERT INTO campaign_inputs (tenant_id, smb_id, sort, input_key, type, source, event_id, occurred_at, received_at,
    topic, partition_number, partition_offset, outcome, fingerprint)
VALUES ($1, $2, $3::text, gen_random_uuid(), 'T', 's', $4, $5, $5, 't', 0, 0, 'applied',
    decode(repeat('00', 16), 'hex'))
"""
MANY = """
INSERT INTO campaign_inputs (tenant_id, smb_id, sort, input_key, type, source, event_id, occurred_at, received_at,
    topic, partition_number, partition_offset, outcome, fingerprint)
SELECT $1, $2, 'command', gen_random_uuid(), 'T', 's', 'e', now(), now(), 't', 0, 0, 'applied',
    decode(repeat('00', 16), 'hex')
FROM generate_series(1, 20000)
"""


async def test_old_commands_go_and_young_ones_and_approvals_stay(desk: CampaignDesk) -> None:
    smb, now = await desk.add(), datetime.now(UTC)
    for sort in ("command", "approval"):
        for name, age in (("young", timedelta(days=35, hours=23)), ("old", timedelta(days=36, hours=1))):
            await desk.fetch(INPUT, *smb, sort, f"{name} {sort}", now - age)
    await ledger.remove_old_commands(desk.database)
    left = await desk.fetch("SELECT event_id FROM campaign_inputs WHERE smb_id = $1", smb.smb_id)
    assert {row["event_id"] for row in left} == {"young command", "young approval", "old approval"}


async def test_it_reads_no_more_commands_than_it_may_remove(desk: CampaignDesk) -> None:
    await desk.fetch(MANY, *await desk.add())
    await desk.fetch("ANALYZE campaign_inputs")
    connection = await desk.database.raw_connection("smb-crm plan")
    try:
        written = ledger.REMOVE_OLD_COMMANDS.text.replace(":before", "$1").replace(":at_once", "$2")
        await connection.execute(f"PREPARE removal (timestamptz, bigint) AS {written}")
        plan = "\n".join(row[0] for row in await connection.fetch("EXPLAIN EXECUTE removal (now(), 5000)"))
    finally:
        await connection.close()
    assert "Seq Scan" not in plan, plan
    assert "Index Scan using campaign_inputs_age" in plan, plan
