"""Chunks of imports: side by side, planned anew when SMBs change in between, split where they can't be done whole."""

import asyncio
import uuid
from collections import Counter

import asyncpg
import pytest

from services.records import job_work
from services.records.imports import cutting
from services.records.imports.applying import Importing
from services.records.imports.planning import made_id
from services.records.imports.slices import BUCKETS
from services.records.job_store import claim_chunk
from shared.runtime.database import Transaction
from shared.schemas.identity import SmbKey
from tests.installation import eventually
from tests.records.importing import Imports, counts, refusing, table

HEADER = ("external_id", "business_name")
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut files of a test's size."""
    monkeypatch.setattr(cutting, "CHUNK_ROWS", 100)


async def numbers(imports: Imports) -> list[tuple[str, int]]:
    """Type and number of everything that was told, SMB by SMB."""
    rows = await imports.desk.fetch(
        "SELECT smb_id, type, sequence FROM outgoing_messages WHERE tenant_id = $1 ORDER BY smb_id, sequence",
        imports.desk.tenant_id,
    )
    return [(row["type"], row["sequence"]) for row in rows]


async def test_workers_share_the_chunks_of_an_import_and_give_no_slug_twice(imports: Imports) -> None:
    # Names that are the same, that look like each other's next slug, and that fill a bucket alone.
    names = ["Same"] * 350 + ["Same 2", "same-3", "Sáme"] + [f"Shop {number % 40}" for number in range(400)]
    file = table(HEADER, *((f"x-{number}", name) for number, name in enumerate(names)))
    job_id = await imports.upload(file)
    done: Counter[int] = Counter()

    async def worker(number: int) -> None:
        work = job_work.JobWork(imports.worker, imports.desk.topics, imports.desk.records)
        chunks = await imports.desk.fetch("SELECT count(*) FROM record_job_chunks WHERE job_id = $1", job_id)
        while (await imports.job(job_id)).status != "finished":
            await work.advance(lambda: bool(done.update([number])) or done[number] > chunks[0]["count"])

    await asyncio.gather(worker(1), worker(2))
    assert counts(await imports.job(job_id)) == (len(names), 0, 0, 0)
    smbs = await imports.smbs()
    assert len({smb["slug"] for smb in smbs.values()}) == len(names)
    same = {smb["slug"] for smb in smbs.values() if smb["business_name"] in {"Same", "Sáme"}}
    assert len(same) == 351
    assert await numbers(imports) == [("SMBCreated", 1)] * len(names)
    assert min(done.values()) > 1
    assert counts(await imports.run(file)) == (0, 0, len(names), 0)


async def test_ids_that_an_import_makes_follow_its_chunks(imports: Imports) -> None:
    await imports.run(table(HEADER, *((f"x-{number}", f"Shop {number}") for number in range(300))))
    rows = await imports.desk.fetch(
        "SELECT id, created_at FROM smbs WHERE tenant_id = $1 ORDER BY id", imports.desk.tenant_id
    )
    moments = [row["created_at"] for row in rows]
    assert moments == sorted(moments)
    assert {row["id"].version for row in rows} == {7}
    job_id, opened_at = uuid.uuid4(), moments[0]
    made = {made_id(job_id, opened_at, bucket, line) for bucket in (0, 7, BUCKETS - 1) for line in (1, 2, 10**6)}
    assert len(made) == 9
    assert made_id(job_id, opened_at, 7, 2) in made


async def test_an_smb_that_changes_between_plan_and_locks_is_planned_anew(imports: Imports) -> None:
    desk = imports.desk
    requests = {name: desk.smb(business_name=name, external_id=name) for name in "abc"}
    await desk.create(*requests.values())
    await imports.upload(table(HEADER, *((name, f"{name} Inc.") for name in "abcd")))
    late = SmbKey(desk.tenant_id, uuid.uuid4())
    other = await asyncpg.connect(desk.url)
    async with other.transaction():
        await other.execute("SELECT FROM smb_heads WHERE smb_id = $1 FOR UPDATE", requests["a"].id)
        working = asyncio.create_task(imports.work())
        await eventually(lambda: other.fetchval(WAITING), "the import waits for a head")
        await other.execute("UPDATE smbs SET external_id = 'moved' WHERE id = $1", requests["a"].id)
        await other.execute("UPDATE smbs SET deleted_at = now() WHERE id = $1", requests["b"].id)
        await other.execute("INSERT INTO smb_heads (tenant_id, smb_id) VALUES ($1, $2)", *late)
        await other.execute(
            "INSERT INTO smbs (tenant_id, id, slug, external_id, business_name, created_at, updated_at)"
            " VALUES ($1, $2, 'late', 'd', 'late', now(), now())",
            *late,
        )
    await working
    await other.close()
    smbs = await imports.smbs()
    assert {name: smb["business_name"] for name, smb in smbs.items()} == {
        "moved": "a",
        "a": "a Inc.",
        "b": "b Inc.",
        "c": "c Inc.",
        "d": "d Inc.",
    }
    assert smbs["d"]["id"] == late.smb_id


async def test_a_chunk_that_fails_is_split_until_the_row_is_found(imports: Imports) -> None:
    # The database refuses what the checks let through: a mistake of ours.
    async with refusing(imports.desk.url, "business_name <> 'Shop 77'"):
        job = await imports.run(table(HEADER, *((f"x-{number}", f"Shop {number}") for number in range(150))))
    assert counts(job) == (149, 0, 0, 1)
    ((line, _, _, reason),) = await imports.refusals(job.id)
    assert (line, "violates check constraint" in reason) == (79, True)


async def test_a_chunk_that_is_claimed_is_left_to_its_worker_and_done_once(imports: Imports) -> None:
    await imports.upload(table(HEADER, ("a", "Alma")))
    async with imports.worker.connect() as connection:
        chunk = await claim_chunk(Transaction(connection), 50)
        assert chunk is not None
        await imports.work()
        assert (await imports.job(chunk.job_id)).rows_done == 0
        # Whoever held it lost the claim without knowing: both do it.
        importing = Importing(imports.worker, imports.desk.topics, imports.desk.records)
        await asyncio.gather(importing.apply(chunk, alone=False), importing.apply(chunk, alone=False))
    await imports.work()
    assert counts(await imports.job(chunk.job_id)) == (1, 0, 0, 0)
    assert await numbers(imports) == [("SMBCreated", 1)]


async def test_an_import_waits_for_single_writes_of_names_and_they_for_it(imports: Imports) -> None:
    desk = imports.desk
    job_id = await imports.upload(table(HEADER, *((f"x-{number}", "Alma") for number in range(90))))
    singles = [desk.create(desk.smb(business_name="Alma", external_id=f"s-{number}")) for number in range(30)]
    await asyncio.gather(imports.work(), *singles)

    async def is_finished() -> bool:
        await imports.work()
        return (await imports.job(job_id)).status == "finished"

    await eventually(is_finished, "the import is done")
    smbs = await imports.smbs()
    assert sorted(smb["slug"] for smb in smbs.values()) == sorted(["alma", *(f"alma-{n}" for n in range(2, 121))])
    assert await numbers(imports) == [("SMBCreated", 1)] * 120
