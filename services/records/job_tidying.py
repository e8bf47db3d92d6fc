"""Clearing up after jobs: uploads that broke off, rows that nobody will apply, jobs that ended long ago."""

from sqlalchemy import text

from services.records.imports.staging import BROKEN_OFF
from services.records.jobs import KEPT, UPLOAD_STALE
from shared.runtime.database import Database

EVERY_SECONDS = 30.0
# Rows removed at once, so that no transaction takes long.
AT_ONCE = 20_000
# So many times at most in a row, so that a worker that ends is not kept waiting.
ROUNDS = 100

FAIL_STALE_UPLOADS = text(
    """
    UPDATE record_jobs SET status = 'failed', failure = :failure, ended_at = clock_timestamp()
    WHERE status = 'uploading' AND progressed_at < clock_timestamp() - CAST(:stale AS interval)
    """,
)
# Of jobs that no worker will ever do.
REMOVE_LEFT_ROWS = text(
    """
    DELETE FROM import_rows WHERE ctid = ANY(ARRAY(
        SELECT staged.ctid FROM record_jobs AS job
        JOIN import_rows AS staged ON staged.tenant_id = job.tenant_id AND staged.job_id = job.id
        WHERE job.status = 'failed' AND job.kind = 'import' LIMIT :at_once FOR UPDATE OF staged SKIP LOCKED))
    """,
)
# With their chunks and the rows that were refused.
REMOVE_OLD_JOBS = text(
    """
    DELETE FROM record_jobs WHERE (tenant_id, id) IN (
        SELECT tenant_id, id FROM record_jobs WHERE ended_at < clock_timestamp() - CAST(:kept AS interval)
            AND NOT EXISTS (
                SELECT FROM import_rows AS staged WHERE staged.tenant_id = record_jobs.tenant_id
                    AND staged.job_id = record_jobs.id)
        ORDER BY ended_at LIMIT 1 FOR UPDATE SKIP LOCKED)
    """,
)


async def tidy_jobs(database: Database) -> None:
    """Clear up what is due, or much of it; harmless when two do it at once."""
    async with database.transaction() as transaction:
        await transaction.execute(FAIL_STALE_UPLOADS, {"failure": BROKEN_OFF, "stale": UPLOAD_STALE})
    for statement, parameters, full in (
        (REMOVE_LEFT_ROWS, {"at_once": AT_ONCE}, AT_ONCE),
        (REMOVE_OLD_JOBS, {"kept": KEPT}, 1),
    ):
        for _ in range(ROUNDS):
            async with database.transaction() as transaction:
                removed = (await transaction.execute(statement, parameters)).rowcount
            if removed < full:
                break
