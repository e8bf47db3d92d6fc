"""What the database itself refuses, whatever a program tries."""

import uuid
from collections.abc import AsyncIterator

import asyncpg
import pytest

NEW_SMB = """
INSERT INTO smbs (tenant_id, id, slug, business_name, created_at, updated_at)
VALUES ($1, $2, $3, 'Corner Bakery', now(), now())
"""
# A campaign that runs, in every column that says so.
RUNNING = """
UPDATE smbs SET campaign_status = 'running', current_campaign_id = gen_random_uuid(), manifest_destiny_day = 1,
    manifest_destiny_start_date = current_date, next_scheduled_send = now() WHERE id = $1
"""


@pytest.fixture
async def worker(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection with the worker's rights, whose changes are taken back after the test."""
    connection = await asyncpg.connect(database_url, server_settings={"role": "smb_worker"})
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


@pytest.fixture
async def smb_id(worker: asyncpg.Connection) -> uuid.UUID:
    """A new SMB."""
    tenant_id, smb_id = uuid.uuid4(), uuid.uuid4()
    await worker.execute("INSERT INTO smb_heads (tenant_id, smb_id) VALUES ($1, $2)", tenant_id, smb_id)
    await worker.execute(NEW_SMB, tenant_id, smb_id, f"corner-bakery-{smb_id}")
    return smb_id


async def test_a_campaign_does_not_run_while_do_not_contact_is_set(
    worker: asyncpg.Connection, smb_id: uuid.UUID
) -> None:
    await worker.execute(RUNNING, smb_id)

    with pytest.raises(asyncpg.CheckViolationError, match="do_not_contact_stops_campaigns"):
        await worker.execute("UPDATE smbs SET do_not_contact = true WHERE id = $1", smb_id)


async def test_a_deleted_smb_has_no_open_campaign(worker: asyncpg.Connection, smb_id: uuid.UUID) -> None:
    await worker.execute(RUNNING, smb_id)

    with pytest.raises(asyncpg.CheckViolationError, match="deletion_ends_campaigns"):
        await worker.execute("UPDATE smbs SET deleted_at = now() WHERE id = $1", smb_id)


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("next_scheduled_send = NULL", "send_while_running"),
        ("current_campaign_id = NULL", "current_campaign_while_open"),
        ("manifest_destiny_day = NULL", "day_once_started"),
        ("manifest_destiny_start_date = NULL", "day_once_started"),
        ("manifest_destiny_day = 91", "smbs_manifest_destiny_day_check"),
        ("campaign_status = 'completed'", "send_while_running|current_campaign_while_open"),
        ("campaign_status = 'asleep'", "smbs_campaign_status_check|current_campaign_while_open"),
    ],
)
async def test_a_running_campaign_keeps_its_columns_in_agreement(
    worker: asyncpg.Connection, smb_id: uuid.UUID, change: str, constraint: str
) -> None:
    await worker.execute(RUNNING, smb_id)

    with pytest.raises(asyncpg.CheckViolationError, match=constraint):
        await worker.execute(f"UPDATE smbs SET {change} WHERE id = $1", smb_id)


@pytest.mark.parametrize(
    "services",
    ['["ads", "ads"]', '["ads", 7]', '["ads", null]', '[""]', '{"ads": true}', '"ads"', "null", '[["ads"]]'],
)
async def test_services_are_a_list_of_names_without_repetition(
    worker: asyncpg.Connection, smb_id: uuid.UUID, services: str
) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await worker.execute(
            "UPDATE smbs SET services_approved_pending = $2::text::jsonb WHERE id = $1", smb_id, services
        )


async def test_no_service_is_activated_and_pending_at_once(worker: asyncpg.Connection, smb_id: uuid.UUID) -> None:
    await worker.execute(
        """UPDATE smbs SET services_activated = '["ads"]', services_approved_pending = '["seo"]' WHERE id = $1""",
        smb_id,
    )

    with pytest.raises(asyncpg.CheckViolationError, match="no_service_both_activated_and_pending"):
        await worker.execute("""UPDATE smbs SET services_approved_pending = '["seo", "ads"]' WHERE id = $1""", smb_id)


async def test_an_erased_head_keeps_nothing_of_its_smb(worker: asyncpg.Connection, smb_id: uuid.UUID) -> None:
    await worker.execute("UPDATE smb_heads SET engagement_score = 40 WHERE smb_id = $1", smb_id)

    with pytest.raises(asyncpg.CheckViolationError):
        await worker.execute("UPDATE smb_heads SET erased_at = now() WHERE smb_id = $1", smb_id)


async def test_a_slug_is_free_again_after_a_deletion(worker: asyncpg.Connection, smb_id: uuid.UUID) -> None:
    row = await worker.fetchrow("SELECT tenant_id, slug FROM smbs WHERE id = $1", smb_id)
    assert row is not None
    other = uuid.uuid4()
    await worker.execute("INSERT INTO smb_heads (tenant_id, smb_id) VALUES ($1, $2)", row["tenant_id"], other)
    with pytest.raises(asyncpg.UniqueViolationError):
        async with worker.transaction():
            await worker.execute(NEW_SMB, row["tenant_id"], other, row["slug"])

    await worker.execute("UPDATE smbs SET deleted_at = now() WHERE id = $1", smb_id)
    await worker.execute(NEW_SMB, row["tenant_id"], other, row["slug"])


async def test_a_deleted_community_leaves_its_smbs_without_one(worker: asyncpg.Connection, smb_id: uuid.UUID) -> None:
    tenant_id = await worker.fetchval("SELECT tenant_id FROM smbs WHERE id = $1", smb_id)
    await worker.execute(
        """INSERT INTO communities (tenant_id, id, name, slug, state, created_at, updated_at)
        VALUES ($1, $2, 'Springfield', 'springfield', 'IL', now(), now())""",
        tenant_id,
        smb_id,
    )
    await worker.execute("UPDATE smbs SET community_id = id WHERE id = $1", smb_id)

    await worker.execute("DELETE FROM communities WHERE id = $1", smb_id)

    assert (
        await worker.fetchval("SELECT community_id FROM smbs WHERE tenant_id = $1 AND id = $2", tenant_id, smb_id)
        is None
    )
    assert await worker.fetchval("SELECT count(*) FROM smbs WHERE tenant_id = $1 AND id = $2", tenant_id, smb_id) == 1


async def test_events_lie_in_sixteen_hash_partitions_and_all_of_one_smb_in_one(worker: asyncpg.Connection) -> None:
    tenant_id, smb_ids = uuid.uuid4(), [uuid.uuid4() for _ in range(200)]
    await worker.execute(
        """INSERT INTO engagement_events (tenant_id, smb_id, event_key, occurred_at, received_at, partition_offset,
            partition_number, kind, source, event_id, reference)
        SELECT $1, smb_id, gen_random_uuid(), now(), now(), 0, 0, 'email_opened', '/modules/email', 'e', 'm'
        FROM unnest(CAST($2 AS uuid[])) AS smb_id, generate_series(1, 3)""",
        tenant_id,
        smb_ids,
    )

    partitions = await worker.fetchval("SELECT count(DISTINCT tableoid) FROM engagement_events")
    partitions_of_one_smb = await worker.fetchval(
        "SELECT max(places) FROM (SELECT count(DISTINCT tableoid) AS places FROM engagement_events GROUP BY smb_id) x"
    )

    assert partitions == 16
    assert partitions_of_one_smb == 1


@pytest.mark.parametrize(
    ("kind", "service", "url"),
    [
        ("approval_approved", None, None),
        ("email_opened", "ads", None),
        ("email_clicked", None, None),
        ("email_opened", None, "https://example.com"),
    ],
)
async def test_an_event_has_the_fields_of_its_kind(
    worker: asyncpg.Connection, kind: str, service: str | None, url: str | None
) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await worker.execute(
            """INSERT INTO engagement_events (tenant_id, smb_id, event_key, occurred_at, received_at, partition_offset,
                partition_number, kind, source, event_id, reference, service, url)
            VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), now(), now(), 0, 0, $1, '/modules/x', 'e',
                'r', $2, $3)""",
            kind,
            service,
            url,
        )


async def test_no_sequence_number_is_given_twice(worker: asyncpg.Connection) -> None:
    insert = """INSERT INTO outgoing_messages (topic, key, headers, value, type, created_at, tenant_id, smb_id, epoch,
            sequence)
        VALUES ('smb.events', 'k', '[]', '{}', 'SMBErased', now(), $1, $2, 1, 1)"""
    tenant_id, smb_id = uuid.uuid4(), uuid.uuid4()
    await worker.execute(insert, tenant_id, smb_id)

    with pytest.raises(asyncpg.UniqueViolationError):
        await worker.execute(insert, tenant_id, smb_id)
