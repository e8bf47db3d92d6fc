"""Bulk updates: the same change for many SMBs, by ids or by filter, as single writes would make it."""

import json
import uuid
from typing import Any
from uuid import UUID

import pytest

from services.records.bulk import chunks
from services.records.bulk.opening import BulkCount, count_bulk_update, open_bulk_update
from services.records.bulk.requests import BulkUpdate, bulk_update_from
from services.records.errors import InvalidField, UnknownCommunity
from services.records.filters import SmbFilter
from services.records.job_store import claim_chunk
from services.records.jobs import RecordJob
from shared.runtime.batch import transact
from shared.runtime.database import Transaction
from shared.runtime.outcome import Outcome
from tests.records.importing import Imports, counts, refusing


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut jobs of a test's size."""
    monkeypatch.setattr(chunks, "CHUNK_SMBS", 4)


def update(imports: Imports, changes: dict[str, Any], **whom: Any) -> BulkUpdate:  # noqa: ANN401  ids or a filter
    return bulk_update_from(imports.desk.tenant_id, changes, **whom)


async def opened(imports: Imports, wanted: BulkUpdate) -> UUID:
    """Open a bulk update as the API does."""
    ids: list[UUID] = []

    async def act(transaction: Transaction, now: Any) -> Outcome:  # noqa: ANN401  the moment
        ids.append(await open_bulk_update(transaction, wanted, now))
        return Outcome()

    await transact(imports.database, imports.desk.topics, (), act)
    return ids[0]


async def run(imports: Imports, wanted: BulkUpdate) -> RecordJob:
    """Open a bulk update and have it done."""
    job_id = await opened(imports, wanted)
    await imports.work()
    job = await imports.job(job_id)
    assert job.status == "finished"
    return job


async def count(imports: Imports, wanted: BulkUpdate) -> BulkCount:
    """A dry run."""
    async with imports.database.transaction() as transaction:
        return await count_bulk_update(transaction, wanted)


async def test_a_filter_says_whom_and_each_changed_smb_tells_it_once(imports: Imports) -> None:
    desk = imports.desk
    community = await desk.add_community("Alma")
    requests = [
        desk.smb(
            business_name=f"Shop {number}", service_model="old" if number < 10 else "new", sms_opted_in=number == 3
        )
        for number in range(13)
    ]
    await desk.create(*requests)
    await desk.delete(requests[9].key)
    wanted = update(
        imports,
        {"sms_opted_in": True, "community_id": community.id, "services_activated": ("Chat",)},
        wanted=SmbFilter(service_model="old", q="SHOP"),
    )
    assert await count(imports, wanted) == BulkCount(9, 9)
    job = await run(imports, wanted)
    assert counts(job) == (0, 9, 0, 0)
    assert "filter" not in job.request
    for number, request in enumerate(requests[:9]):
        (_, told) = await desk.story(request.key)
        opted_in = {"sms_opted_in"} if number != 3 else set()
        assert told["changes"].keys() == {"community_id", "services_activated"} | opted_in
    assert [len(await desk.story(request.key)) for request in requests[9:]] == [2, 1, 1, 1]

    before = await imports.untouched()
    assert await count(imports, wanted) == BulkCount(9, 0)
    assert counts(await run(imports, wanted)) == (0, 0, 9, 0)
    assert await imports.untouched() == before


async def test_ids_say_whom_and_those_that_are_not_there_are_refused(imports: Imports) -> None:
    desk = imports.desk
    requests = [desk.smb(business_name=f"Shop {number}", service_model="old") for number in range(9)]
    await desk.create(*requests)
    await desk.command(requests[0].key, "StartCampaign")
    await desk.delete(requests[8].key)
    ids = [request.id for request in requests]
    heads = await desk.fetch("SELECT count(*) FROM smb_heads")
    wanted = update(imports, {"do_not_contact": True, "service_model": None}, ids=[*ids, *ids, uuid.uuid4()])
    assert await count(imports, wanted) == BulkCount(8, 8)
    job_id = await opened(imports, wanted)
    # One is deleted while the job is under way.
    await desk.delete(requests[7].key)
    await imports.work()
    assert counts(await imports.job(job_id)) == (0, 7, 0, 3)
    assert await desk.fetch("SELECT count(*) FROM smb_heads") == heads
    row = await desk.row(requests[0].key)
    assert (row["campaign_status"], row["do_not_contact"], row["service_model"]) == ("paused", True, None)
    rows = await desk.fetch("SELECT smb_ids FROM record_job_chunks WHERE job_id = $1", job_id)
    assert [row["smb_ids"] for row in rows] == [[], [], []]


async def test_an_smb_that_the_filter_leaves_out_by_now_is_not_changed(imports: Imports) -> None:
    desk = imports.desk
    requests = [desk.smb(business_name=f"Shop {number}", service_model="old") for number in range(5)]
    await desk.create(*requests)
    job_id = await opened(
        imports, update(imports, {"industry_category": "Bakery"}, wanted=SmbFilter(service_model="old"))
    )
    await desk.change(desk.changing(requests[2].key, service_model="new"))
    # Somebody who came later is not meant.
    between = UUID(int=sorted(request.id.int for request in requests)[3] - 1)
    later = desk.smb(business_name="Later", service_model="old", id=between)
    await desk.create(later)
    await imports.work()
    assert counts(await imports.job(job_id)) == (0, 4, 1, 0)
    smbs = await imports.smbs()
    assert {name for name, smb in smbs.items() if smb["industry_category"] is None} == {"Shop 2", "Later"}


async def test_what_makes_no_sense_for_many_is_refused_by_name(imports: Imports) -> None:
    for changes, whom, field in (
        ({"primary_email": "a@example.org"}, {"wanted": SmbFilter()}, "primary_email"),
        ({"sms_opted_in": "yes"}, {"wanted": SmbFilter()}, "sms_opted_in"),
        ({}, {"wanted": SmbFilter()}, "changes"),
        ({"sms_opted_in": True}, {}, "ids"),
        ({"sms_opted_in": True}, {"ids": []}, "ids"),
        ({"sms_opted_in": True}, {"ids": [uuid.uuid4()] * 10_001}, "ids"),
    ):
        with pytest.raises(InvalidField) as refused:
            update(imports, changes, **whom)
        assert refused.value.field == field
    nowhere = update(imports, {"community_id": uuid.uuid4()}, wanted=SmbFilter())
    for act in (count, opened):
        with pytest.raises(UnknownCommunity):
            await act(imports, nowhere)


async def test_nobody_to_change_is_a_finished_job_and_a_single_one_is_a_chunk(imports: Imports) -> None:
    desk = imports.desk
    nobody = await opened(imports, update(imports, {"sms_opted_in": True}, wanted=SmbFilter(q="x")))
    assert (await imports.job(nobody)).status == "finished"
    await desk.create(*(desk.smb(business_name=f"Shop {number}") for number in range(5)))
    assert counts(await run(imports, update(imports, {"sms_opted_in": True}, wanted=SmbFilter()))) == (0, 5, 0, 0)


async def test_another_tenants_smbs_are_never_meant(imports: Imports) -> None:
    desk = imports.desk
    mine, others = desk.smb(), desk.smb(tenant_id=uuid.uuid4())
    await desk.create(mine, others)
    for wanted in (
        update(imports, {"sms_opted_in": True}, ids=[mine.id, others.id]),
        update(imports, {"rvm_opted_in": True}, wanted=SmbFilter()),
    ):
        assert (await count(imports, wanted)).matched == 1
        assert (await run(imports, wanted)).updated == 1
    assert len(await desk.told(others.key)) == 1


async def test_an_smb_that_fails_is_counted_and_the_others_are_changed(imports: Imports) -> None:
    desk = imports.desk
    requests = [desk.smb(business_name=f"Shop {number}") for number in range(9)]
    await desk.create(*requests)
    async with refusing(desk.url, "business_name <> 'Shop 4' OR NOT (sms_opted_in OR rvm_opted_in)"):
        by_filter = await run(imports, update(imports, {"sms_opted_in": True}, wanted=SmbFilter()))
        assert counts(by_filter) == (0, 8, 0, 1)
        ids = [request.id for request in requests]
        assert counts(await run(imports, update(imports, {"rvm_opted_in": True}, ids=ids))) == (0, 8, 0, 1)


async def test_many_smbs_of_a_community_follow_its_zone_in_chunks(
    imports: Imports, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = imports.desk
    monkeypatch.setattr("services.records.communities.MEMBERS_AT_ONCE", 5)
    community = await desk.add_community("Alma", timezone="America/New_York")
    requests = [desk.smb(business_name=f"Shop {number}", community_id=community.id) for number in range(11)]
    await desk.create(*requests)
    for request in requests[:9]:
        await desk.command(request.key, "StartCampaign")
    await desk.command(requests[0].key, "PauseCampaign", reason="later")
    await desk.change_community(community.id, timezone="Asia/Tokyo")
    async with imports.worker.connect() as connection:
        assert await claim_chunk(Transaction(connection), 50) is not None
    await imports.work()
    rows = await desk.fetch("SELECT * FROM record_jobs WHERE tenant_id = $1", desk.tenant_id)
    assert [(row["kind"], row["status"], row["rows_total"], row["updated"]) for row in rows] == [
        ("zone_change", "finished", 9, 9)
    ]
    zones = await desk.fetch("SELECT DISTINCT timezone FROM campaigns WHERE tenant_id = $1", desk.tenant_id)
    assert [row["timezone"] for row in zones] == ["Asia/Tokyo"]
    for request in requests[1:9]:
        assert (await desk.story(request.key))[-1]["timezone"] == "Asia/Tokyo"
    assert json.loads(rows[0]["request"]) == {"community_id": str(community.id)}
