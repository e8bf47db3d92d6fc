"""SMBs: create, read."""

from datetime import datetime
from uuid import UUID, uuid4

from starlette.responses import Response

from services.api.idempotency import Answer
from services.api.models.smbs import Smb, SmbToCreate
from services.api.parts import Ours, Tenant
from services.api.problems import Problem, documented
from services.api.routing import router
from services.api.versions import etag
from services.api.writing import Writing
from services.records.profiles import smb_from
from services.records.reading import SmbRecord, read_smb, read_smb_by_slug
from shared.runtime.database import Transaction
from shared.runtime.outcome import Outcome
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy

routes = router("/smbs", "SMBs")


@routes.post("", status_code=201, response_model=Smb, responses=documented(409, 415))
async def create_smb(body: SmbToCreate, parts: Ours, tenant: Tenant, writing: Writing) -> Response:
    """Create an SMB. Events and approvals that came before it count at once."""
    fields = body.model_dump(exclude_unset=True) | {"tenant_id": tenant.tenant_id, "id": body.id or uuid4()}
    request = smb_from(fields)

    async def create(transaction: Transaction, now: datetime) -> tuple[Outcome, Answer]:
        outcome = await parts.records.create_smbs(transaction, [request], now)
        return outcome, answer(await existing(transaction, request.key), parts.policy, status=201)

    return await writing.write([request.key], create)


@routes.get("/slug/{slug}", response_model=Smb, responses=documented(404))
async def get_smb_by_slug(slug: str, parts: Ours, tenant: Tenant) -> Response:
    """Give the SMB that has this slug."""
    async with tenant.transaction() as transaction:
        found = await read_smb_by_slug(transaction, tenant.tenant_id, slug)
    if found is None:
        raise not_found()
    return answer(found, parts.policy).response()


@routes.get("/{smb_id}", response_model=Smb, responses=documented(404))
async def get_smb(smb_id: UUID, parts: Ours, tenant: Tenant) -> Response:
    """Give one SMB, whole."""
    async with tenant.transaction() as transaction:
        found = await existing(transaction, SmbKey(tenant.tenant_id, smb_id))
    return answer(found, parts.policy).response()


async def existing(transaction: Transaction, smb: SmbKey) -> SmbRecord:
    """Read an SMB. Raises Problem 404 when the tenant has none such."""
    found = await read_smb(transaction, smb)
    if found is None:
        raise not_found()
    return found


def not_found() -> Problem:
    """The tenant has no such SMB; whether another one has is nobody's business."""
    return Problem(404, "unknown-smb", "there is no such SMB")


def answer(record: SmbRecord, policy: Policy, *, status: int = 200) -> Answer:
    """Show an SMB, with its ETag and, when it was just made, its address."""
    headers = [("ETag", etag(record.revision))]
    if status == 201:  # noqa: PLR2004  Created
        headers.append(("Location", f"/api/v1/smbs/{record.id}"))
    return Answer(status, Smb.of(record, policy).model_dump_json().encode(), headers, record.id)
