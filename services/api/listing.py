"""Lists of SMBs over HTTP: all of a tenant's, or those of a community."""

from typing import Any

from starlette.responses import Response

from services.api.models.lists import CommunityListQuery
from services.api.models.smbs import ListedSmb
from services.api.paging import PageOf
from services.api.parts import Parts
from services.records.filters import smb_filter_from
from services.records.listing import list_smbs
from shared.runtime.database import TenantDatabase

NO_FILTER = frozenset({"sort", "limit", "cursor"})


async def page_of_smbs(asked: CommunityListQuery, parts: Parts, tenant: TenantDatabase, **fixed: Any) -> Response:  # noqa: ANN401  a filter's value
    """Give the page that was asked for; `fixed` filters hold whatever was asked."""
    wanted = smb_filter_from(asked.model_dump(exclude_none=True, exclude=set(NO_FILTER)) | fixed)
    async with tenant.transaction() as transaction:
        page = await list_smbs(transaction, tenant.tenant_id, asked.limit, wanted, asked.order, cursor=asked.cursor)
    items = [ListedSmb.of(smb, parts.policy) for smb in page.entries]
    shown = PageOf[ListedSmb].model_construct(items=items, next_cursor=page.last)
    return Response(shown.model_dump_json(), media_type="application/json")
