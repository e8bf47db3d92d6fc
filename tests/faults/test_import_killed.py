"""An import whose workers are killed on its way: it comes to its end, and every row counts once."""

import signal
from collections import Counter
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from services.records.files.reading import FileFormat
from services.records.imports.receiving import Upload, receive_import
from services.records.imports.refusals import refusals_as_csv
from services.verify.verification import verify
from shared.runtime import crash_points
from shared.runtime.database import Database
from shared.schemas.policy import Policy
from tests.installation import Installation, WorkerProcess, eventually
from tests.records.importing import pieces, table

ROWS = 8_000
BROKEN = set(range(500, ROWS, 1000))
MESSAGES = "SELECT smb_id, sequence FROM outgoing_messages WHERE tenant_id = $1 ORDER BY smb_id, sequence"


async def test_an_import_that_is_killed_twice_goes_on_and_the_same_file_again_changes_nothing(
    installation: Installation,
) -> None:
    tenant_id = uuid4()
    file = table(
        ("external_id", "business_name", "primary_email"),
        *(
            (f"x-{line}", f"Shop {line % 1500}", "broken" if line in BROKEN else f"owner{line}@example.org")
            for line in range(2, ROWS + 2)
        ),
    )
    api = Database.create(installation.settings.database_url.get_secret_value(), role="smb_api")

    async def upload() -> UUID:
        return await receive_import(api.of(tenant_id), Upload(tenant_id, FileFormat.CSV), pieces(file, 65_536))

    async def progress() -> dict[str, Any]:
        rows = await installation.fetch(
            "SELECT * FROM record_jobs WHERE tenant_id = $1 ORDER BY opened_at DESC LIMIT 1", tenant_id
        )
        return dict(rows[0])

    async def finished() -> dict[str, Any] | None:
        job = await progress()
        return job if job["status"] == "finished" else None

    job_id = await upload()
    for crash in (crash_points.BEFORE_COMMIT, crash_points.AFTER_COMMIT):
        # Two at a time, each in a chunk of its own: the first two leave it undone, the others done and nobody told.
        victims = [installation.start("records", SMB_CRASH_AT=f"{crash}:1") for _ in range(2)]
        for victim in victims:
            await eventually(partial(has_died, victim), "killed inside a chunk")
    job = await progress()
    assert (job["status"], job["refused"]) == ("running", len(BROKEN))
    assert 0 < job["chunks_done"] < job["chunks_total"]

    installation.start("records")
    job = await eventually(finished, "the import is done")
    created = ROWS - len(BROKEN)
    assert (job["rows_total"], job["rows_done"], job["created"], job["refused"]) == (ROWS, ROWS, created, len(BROKEN))
    assert await installation.value("SELECT count(*) FROM import_rows") == 0
    assert await installation.value("SELECT count(DISTINCT slug) FROM smbs WHERE tenant_id = $1", tenant_id) == created
    text = "".join([piece async for piece in refusals_as_csv(api.of(tenant_id), tenant_id, job["id"])])
    assert {int(line.split(",")[0]) for line in text.splitlines()[1:]} == BROKEN

    await installation.idle()
    told = Counter((one["subject"], one["type"], one["sequence"]) for one in await installation.announcements())
    assert len(told) == created
    assert {(type_, number) for _, type_, number in told} == {("SMBCreated", "1")}
    before = await installation.fetch(MESSAGES, tenant_id)
    assert await upload() != job_id
    job = await eventually(finished, "the same file is done")
    assert (job["unchanged"], job["refused"]) == (created, len(BROKEN))
    assert await installation.fetch(MESSAGES, tenant_id) == before
    assert (await verify(installation.database, Policy.default())).mismatches == 0
    await api.close()


def has_died(victim: WorkerProcess) -> bool:
    """Whether a worker is gone, by the kill that it was to get."""
    if victim.process.poll() is None:
        return False
    assert victim.process.returncode == -signal.SIGKILL, victim.logged()[-2000:]
    return True
