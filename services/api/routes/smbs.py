"""SMBs: create, read."""

from datetime import datetime
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import Query
from starlette.responses import Response

from services.api.idempotency import Answer
from services.api.including import Include, parse_includes, read_ai_context, read_included, shown_with
from services.api.listing import page_of_smbs
from services.api.models.lists import ListQuery
from services.api.models.smbs import ListedSmb, Smb, SmbToCreate, SmbWith
from services.api.paging import PageOf
from services.api.parts import Ours, Tenant
from services.api.problems import documented
from services.api.routing import router
from services.api.showing import answer, existing, not_found
from services.api.writing import Writing
from services.records.ai_context import AiContext
from services.records.profiles import smb_from
from services.records.reading import read_smb_by_slug
from shared.runtime.database import Transaction
from shared.runtime.outcome import Outcome
from shared.schemas.identity import SmbKey

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


@routes.get("", response_model=PageOf[ListedSmb])
async def list_smbs(asked: Annotated[ListQuery, Query()], parts: Ours, tenant: Tenant) -> Response:
    """List SMBs that are not deleted."""
    return await page_of_smbs(asked, parts, tenant)


@routes.get("/slug/{slug}", response_model=Smb, responses=documented(404))
async def get_smb_by_slug(slug: str, parts: Ours, tenant: Tenant) -> Response:
    """Give the SMB that has this slug."""
    async with tenant.transaction() as transaction:
        found = await read_smb_by_slug(transaction, tenant.tenant_id, slug)
    if found is None:
        raise not_found()
    return answer(found, parts.policy).response()


@routes.get("/{smb_id}", response_model=SmbWith, responses=documented(404))
async def get_smb(smb_id: UUID, parts: Ours, tenant: Tenant, include: Include = "") -> Response:
    """Give one SMB, whole, and what belongs to it: `include=community,approvals,content_views,campaign_sends`."""
    wanted = parse_includes(include)
    async with tenant.transaction() as transaction:
        found = await existing(transaction, SmbKey(tenant.tenant_id, smb_id))
        included = await read_included(transaction, found, wanted, parts.policy)
    return shown_with(found, included, parts.policy).response()


@routes.get("/{smb_id}/ai-context", response_model=AiContext, responses=documented(404))
async def get_ai_context(smb_id: UUID, parts: Ours, tenant: Tenant) -> AiContext:
    """What an assistant should know before it writes to the SMB or speaks with it; no address, no number."""
    async with tenant.transaction() as transaction:
        found = await existing(transaction, SmbKey(tenant.tenant_id, smb_id))
        return await read_ai_context(transaction, found, parts.policy)
