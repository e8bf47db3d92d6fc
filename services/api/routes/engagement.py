"""Engagement: what an SMB did, what its score was on each day, and why it is what it is."""

from datetime import datetime
from typing import Annotated, get_args
from uuid import UUID

from fastapi import Query

from services.api.models.engagement import (
    CampaignSend,
    DailyScore,
    Explanation,
    Group,
    GroupShare,
    Kind,
    ScoreChange,
    ScoreHistory,
    TierShown,
    TimelineEvent,
)
from services.api.paging import LIMIT_DEFAULT, CursorText, Limit, PageOf, decode, encode
from services.api.parts import Ours, Parts, Tenant
from services.api.problems import documented
from services.api.routing import router
from services.api.showing import existing, not_found
from services.api.times import Day, Moment
from services.engagement import rules
from services.engagement.views.explanation import explain
from services.engagement.views.score_history import Days, score_history
from services.engagement.views.sends import campaign_sends
from services.engagement.views.store import EventPosition, SendPosition
from services.engagement.views.timeline import APPROVALS, CONTENT_VIEWS, Filter, timeline
from shared.runtime.database import TenantDatabase
from shared.runtime.heads import read_clock
from shared.schemas.identity import SmbKey

routes = router("/smbs/{smb_id}", "Engagement")
RESPONSES = documented(404)
GROUPS: tuple[Group, ...] = get_args(Group)

From = Annotated[Moment | None, Query(alias="from", description="From this moment on.")]
Until = Annotated[Moment | None, Query(description="Before this moment.")]
FirstDay = Annotated[Day | None, Query(alias="from", description="First UTC date; 90 days before the last.")]
LastDay = Annotated[Day | None, Query(alias="to", description="Last UTC date, included; today unless given.")]
Kinds = Annotated[list[Kind] | None, Query(alias="kind", description="Only these kinds (repeat the parameter).")]


@routes.get("/engagement", response_model=PageOf[TimelineEvent], responses=RESPONSES)
async def get_timeline(  # noqa: PLR0913, PLR0917  what FastAPI hands over
    smb_id: UUID,
    parts: Ours,
    tenant: Tenant,
    kind: Kinds = None,
    since: From = None,
    until: Until = None,
    limit: Limit = LIMIT_DEFAULT,
    cursor: CursorText = None,
) -> PageOf[TimelineEvent]:
    """What the SMB did, newest first."""
    wanted = Filter(tuple(sorted(kind)) if kind else rules.KINDS, since, until)
    return await _events(smb_id, parts, tenant, wanted, limit, cursor)


@routes.get("/approvals", response_model=PageOf[TimelineEvent], responses=RESPONSES)
async def get_approvals(
    smb_id: UUID, parts: Ours, tenant: Tenant, limit: Limit = LIMIT_DEFAULT, cursor: CursorText = None
) -> PageOf[TimelineEvent]:
    """Services that were approved or rejected, newest first."""
    return await _events(smb_id, parts, tenant, Filter(APPROVALS), limit, cursor)


@routes.get("/content-views", response_model=PageOf[TimelineEvent], responses=RESPONSES)
async def get_content_views(
    smb_id: UUID, parts: Ours, tenant: Tenant, limit: Limit = LIMIT_DEFAULT, cursor: CursorText = None
) -> PageOf[TimelineEvent]:
    """Content that was looked at or finished, newest first."""
    return await _events(smb_id, parts, tenant, Filter(CONTENT_VIEWS), limit, cursor)


@routes.get("/campaign-sends", response_model=PageOf[CampaignSend], responses=RESPONSES)
async def get_campaign_sends(
    smb_id: UUID, tenant: Tenant, limit: Limit = LIMIT_DEFAULT, cursor: CursorText = None
) -> PageOf[CampaignSend]:
    """The messages of campaigns that the SMB reacted to. One that nobody reacted to is not known here."""
    of_list = f"sends {smb_id}"
    after = decode(cursor, of_list, (datetime, str, str, str))
    async with tenant.transaction() as transaction:
        smb = (await existing(transaction, SmbKey(tenant.tenant_id, smb_id))).key
        found = await campaign_sends(transaction, smb, limit, after=SendPosition(*after) if after else None)
    items = [CampaignSend.model_validate(send) for send in found.page.entries]
    return PageOf(items=items, next_cursor=encode(found.page.last, of_list))


@routes.get("/engagement/score-history", response_model=ScoreHistory, responses=RESPONSES)
async def get_score_history(
    smb_id: UUID, parts: Ours, tenant: Tenant, first: FirstDay = None, last: LastDay = None
) -> ScoreHistory:
    """The score of each day, computed from the events by the present policy; at most 1,830 days."""
    async with tenant.transaction() as transaction:
        smb = (await existing(transaction, SmbKey(tenant.tenant_id, smb_id))).key
        days = Days.asked(first, last, (await read_clock(transaction)).date())
        found = await score_history(transaction, smb, parts.policy.score, days)
    items = [
        DailyScore.model_construct(
            on=day.on,
            score=day.score,
            groups={group: rules.points(getattr(day.groups, group)) for group in GROUPS},
        )
        for day in found
    ]
    return ScoreHistory.model_construct(items=items)


@routes.get("/engagement/explain", response_model=Explanation, responses=RESPONSES)
async def explain_score(smb_id: UUID, parts: Ours, tenant: Tenant) -> Explanation:
    """What the score is made of, when its points leave, and how many are missing to the next tier."""
    async with tenant.transaction() as transaction:
        smb = (await existing(transaction, SmbKey(tenant.tenant_id, smb_id))).key
        found = await explain(transaction, smb, parts.policy, await read_clock(transaction))
    if found is None:
        raise not_found()
    return Explanation(
        smb_id=smb_id,
        as_of=found.as_of,
        score=found.score,
        stored_score=found.stored_score,
        scored_on=found.scored_on,
        groups=[GroupShare.model_validate(group) for group in found.groups],
        tier=TierShown.model_validate(found.tier),
        stored_tier=TierShown.model_validate(found.stored_tier),
        next_tier=TierShown.model_validate(found.next_tier) if found.next_tier else None,
        points_to_next_tier=found.points_to_next_tier,
        expiries=[ScoreChange.model_validate(expiry._asdict()) for expiry in found.expiries],
        policy_version=parts.policy.version,
    )


async def _events(  # noqa: PLR0913, PLR0917  whose, which, and which part
    smb_id: UUID, parts: Parts, tenant: TenantDatabase, wanted: Filter, limit: int, cursor: str | None
) -> PageOf[TimelineEvent]:
    of_list = f"events {smb_id} {sorted(wanted.kinds)} {wanted.since} {wanted.until}"
    after = decode(cursor, of_list, (datetime, UUID))
    async with tenant.transaction() as transaction:
        smb = (await existing(transaction, SmbKey(tenant.tenant_id, smb_id))).key
        today = (await read_clock(transaction)).date()
        page = await timeline(
            transaction,
            smb,
            parts.policy.score,
            today,
            limit,
            after=EventPosition(*after) if after else None,
            only=wanted,
        )
    items = [TimelineEvent.model_validate(entry) for entry in page.entries]
    return PageOf(items=items, next_cursor=encode(page.last, of_list))
