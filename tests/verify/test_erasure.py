"""What is left of an erased SMB is found by `verify`, once the records worker has had its time to sweep it up."""

import uuid

import asyncpg
import pytest

from shared.runtime.database import Database
from shared.schemas.identity import SmbKey
from tests.verify.examples import differences

ERASED = "INSERT INTO smb_heads (tenant_id, smb_id, erased_at) VALUES ($1, $2, now())"
OPEN = "INSERT INTO open_erasures (tenant_id, smb_id, erased_at, is_swept) VALUES ($1, $2, now(), true)"
LEFT = {
    "smbs": """
        INSERT INTO smbs (tenant_id, id, slug, business_name, data_quality_score, created_at, updated_at)
        VALUES ($1, $2, 'left', 'Left', 25, now(), now())""",
    "engagement_events": """
        INSERT INTO engagement_events (tenant_id, smb_id, event_key, occurred_at, received_at, partition_offset,
            partition_number, kind, source, event_id, reference)
        VALUES ($1, $2, gen_random_uuid(), now(), now(), 0, 0, 'email_opened', '/test', '1', 'message')""",
    "tier_changes": """
        INSERT INTO tier_changes (tenant_id, smb_id, changed_at, old_tier, new_tier, score, reason, policy_version)
        VALUES ($1, $2, now(), 4, 3, 40, 'left', 'any')""",
    "idempotency_keys": """
        INSERT INTO idempotency_keys (tenant_id, key, fingerprint, status, headers, body, smb_id, created_at)
        VALUES ($1, 'key', decode(repeat('00', 32), 'hex'), 201, '[]', '', $2, now())""",
    "dead_letters": """
        INSERT INTO dead_letters (consumer_group, topic, partition_number, partition_offset, value, headers, service,
            error_class, reason, attempts, parked_at, fingerprint)
        SELECT 'any', 'any', 0, 0, convert_to('of ' || upper(CAST(own.smb_id AS text)), 'UTF8'), '[]', 'engagement',
            'not_json', 'left', 1, now(), decode(repeat('00', 16), 'hex')
        FROM (SELECT CAST($1 AS uuid) AS tenant_id, CAST($2 AS uuid) AS smb_id) AS own""",
}


@pytest.fixture
async def smb(administrator: asyncpg.Connection) -> SmbKey:
    key = SmbKey(uuid.uuid4(), uuid.uuid4())
    await administrator.execute(ERASED, *key)
    return key


async def test_what_is_left_of_an_erased_smb_is_named_by_its_table(
    database: Database, administrator: asyncpg.Connection, smb: SmbKey
) -> None:
    assert await differences(database) == []
    for statement in LEFT.values():
        await administrator.execute(statement, *smb)
    found = await differences(database)
    assert {one.what for one in found if one.kind == "erasure"} == {
        f"rows of an erased SMB in {table}" for table in LEFT
    }

    await administrator.execute(OPEN, *smb)
    assert [one for one in await differences(database) if one.kind == "erasure"] == []
