"""Histories: the campaigns of an SMB, and the changes of its tier."""

from uuid import UUID

from services.api.models.histories import CampaignRun, TierChange
from services.api.paging import LIMIT_DEFAULT, CursorText, Limit, PageOf, decode, encode
from services.api.parts import Tenant
from services.api.problems import documented
from services.api.routing import router
from services.api.showing import existing
from services.campaign.history import campaign_history
from services.tier.history import tier_changes
from shared.schemas.identity import SmbKey

routes = router("/smbs/{smb_id}", "Histories")


@routes.get("/campaigns", response_model=PageOf[CampaignRun], responses=documented(404))
async def get_campaigns(
    smb_id: UUID, tenant: Tenant, limit: Limit = LIMIT_DEFAULT, cursor: CursorText = None
) -> PageOf[CampaignRun]:
    """The runs of the SMB's campaigns, the newest first, each with its steps."""
    of_list = f"campaigns {smb_id}"
    after = decode(cursor, of_list, (int,))
    async with tenant.transaction() as transaction:
        smb = (await existing(transaction, SmbKey(tenant.tenant_id, smb_id))).key
        page = (await campaign_history(transaction, smb, limit, after=after[0] if after else None)).page
    items = [CampaignRun.of(run) for run in page.entries]
    return PageOf(items=items, next_cursor=encode(None if page.last is None else (page.last,), of_list))


@routes.get("/tier-changes", response_model=PageOf[TierChange], responses=documented(404))
async def get_tier_changes(
    smb_id: UUID, tenant: Tenant, limit: Limit = LIMIT_DEFAULT, cursor: CursorText = None
) -> PageOf[TierChange]:
    """The changes of the SMB's tier, the newest first."""
    of_list = f"tier changes {smb_id}"
    after = decode(cursor, of_list, (int,))
    async with tenant.transaction() as transaction:
        smb = (await existing(transaction, SmbKey(tenant.tenant_id, smb_id))).key
        page = await tier_changes(transaction, smb, limit, after=after[0] if after else None)
    items = [TierChange.model_validate(change) for change in page.entries]
    return PageOf(items=items, next_cursor=encode(None if page.last is None else (page.last,), of_list))
