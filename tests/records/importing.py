"""Imports and other jobs as tests run them: uploaded under the rights of the API, done by a worker's own code."""

import csv
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import StringIO
from typing import Any
from uuid import UUID

import asyncpg

from services.records.files.reading import FileFormat
from services.records.imports.receiving import Upload, receive_import
from services.records.imports.refusals import refusals_as_csv
from services.records.job_store import read_job
from services.records.job_work import JobWork
from services.records.jobs import RecordJob
from shared.runtime.database import Database, TenantDatabase
from tests.records.desk import RecordsDesk

PIECE_BYTES = 1000


@dataclass
class Imports:
    """A tenant's imports: `desk` acts as a worker, `database` as the API does for this tenant."""

    desk: RecordsDesk
    database: TenantDatabase
    worker: Database

    async def upload(
        self,
        file: str | bytes,
        file_format: FileFormat = FileFormat.CSV,
        mapping: Mapping[str, str | None] | None = None,
        **options: Any,  # noqa: ANN401  of the upload
    ) -> UUID:
        """Upload a file piece by piece."""
        upload = Upload(self.desk.tenant_id, file_format, mapping or {}, **options)
        return await receive_import(self.database, upload, pieces(file))

    async def run(self, *args: Any, **options: Any) -> RecordJob:  # noqa: ANN401  as `upload`
        """Upload a file and have it applied; gives the finished job."""
        job_id = await self.upload(*args, **options)
        await self.work()
        job = await self.job(job_id)
        assert job.status == "finished"
        return job

    async def work(self) -> None:
        """Do all chunks that are open, as one worker does."""
        await JobWork(self.worker, self.desk.topics, self.desk.records).advance()

    async def job(self, job_id: UUID) -> RecordJob:
        """The job as the API shows it."""
        async with self.database.transaction() as transaction:
            job = await read_job(transaction, self.desk.tenant_id, job_id)
        assert job is not None
        return job

    async def refusals(self, job_id: UUID) -> list[tuple[int, str, str, str]]:
        """The refused rows: line, column, value, reason."""
        text = "".join([piece async for piece in refusals_as_csv(self.database, self.desk.tenant_id, job_id)])
        header, *rows = csv.reader(StringIO(text))
        assert header == ["line", "column", "value", "reason"]
        return [(int(line), column, value, reason) for line, column, value, reason in rows]

    async def smbs(self) -> dict[str, dict[str, Any]]:
        """The tenant's SMBs that are not deleted, by external id (or name), as they are stored."""
        rows = await self.desk.fetch(
            "SELECT * FROM smbs WHERE tenant_id = $1 AND deleted_at IS NULL ORDER BY slug", self.desk.tenant_id
        )
        found = [dict(row) for row in rows]
        for row in found:
            for name in ("services_activated", "services_approved_pending", "business_context"):
                row[name] = json.loads(row[name])
        return {row["external_id"] or row["business_name"]: row for row in found}

    async def untouched(self) -> list[Any]:
        """Whatever a dry run or a second import must leave as it is."""
        statements = (
            "SELECT * FROM smbs WHERE tenant_id = $1 ORDER BY id",
            "SELECT tenant_id, smb_id, sequence FROM smb_heads WHERE tenant_id = $1 ORDER BY smb_id",
            "SELECT * FROM outgoing_messages WHERE tenant_id = $1 ORDER BY id",
            "SELECT count(*) FROM import_rows WHERE tenant_id = $1",
        )
        return [await self.desk.fetch(statement, self.desk.tenant_id) for statement in statements]


@asynccontextmanager
async def refusing(url: str, allowed: str) -> AsyncIterator[None]:
    """A database that takes only SMBs of which this holds, for the length of a block."""
    administrator = await asyncpg.connect(url)
    try:
        await administrator.execute(f"ALTER TABLE smbs ADD CONSTRAINT of_the_test CHECK ({allowed}) NOT VALID")
        yield
    finally:
        await administrator.execute("ALTER TABLE smbs DROP CONSTRAINT of_the_test")
        await administrator.close()


def counts(job: RecordJob) -> tuple[int, int, int, int]:
    """Created, updated, unchanged, refused; together they are all rows."""
    assert job.rows_done == job.rows_total == job.created + job.updated + job.unchanged + job.refused
    return job.created, job.updated, job.unchanged, job.refused


def table(*rows: Sequence[object]) -> str:
    """A CSV file."""
    text = StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


async def pieces(file: str | bytes, size: int = PIECE_BYTES) -> AsyncIterator[bytes]:
    """A file as it arrives."""
    sent = file.encode() if isinstance(file, str) else file
    for start in range(0, len(sent), size):
        yield sent[start : start + size]
