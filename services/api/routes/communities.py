"""Communities: create, read, change, delete."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import Query
from starlette.responses import Response

from services.api.causes import Because
from services.api.idempotency import Answer
from services.api.listing import page_of_smbs
from services.api.models.communities import Community, CommunityToChange, CommunityToCreate, CommunityToReplace, Stats
from services.api.models.lists import CommunityListQuery
from services.api.models.smbs import ListedSmb
from services.api.paging import LIMIT_DEFAULT, CursorText, Limit, PageOf
from services.api.parts import Ours, Parts, Tenant
from services.api.problems import Problem, documented
from services.api.routing import router
from services.api.versions import IfMatch, etag, expected_revision
from services.api.writing import Act, Writer, Writing
from services.campaign.decisions import Cause
from services.records import listing
from services.records.changes import CommunityKey, community_change_from
from services.records.communities import MembersChanged, heads_for_change, heads_for_deletion
from services.records.community_store import CommunityRecord, community_stats, read_community
from services.records.profiles import community_from
from shared.runtime.database import TenantDatabase, Transaction
from shared.runtime.outcome import Outcome
from shared.schemas.identity import SmbKey

routes = router("/communities", "Communities")
CREATED = 201
# SMBs that join while somebody changes their community are rare; who meets them time and again may try later.
ATTEMPTS = 5


@routes.post("", status_code=CREATED, response_model=Community, responses=documented(409, 415))
async def create_community(body: CommunityToCreate, parts: Ours, tenant: Tenant, writing: Writing) -> Response:
    """Create a community."""
    fields = body.model_dump(exclude_unset=True) | {"tenant_id": tenant.tenant_id, "id": body.id or uuid4()}
    request = community_from(fields)

    async def create(transaction: Transaction, now: datetime) -> tuple[Outcome, Answer]:
        outcome = await parts.records.create_communities(transaction, [request], now)
        found = await _existing(transaction, CommunityKey(tenant.tenant_id, request.id))
        return outcome, _answer(found, status=CREATED)

    return await writing.write([], create)


@routes.get("", response_model=PageOf[Community])
async def list_communities(
    tenant: Tenant, limit: Limit = LIMIT_DEFAULT, cursor: CursorText = None
) -> PageOf[Community]:
    """List communities by name."""
    async with tenant.transaction() as transaction:
        page = await listing.list_communities(transaction, tenant.tenant_id, limit, cursor=cursor)
    return PageOf(items=[Community.of(community) for community in page.entries], next_cursor=page.last)


@routes.get("/{community_id}/smbs", response_model=PageOf[ListedSmb], responses=documented(404))
async def list_smbs_of_community(
    community_id: UUID, asked: Annotated[CommunityListQuery, Query()], parts: Ours, tenant: Tenant
) -> Response:
    """List the SMBs of a community; with the filters and orders of all SMBs."""
    async with tenant.transaction() as transaction:
        await _existing(transaction, CommunityKey(tenant.tenant_id, community_id))
    return await page_of_smbs(asked, parts, tenant, community_id=community_id)


@routes.get("/{community_id}/stats", response_model=Stats, responses=documented(404))
async def get_community_stats(community_id: UUID, tenant: Tenant) -> Stats:
    """Count the SMBs of a community."""
    community = CommunityKey(tenant.tenant_id, community_id)
    async with tenant.transaction() as transaction:
        await _existing(transaction, community)
        return Stats.of(await community_stats(transaction, community))


@routes.get("/{community_id}", response_model=Community, responses=documented(404))
async def get_community(community_id: UUID, tenant: Tenant) -> Response:
    """Give one community."""
    async with tenant.transaction() as transaction:
        return _answer(await _existing(transaction, CommunityKey(tenant.tenant_id, community_id))).response()


@routes.put("/{community_id}", response_model=Community, responses=documented(404, 409, 412, 415, 428))
async def replace_community(  # noqa: PLR0913, PLR0917  what FastAPI hands over
    community_id: UUID,
    body: CommunityToReplace,
    parts: Ours,
    tenant: Tenant,
    writing: Writing,
    cause: Because,
    if_match: IfMatch = None,
) -> Response:
    """Replace a community: what is left out gets its default. Needs `If-Match`."""
    fields = body.model_dump(exclude={"slug"}) | ({"slug": body.slug} if body.slug else {})
    revision = expected_revision(if_match, required=True)
    change = fields | {"id": community_id, "expected_revision": revision}
    return await _change(change, parts, tenant, writing, cause)


@routes.patch("/{community_id}", response_model=Community, responses=documented(404, 409, 412, 415))
async def change_community(  # noqa: PLR0913, PLR0917  what FastAPI hands over
    community_id: UUID,
    body: CommunityToChange,
    parts: Ours,
    tenant: Tenant,
    writing: Writing,
    cause: Because,
    if_match: IfMatch = None,
) -> Response:
    """Change some fields. Another time zone moves the send moments of its SMBs; of very many, in a job."""
    fields = body.model_dump(exclude_unset=True)
    change = fields | {"id": community_id, "expected_revision": expected_revision(if_match)}
    return await _change(change, parts, tenant, writing, cause)


@routes.delete("/{community_id}", status_code=204, responses=documented(404, 409, 412))
async def delete_community(  # noqa: PLR0913, PLR0917  what FastAPI hands over
    community_id: UUID, parts: Ours, tenant: Tenant, writing: Writing, cause: Because, if_match: IfMatch = None
) -> Response:
    """Delete a community. Its SMBs, at most 1,000, belong to none then."""
    community = CommunityKey(tenant.tenant_id, community_id)
    revision = expected_revision(if_match)

    async def delete(transaction: Transaction, now: datetime) -> tuple[Outcome, Answer]:
        outcome = await parts.records.delete_community(
            transaction, community, now, expected_revision=revision, cause=cause
        )
        return outcome, Answer(204)

    return await _with_members(tenant, writing, lambda transaction: heads_for_deletion(transaction, community), delete)


async def _change(
    fields: dict[str, Any], parts: Parts, tenant: TenantDatabase, writing: Writer, cause: Cause
) -> Response:
    change = community_change_from(fields | {"tenant_id": tenant.tenant_id})

    async def act(transaction: Transaction, now: datetime) -> tuple[Outcome, Answer]:
        outcome = await parts.records.change_community(transaction, change, now, cause)
        return outcome, _answer(await _existing(transaction, change.key))

    return await _with_members(tenant, writing, lambda transaction: heads_for_change(transaction, change), act)


async def _with_members(
    tenant: TenantDatabase,
    writing: Writer,
    find: Callable[[Transaction], Awaitable[Sequence[SmbKey]]],
    act: Act,
) -> Response:
    """Write while the heads of the SMBs are held that the change concerns, whoever joins meanwhile."""
    for _ in range(ATTEMPTS):
        async with tenant.transaction() as transaction:
            members = await find(transaction)
        try:
            return await writing.write(members, act)
        except MembersChanged:
            continue
    raise Problem(503, "busy", "SMBs keep joining this community; nothing was changed", headers={"Retry-After": "1"})


async def _existing(transaction: Transaction, community: CommunityKey) -> CommunityRecord:
    found = await read_community(transaction, community)
    if found is None:
        raise Problem(404, "unknown-community", "there is no such community")
    return found


def _answer(record: CommunityRecord, *, status: int = 200) -> Answer:
    headers = [("ETag", etag(record.revision))]
    if status == CREATED:
        headers.append(("Location", f"/api/v1/communities/{record.id}"))
    return Answer(status, Community.of(record).model_dump_json().encode(), headers)
