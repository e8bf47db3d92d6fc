"""What is left of jobs: nothing of uploads that broke off, nothing after thirty days, nothing of an erased SMB."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from services.records import job_tidying
from services.records.files.reading import FileFormat
from services.records.imports.erasing import forget_imported
from services.records.imports.receiving import Upload, UploadGivenUp, receive_import
from services.records.imports.refusals import shown
from services.records.job_store import read_jobs
from services.records.jobs import JobKind
from tests.records.importing import Imports, counts, pieces, table

AGE = "UPDATE record_jobs SET {column} = {column} - CAST($2 AS interval) WHERE id = $1"


async def age(imports: Imports, job_id: UUID, column: str, by: timedelta) -> None:
    await imports.desk.fetch(AGE.format(column=column), job_id, by)


async def test_an_upload_that_stood_still_is_given_up_and_its_rows_go(
    imports: Imports, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = imports.desk
    monkeypatch.setattr("services.records.imports.receiving.SLICE_ROWS", 10)
    monkeypatch.setattr(job_tidying, "AT_ONCE", 30)
    file = table(("external_id", "business_name"), *((f"x-{n}", f"Shop {n}") for n in range(400)))
    frozen = 3

    async def frozen_on_the_way() -> AsyncIterator[bytes]:
        nonlocal frozen
        async for piece in pieces(file):
            frozen -= 1
            if frozen == 0:
                (row,) = await desk.fetch("SELECT id FROM record_jobs WHERE tenant_id = $1", desk.tenant_id)
                await age(imports, row["id"], "progressed_at", timedelta(minutes=3))
                await job_tidying.tidy_jobs(imports.worker)
            yield piece

    with pytest.raises(UploadGivenUp):
        await receive_import(imports.database, Upload(desk.tenant_id, FileFormat.CSV), frozen_on_the_way())
    async with imports.database.transaction() as transaction:
        (failed,) = await read_jobs(transaction, desk.tenant_id, JobKind.IMPORT, 10)
    assert (failed.status, failed.failure) == ("failed", "the upload broke off")

    # Of a process that was killed nobody says so: whoever comes next does not wait for the worker either.
    await desk.fetch(
        "INSERT INTO record_jobs (tenant_id, id, kind, status, opened_at, progressed_at)"
        " VALUES ($1, $2, 'import', 'uploading', now() - interval '1 hour', now() - interval '1 hour')",
        desk.tenant_id,
        uuid4(),
    )
    assert counts(await imports.run(file)) == (400, 0, 0, 0)
    await job_tidying.tidy_jobs(imports.worker)
    assert [row["count"] for row in await desk.fetch("SELECT count(*) FROM import_rows")] == [0]


async def test_jobs_and_their_refused_rows_are_kept_for_thirty_days(imports: Imports) -> None:
    old = await imports.run("external_id,business_name\na,\n")
    young = await imports.run("external_id,business_name\na,\n")
    for job, days in ((old, 31), (young, 29)):
        await age(imports, job.id, "ended_at", timedelta(days=days))
    await job_tidying.tidy_jobs(imports.worker)
    for name in ("record_jobs", "record_job_chunks", "import_refusals"):
        column = "id" if name == "record_jobs" else "job_id"
        rows = await imports.desk.fetch(f"SELECT {column} FROM {name} WHERE tenant_id = $1", imports.desk.tenant_id)
        assert {row[column] for row in rows} == {young.id}


async def test_rows_about_an_erased_smb_go_with_it(imports: Imports) -> None:
    desk = imports.desk
    smb = desk.smb(
        business_name="Alma", external_id="a", primary_email="alma@example.org", primary_phone="+12125550100"
    )
    other = desk.smb(business_name="Bela", external_id="b", primary_email="bela@example.org")
    await desk.create(smb, other)
    header = ("id", "external_id", "primary_email", "primary_phone", "service_model")
    job = await imports.run(
        table(
            header,
            (smb.id, "", "", "1", ""),
            ("", "a", "", "1", ""),
            ("", "", "ALMA@example.org", "1", ""),
            ("", "", "", "+12125550100", ""),
            ("", "b", "", "1", ""),
        )
    )
    assert counts(job) == (0, 0, 0, 5)
    staged = await imports.upload(table(header, (smb.id, "", "", "", "x"), ("", "b", "", "", "x")))
    async with imports.worker.transaction() as transaction:
        await forget_imported(transaction, [smb.key])
    assert [line for line, *_ in await imports.refusals(job.id)] == [5, 6]
    await imports.work()
    done = await imports.job(staged)
    assert (done.status, done.updated, done.rows_done) == ("finished", 1, 2)
    assert (await imports.smbs())["a"]["service_model"] is None
    async with imports.worker.transaction() as transaction:
        await forget_imported(transaction, [other.key])
    assert [line for line, *_ in await imports.refusals(job.id)] == [5]


def test_a_cell_that_a_spreadsheet_would_run_is_shown_instead() -> None:
    for runs in ("=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"):
        assert shown(runs) == f"'{runs}"
    assert [shown("a=1"), shown(""), shown(None), shown(" =1")] == ["a=1", "", "", " =1"]
