"""Bulk updates: one change for many SMBs."""

from datetime import datetime
from uuid import UUID

from starlette.responses import Response

from services.api.idempotency import Answer
from services.api.models.jobs import BulkUpdateAnswer, BulkUpdateRequest, Job
from services.api.parts import Tenant
from services.api.problems import Problem, documented
from services.api.routing import router
from services.api.writing import Writing
from services.records.bulk.opening import count_bulk_update, open_bulk_update
from services.records.bulk.requests import bulk_update_from
from services.records.filters import smb_filter_from
from services.records.job_store import read_job
from services.records.jobs import JobKind
from shared.runtime.database import Transaction
from shared.runtime.outcome import Outcome

routes = router("/smbs/bulk-update", "Bulk updates")
ACCEPTED = 202


@routes.post("", status_code=ACCEPTED, response_model=BulkUpdateAnswer, responses=documented(409, 415))
async def bulk_update(body: BulkUpdateRequest, tenant: Tenant, writing: Writing) -> Response:
    """Change many SMBs at once; the records workers do it afterwards, and each changed SMB is announced."""
    update = bulk_update_from(
        tenant.tenant_id,
        body.changes.model_dump(exclude_unset=True),
        ids=body.ids,
        wanted=smb_filter_from(body.filter.model_dump(exclude_none=True)) if body.filter is not None else None,
    )

    async def act(transaction: Transaction, now: datetime) -> tuple[Outcome, Answer]:
        count = await count_bulk_update(transaction, update)
        job = None
        if not body.dry_run:
            job = await read_job(transaction, tenant.tenant_id, await open_bulk_update(transaction, update, now))
        shown = BulkUpdateAnswer(
            matched=count.matched, would_change=count.would_change, job=Job.of(job) if job else None
        )
        return Outcome(), Answer(ACCEPTED, shown.model_dump_json().encode())

    return await writing.write([], act)


@routes.get("/{bulk_id}/status", response_model=Job, responses=documented(404))
async def get_bulk_update_status(bulk_id: UUID, tenant: Tenant) -> Job:
    """How far a bulk update is."""
    async with tenant.transaction() as transaction:
        found = await read_job(transaction, tenant.tenant_id, bulk_id)
    if found is None or found.kind is not JobKind.BULK_UPDATE:
        raise Problem(404, "unknown-bulk-update", "there is no such bulk update")
    return Job.of(found)
