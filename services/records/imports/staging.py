"""The SQL of an upload: its job, the staged rows, the refused ones."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text

from services.records.files.columns import RefusedRow
from services.records.jobs import UPLOAD_STALE
from shared.runtime.copied import CopiedRows
from shared.runtime.database import Transaction

# What a row of `import_rows` has beside its place.
COLUMNS = {
    "id": "uuid",
    "external_id": "text",
    "business_name": "text",
    "primary_email": "text",
    "primary_phone": "text",
    "industry_category": "text",
    "business_description": "text",
    "business_context": "jsonb",
    "community_id": "uuid",
    "community_slug": "text",
    "service_model": "text",
    "services_activated": "jsonb",
    "email_opted_in": "boolean",
    "sms_opted_in": "boolean",
    "rvm_opted_in": "boolean",
    "phone_opted_in": "boolean",
    "do_not_contact": "boolean",
    "cleared": "text[]",
}
BROKEN_OFF = "the upload broke off"

# Whoever's upload stands still has lost its place to the next one.
FAIL_STALE = text(
    """
    UPDATE record_jobs SET status = 'failed', failure = :failure, ended_at = clock_timestamp()
    WHERE tenant_id = :tenant_id AND status = 'uploading'
        AND progressed_at < clock_timestamp() - CAST(:stale AS interval)
    """,
)
OPEN_IMPORT = text(
    """
    INSERT INTO record_jobs (tenant_id, id, kind, status, dry_run, opened_at, progressed_at)
    VALUES (:tenant_id, :job_id, 'import', 'uploading', :dry_run, clock_timestamp(), clock_timestamp())
    ON CONFLICT (tenant_id) WHERE kind = 'import' AND status IN ('uploading', 'waiting', 'running') DO NOTHING
    RETURNING id
    """,
)
RUNNING_IMPORT = text(
    """
    SELECT id FROM record_jobs
    WHERE tenant_id = :tenant_id AND kind = 'import' AND status IN ('uploading', 'waiting', 'running')
    """,
)
# Also the lock under which rows are staged: an upload that was given up stages none any more.
COME_ON = text(
    """
    UPDATE record_jobs SET progressed_at = clock_timestamp()
    WHERE tenant_id = :tenant_id AND id = :job_id AND status = 'uploading' RETURNING id
    """,
)
FAIL = text(
    """
    UPDATE record_jobs SET status = 'failed', failure = :failure, ended_at = clock_timestamp()
    WHERE tenant_id = :tenant_id AND id = :job_id AND status = 'uploading'
    """,
)
BEGIN_WORK = text(
    """
    UPDATE record_jobs
    SET status = CASE WHEN :chunks = 0 THEN 'finished' ELSE 'waiting' END, request = CAST(:request AS jsonb),
        rows_total = :rows, rows_done = :refused, refused = :refused, chunks_total = :chunks,
        progressed_at = clock_timestamp(), ended_at = CASE WHEN :chunks = 0 THEN clock_timestamp() END
    WHERE tenant_id = :tenant_id AND id = :job_id
    """,
)
STAGED = CopiedRows("staged_rows", {"bucket": "smallint", "line": "integer"} | COLUMNS)
# Sorted, so that a chunk's rows lie together.
KEEP_STAGED = text(
    f"""
    INSERT INTO import_rows (tenant_id, job_id, {", ".join(STAGED.columns)})
    SELECT :tenant_id, :job_id, {", ".join(STAGED.columns)} FROM {STAGED.name} ORDER BY bucket, line
    """,  # noqa: S608  constants
)
# Of a row about an erased SMB nothing but its line and the reason is kept, and its id where that was refused.
REFUSE = text(
    """
    INSERT INTO import_refusals (tenant_id, job_id, line, field, value, reason, smb_id, external_id, email)
    SELECT :tenant_id, :job_id, refused.line, refused.field,
        CASE WHEN erased.smb_id IS NULL OR refused.value = CAST(erased.smb_id AS text) THEN refused.value END,
        refused.reason,
        CASE WHEN erased.smb_id IS NULL THEN refused.smb_id END,
        CASE WHEN erased.smb_id IS NULL THEN refused.external_id END,
        CASE WHEN erased.smb_id IS NULL THEN refused.email END
    FROM unnest(
        CAST(:lines AS integer[]), CAST(:fields AS text[]), CAST(:values AS text[]), CAST(:reasons AS text[]),
        CAST(:smb_ids AS uuid[]), CAST(:external_ids AS text[]), CAST(:emails AS text[]))
        AS refused (line, field, value, reason, smb_id, external_id, email)
    LEFT JOIN smb_heads AS erased ON erased.tenant_id = :tenant_id AND erased.smb_id = refused.smb_id
        AND erased.erased_at IS NOT NULL
    ON CONFLICT DO NOTHING
    """,
)
COUNT_BUCKETS = text(
    """
    SELECT bucket, count(*) AS rows FROM import_rows WHERE tenant_id = :tenant_id AND job_id = :job_id
    GROUP BY bucket ORDER BY bucket
    """,
)
# Where a bucket with too many rows is cut: the last line of each part.
CUT_BUCKET = text(
    """
    SELECT line FROM (
        SELECT line, row_number() OVER (ORDER BY line) AS place FROM import_rows
        WHERE tenant_id = :tenant_id AND job_id = :job_id AND bucket = :bucket
    ) AS numbered
    WHERE place % :rows = 0 ORDER BY line
    """,
)


async def open_import(transaction: Transaction, tenant_id: UUID, job_id: UUID, *, dry_run: bool) -> UUID | None:
    """Open an import, or give the one that still runs."""
    named = {"tenant_id": tenant_id, "job_id": job_id}
    await transaction.execute(FAIL_STALE, named | {"failure": BROKEN_OFF, "stale": UPLOAD_STALE})
    if (await transaction.execute(OPEN_IMPORT, named | {"dry_run": dry_run})).first() is not None:
        return None
    running: UUID | None = (await transaction.execute(RUNNING_IMPORT, named)).scalar_one_or_none()
    # One that ended in between leaves its place free: the second try finds it.
    return running or await open_import(transaction, tenant_id, job_id, dry_run=dry_run)


async def come_on(transaction: Transaction, tenant_id: UUID, job_id: UUID) -> bool:
    """Note that an upload goes on, and hold its job; False when it was given up."""
    return (await transaction.execute(COME_ON, {"tenant_id": tenant_id, "job_id": job_id})).first() is not None


async def fail(transaction: Transaction, tenant_id: UUID, job_id: UUID, failure: str) -> None:
    """End an upload of which nothing is to be done; what it staged is removed later."""
    await transaction.execute(FAIL, {"tenant_id": tenant_id, "job_id": job_id, "failure": failure})


async def stage(
    transaction: Transaction, tenant_id: UUID, job_id: UUID, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Stage rows, each with bucket, line and these further columns."""
    await STAGED.copy(transaction, rows, ("bucket", "line", *columns))
    await transaction.execute(KEEP_STAGED, {"tenant_id": tenant_id, "job_id": job_id})


async def refuse(transaction: Transaction, tenant_id: UUID, job_id: UUID, rows: Sequence[RefusedRow]) -> None:
    """Keep why rows are refused; each counts once."""
    if not rows:
        return
    parameters: dict[str, Any] = {
        "lines": [row.line for row in rows],
        "fields": [row.column for row in rows],
        "values": [row.value for row in rows],
        "reasons": [row.reason for row in rows],
        "smb_ids": [row.smb_id for row in rows],
        "external_ids": [row.external_id for row in rows],
        "emails": [row.email.lower() if row.email else None for row in rows],
    }
    await transaction.execute(REFUSE, parameters | {"tenant_id": tenant_id, "job_id": job_id})


async def begin_work(  # noqa: PLR0913  the whole account of an upload
    transaction: Transaction,
    tenant_id: UUID,
    job_id: UUID,
    request: Mapping[str, Any],
    *,
    rows: int,
    refused: int,
    chunks: int,
) -> None:
    """Hand a staged upload over to the workers; without any chunk it is finished."""
    counts = {"rows": rows, "refused": refused, "chunks": chunks}
    parameters = {"tenant_id": tenant_id, "job_id": job_id, "request": json.dumps(request)}
    await transaction.execute(BEGIN_WORK, parameters | counts)


async def count_buckets(transaction: Transaction, tenant_id: UUID, job_id: UUID) -> list[tuple[int, int]]:
    """Give each bucket that has staged rows, and how many, in order."""
    rows = await transaction.execute(COUNT_BUCKETS, {"tenant_id": tenant_id, "job_id": job_id})
    return [(row.bucket, row.rows) for row in rows.all()]


async def cut_bucket(transaction: Transaction, tenant_id: UUID, job_id: UUID, bucket: int, rows: int) -> list[int]:
    """Give the last line of each part of `rows` rows of a bucket; a smaller rest has none."""
    parameters = {"tenant_id": tenant_id, "job_id": job_id, "bucket": bucket, "rows": rows}
    return list((await transaction.execute(CUT_BUCKET, parameters)).scalars())
