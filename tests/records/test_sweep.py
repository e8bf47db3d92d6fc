"""What the transaction of an erasure had to leave: swept up soon, and once more when nobody can be writing any more."""

import asyncio
import uuid
from datetime import timedelta

from services.records import erasure
from shared.runtime.database import Database
from shared.schemas.identity import SmbKey
from tests.records.desk import RecordsDesk, clicks
from tests.verify.examples import differences


async def test_what_an_erasure_left_is_swept_up_and_seen_by_nobody_meanwhile(
    desk: RecordsDesk, api_desk: RecordsDesk, database: Database
) -> None:
    request = desk.smb()
    await desk.create(request)
    await desk.apply(clicks(request.key, 45))
    await api_desk.erase(request.key, rows_at_once=10)
    assert await events_of(desk, request.key) == 35
    assert await differences(database) == []
    assert (await desk.apply(clicks(request.key, 1))).erased == 1

    await asyncio.gather(*(erasure.sweep(database, rows_at_once=10) for _ in range(3)))
    assert await events_of(desk, request.key) == 0
    (open_erasure,) = await desk.fetch("SELECT smb_id, is_swept FROM open_erasures")
    assert tuple(open_erasure) == (request.id, True)
    await erasure.sweep(database)
    assert len(await desk.fetch("SELECT FROM open_erasures")) == 1
    await erasure.sweep(database, settled_after=timedelta())
    assert await desk.fetch("SELECT FROM open_erasures") == []


async def test_a_letter_that_was_being_parked_during_the_erasure_goes_when_it_is_settled(
    desk: RecordsDesk, database: Database
) -> None:
    request, others = desk.smb(), desk.smb(tenant_id=uuid.uuid4())
    await desk.create(request, others)
    async with database.begin() as parking:
        await parking.exec_driver_sql(letter(request.key, None))
        await parking.exec_driver_sql(letter(request.key, others.key.tenant_id))
        await desk.erase(request.key)
        await erasure.sweep(database)
    assert await letters(desk) == 2
    await erasure.sweep(database)
    assert await letters(desk) == 2
    await erasure.sweep(database, settled_after=timedelta())
    # The other one says that it is another tenant's.
    assert await letters(desk) == 1


def letter(smb: SmbKey, tenant_id: uuid.UUID | None) -> str:
    """The statement that parks what names an SMB somewhere in its body."""
    tenant = "NULL" if tenant_id is None else f"'{tenant_id}'"
    return f"""
        INSERT INTO dead_letters (consumer_group, topic, partition_number, partition_offset, value, headers, service,
            error_class, reason, attempts, parked_at, fingerprint, tenant_id)
        VALUES ('any', 'any', 0, (random() * 1e9)::bigint, convert_to('{{of {smb.smb_id}', 'UTF8'), '[]', 'engagement',
            'not_json', 'broken', 1, now(), decode(repeat('00', 16), 'hex'), {tenant})"""


async def letters(desk: RecordsDesk) -> int:
    return len(await desk.fetch("SELECT FROM dead_letters"))


async def events_of(desk: RecordsDesk, smb: SmbKey) -> int:
    return len(await desk.fetch("SELECT FROM engagement_events WHERE (tenant_id, smb_id) = ($1, $2)", *smb))
