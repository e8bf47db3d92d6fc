"""Imports: upload a file, watch it, and get the rows that were refused."""

import json
from email.message import Message
from typing import Annotated
from uuid import UUID

from fastapi import Query
from starlette.requests import ClientDisconnect, Request
from starlette.responses import StreamingResponse

from services.api.models.jobs import IMPORT_BODY, Job
from services.api.parts import Tenant
from services.api.problems import Problem, documented
from services.api.routing import router
from services.records.files.reading import FileFormat
from services.records.imports.receiving import Upload, receive_import
from services.records.imports.refusals import refusals_as_csv
from services.records.job_store import read_job
from services.records.jobs import JobKind, RecordJob
from shared.runtime.database import TenantDatabase

uploads = router("/smbs/import", "Imports", uploads=True)
routes = router("/smbs/import", "Imports")
FORMATS = {
    "text/csv": FileFormat.CSV,
    "application/json": FileFormat.JSON,
    "application/x-ndjson": FileFormat.JSON_LINES,
}
MAPPING_MAX_CHARACTERS = 4_000

DryRun = Annotated[bool, Query(description="Check and count everything, and change nothing.")]
MappingText = Annotated[
    str,
    Query(
        max_length=MAPPING_MAX_CHARACTERS,
        description="A JSON object: each column of the file to one of our fields, or to null to leave it out.",
        examples=['{"Company": "business_name", "Notes": null}'],
    ),
]


@uploads.post("", status_code=202, response_model=Job, responses=documented(409, 415), openapi_extra=IMPORT_BODY)
async def import_smbs(
    request: Request,
    tenant: Tenant,
    *,
    dry_run: DryRun = False,
    mapping: MappingText = "{}",
) -> Job:
    """Upload SMBs: new ones are created, known ones (by id, external_id, else primary_email) changed.

    The file is checked as it arrives and applied by the records workers afterwards; bad rows are refused one by one.
    One import runs at a time. The same file again changes nothing.
    """
    file_format, charset = _kind_of(request.headers.get("content-type", ""))
    upload = Upload(tenant.tenant_id, file_format, _mapping(mapping), charset, dry_run)
    try:
        job_id = await receive_import(tenant, upload, request.stream())
    except ClientDisconnect as error:
        raise Problem(400, "disconnected", "the upload broke off; nothing of it was kept") from error
    return Job.of(await _existing(tenant, job_id))


@routes.get("/{job_id}/status", response_model=Job, responses=documented(404))
async def get_import_status(job_id: UUID, tenant: Tenant) -> Job:
    """How far an import is."""
    return Job.of(await _existing(tenant, job_id))


@routes.get(
    "/{job_id}/errors",
    response_class=StreamingResponse,
    responses=documented(404) | {200: {"description": "line, column, value, reason", "content": {"text/csv": {}}}},
)
async def get_import_errors(job_id: UUID, tenant: Tenant) -> StreamingResponse:
    """The refused rows as CSV, with line, column, value and reason; kept for 30 days."""
    await _existing(tenant, job_id)
    return StreamingResponse(
        refusals_as_csv(tenant, tenant.tenant_id, job_id),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="import-{job_id}-errors.csv"'},
    )


async def _existing(tenant: TenantDatabase, job_id: UUID) -> RecordJob:
    async with tenant.transaction() as transaction:
        found = await read_job(transaction, tenant.tenant_id, job_id)
    if found is None or found.kind is not JobKind.IMPORT:
        raise Problem(404, "unknown-import", "there is no such import")
    return found


def _kind_of(content_type: str) -> tuple[FileFormat, str | None]:
    """The format of the body and its charset, where it is told. Raises Problem 415."""
    header = Message()
    header["content-type"] = content_type or "application/octet-stream"
    file_format = FORMATS.get(header.get_content_type())
    if file_format is None:
        reason = f"must be one of {', '.join(FORMATS)}"
        raise Problem(415, "unsupported-media-type", f"Content-Type {reason}", errors=[("Content-Type", reason)])
    return file_format, header.get_content_charset()


def _mapping(text: str) -> dict[str, str | None]:
    """Raises Problem 422 for what is no object of texts."""
    try:
        mapping = json.loads(text)
    except (ValueError, RecursionError):
        mapping = None
    if not isinstance(mapping, dict) or not all(value is None or isinstance(value, str) for value in mapping.values()):
        reason = "must be a JSON object of column names, each to a field's name or null"
        raise Problem(422, "invalid-field", f"mapping: {reason}", errors=[("mapping", reason)])
    return mapping
