"""The SQL of jobs over many SMBs and of their chunks."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from services.records.jobs import Chunk, Counts, JobKind, OpenChunk, RecordJob
from shared.runtime.database import Transaction

_JOB_COLUMNS = ", ".join(field.name for field in fields(RecordJob))
_CHUNK_COLUMNS = tuple(field.name for field in fields(Chunk))

CLOCK = text("SELECT clock_timestamp()")
INSERT_JOB = text(
    """
    INSERT INTO record_jobs
        (tenant_id, id, kind, status, request, rows_total, chunks_total, opened_at, progressed_at, ended_at)
    VALUES (:tenant_id, :job_id, :kind, CASE WHEN :chunks = 0 THEN 'finished' ELSE 'waiting' END,
        CAST(:request AS jsonb), :rows, :chunks, :now, :now,
        CASE WHEN :chunks = 0 THEN CAST(:now AS timestamptz) END)
    """,
)
# The ids of SMBs come as JSON, because arrays in an array must all have the same length.
INSERT_CHUNKS = text(
    """
    INSERT INTO record_job_chunks (tenant_id, job_id, number, rows, first_bucket, first_line, last_bucket, last_line,
        first_smb_id, last_smb_id, smb_ids)
    SELECT :tenant_id, :job_id, number, rows, first_bucket, first_line, last_bucket, last_line, first_smb_id,
        last_smb_id, CASE WHEN smb_ids IS NOT NULL THEN
            ARRAY(SELECT CAST(id AS uuid) FROM jsonb_array_elements_text(smb_ids) AS id) END
    FROM unnest(CAST(:numbers AS integer[]), CAST(:rows AS integer[]), CAST(:first_bucket AS smallint[]),
        CAST(:first_line AS integer[]), CAST(:last_bucket AS smallint[]), CAST(:last_line AS integer[]),
        CAST(:first_smb_id AS uuid[]), CAST(:last_smb_id AS uuid[]), CAST(:smb_ids AS jsonb[]))
        AS chunk (number, rows, first_bucket, first_line, last_bucket, last_line, first_smb_id, last_smb_id, smb_ids)
    """,
)
READ_JOB = text(f"SELECT {_JOB_COLUMNS} FROM record_jobs WHERE tenant_id = :tenant_id AND id = :job_id")  # noqa: S608
READ_JOBS = text(
    f"""
    SELECT {_JOB_COLUMNS} FROM record_jobs WHERE tenant_id = :tenant_id AND kind = :kind
    ORDER BY opened_at DESC, id LIMIT :most
    """,  # noqa: S608  the names above
)
# A worker keeps what it tried on while its own transaction is open, so one that was killed holds nothing. The row
# itself is not locked: the transaction that does the chunk marks it. Candidates are looked at one by one, and the last
# one that is looked at is the one that was had.
CLAIM = text(
    """
    WITH candidate AS MATERIALIZED (
        SELECT tenant_id, job_id, number FROM record_job_chunks WHERE done_at IS NULL
        ORDER BY number, tenant_id, job_id LIMIT :most
    )
    SELECT tenant_id, job_id, number FROM candidate
    WHERE pg_try_advisory_xact_lock(hashtextextended('chunk ' || job_id || '/' || number, 0)) LIMIT 1
    """,
)
READ_CHUNK = text(
    f"""
    SELECT job.kind, job.dry_run, job.request, job.opened_at, {", ".join(f"chunk.{name}" for name in _CHUNK_COLUMNS)}
    FROM record_job_chunks AS chunk JOIN record_jobs AS job ON job.tenant_id = chunk.tenant_id AND job.id = chunk.job_id
    WHERE chunk.tenant_id = :tenant_id AND chunk.job_id = :job_id AND chunk.number = :number AND chunk.done_at IS NULL
    """,  # noqa: S608  the names above
)
FINISH_CHUNK = text(
    """
    UPDATE record_job_chunks SET done_at = :now, smb_ids = CASE WHEN smb_ids IS NOT NULL THEN CAST('{}' AS uuid[]) END
    WHERE tenant_id = :tenant_id AND job_id = :job_id AND number = :number AND done_at IS NULL RETURNING rows
    """,
)
# A job's row is locked last, and only for this. What it was asked to do may name people, and is not needed any more.
COUNT_CHUNK = text(
    """
    UPDATE record_jobs
    SET chunks_done = chunks_done + 1, rows_done = rows_done + :rows, created = created + :created,
        updated = updated + :updated, unchanged = unchanged + :unchanged, refused = refused + :refused,
        progressed_at = greatest(progressed_at, :now),
        status = CASE WHEN chunks_done + 1 = chunks_total THEN 'finished' ELSE 'running' END,
        ended_at = CASE WHEN chunks_done + 1 = chunks_total THEN CAST(:now AS timestamptz) END,
        request = CASE WHEN chunks_done + 1 = chunks_total THEN request - 'filter' ELSE request END
    WHERE tenant_id = :tenant_id AND id = :job_id
    """,
)
NARROW_CHUNK = text(
    """
    UPDATE record_job_chunks
    SET rows = :rows, last_bucket = :last_bucket, last_line = :last_line, last_smb_id = :last_smb_id,
        smb_ids = CASE WHEN smb_ids IS NOT NULL THEN CAST(:smb_ids AS uuid[]) END
    WHERE tenant_id = :tenant_id AND job_id = :job_id AND number = :number AND done_at IS NULL RETURNING number
    """,
)
ADD_CHUNK = text(
    """
    UPDATE record_jobs SET chunks_total = chunks_total + 1 WHERE tenant_id = :tenant_id AND id = :job_id
    RETURNING chunks_total
    """,
)


async def open_job(  # noqa: PLR0913  what is done, to whom, and from when on
    transaction: Transaction,
    tenant_id: UUID,
    kind: JobKind,
    request: Mapping[str, Any],
    *,
    chunks: Sequence[Chunk],
    now: datetime,
) -> UUID:
    """Have the workers do these chunks as soon as the transaction commits; gives the job's id.

    A job without chunks is finished.
    """
    job_id = uuid4()
    parameters = {"tenant_id": tenant_id, "job_id": job_id, "kind": kind, "request": json.dumps(request), "now": now}
    rows = sum(chunk.rows for chunk in chunks)
    await transaction.execute(INSERT_JOB, parameters | {"rows": rows, "chunks": len(chunks)})
    await insert_chunks(transaction, tenant_id, job_id, chunks)
    return job_id


async def insert_chunks(
    transaction: Transaction, tenant_id: UUID, job_id: UUID, chunks: Sequence[Chunk], *, first_number: int = 1
) -> None:
    """Insert the chunks of a job, numbered from `first_number` on."""
    if not chunks:
        return
    parameters: dict[str, Any] = {name: [getattr(chunk, name) for chunk in chunks] for name in _CHUNK_COLUMNS}
    parameters["smb_ids"] = [None if ids is None else json.dumps(list(map(str, ids))) for ids in parameters["smb_ids"]]
    parameters["numbers"] = list(range(first_number, first_number + len(chunks)))
    await transaction.execute(INSERT_CHUNKS, parameters | {"tenant_id": tenant_id, "job_id": job_id})


async def read_job(transaction: Transaction, tenant_id: UUID, job_id: UUID) -> RecordJob | None:
    """Give a job as it is now; None when the tenant has no such job."""
    rows = await transaction.execute(READ_JOB, {"tenant_id": tenant_id, "job_id": job_id})
    row = rows.mappings().one_or_none()
    return None if row is None else RecordJob.of(row)


async def read_jobs(transaction: Transaction, tenant_id: UUID, kind: JobKind, most: int) -> list[RecordJob]:
    """Give the newest jobs of a kind, the newest first."""
    rows = await transaction.execute(READ_JOBS, {"tenant_id": tenant_id, "kind": kind, "most": most})
    return [RecordJob.of(row) for row in rows.mappings()]


async def claim_chunk(transaction: Transaction, most: int) -> OpenChunk | None:
    """Give a chunk that nobody else works on while this transaction stays open; None when there is none.

    Of the first `most` that are open one is taken, so `most` bounds how many workers find work at once.
    """
    while (claimed := (await transaction.execute(CLAIM, {"most": most})).mappings().one_or_none()) is not None:
        # Read anew: it may have been done between the look at the list and the claim.
        row = (await transaction.execute(READ_CHUNK, dict(claimed))).mappings().one_or_none()
        if row is not None:
            chunk = Chunk(**{name: row[name] for name in _CHUNK_COLUMNS})
            asked = {name: row[name] for name in ("dry_run", "request", "opened_at")}
            return OpenChunk(**claimed, kind=JobKind(row["kind"]), **asked, chunk=chunk)
    return None


async def finish_chunk(transaction: Transaction, chunk: OpenChunk, counts: Counts, now: datetime) -> bool:
    """Mark a chunk as done and count what became of its rows; the last one finishes the job.

    Gives False, with nothing changed, when it was done before.
    """
    parameters = _named(chunk) | {"now": now}
    rows = (await transaction.execute(FINISH_CHUNK, parameters)).scalar_one_or_none()
    if rows is None:
        return False
    await transaction.execute(COUNT_CHUNK, parameters | counts._asdict() | {"rows": rows})
    return True


async def split_chunk(transaction: Transaction, chunk: OpenChunk, halves: tuple[Chunk, Chunk]) -> None:
    """Let a chunk be the first of two halves, and add the second one to its job. Does nothing when it is done."""
    first, second = halves
    if (await transaction.execute(NARROW_CHUNK, _named(chunk) | asdict(first))).first() is not None:
        number = (await transaction.execute(ADD_CHUNK, _named(chunk))).scalar_one()
        await insert_chunks(transaction, chunk.tenant_id, chunk.job_id, [second], first_number=number)


def _named(chunk: OpenChunk) -> dict[str, Any]:
    return {"tenant_id": chunk.tenant_id, "job_id": chunk.job_id, "number": chunk.number}
