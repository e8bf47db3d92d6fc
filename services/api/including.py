"""What belongs to an SMB, shown together with it."""

from collections.abc import Collection
from typing import Annotated, Any

from fastapi import Query

from services.api.idempotency import Answer
from services.api.models.communities import Community
from services.api.models.engagement import CampaignSend, TimelineEvent
from services.api.models.smbs import SmbWith, shown
from services.api.problems import Problem
from services.api.versions import etag
from services.engagement.views.explanation import explain
from services.engagement.views.sends import campaign_sends
from services.engagement.views.timeline import APPROVALS, CONTENT_VIEWS, Filter, timeline
from services.records.ai_context import EVENTS_MOST, AiContext, ai_context
from services.records.changes import CommunityKey
from services.records.community_store import CommunityRecord, read_community
from services.records.reading import SmbRecord
from shared.runtime.database import Transaction
from shared.runtime.heads import read_clock
from shared.schemas.policy import Policy

PARTS = ("community", "approvals", "content_views", "campaign_sends")
# The newest of each; their own addresses give all of them.
INCLUDED_MOST = 50
_EVENTS = {"approvals": Filter(APPROVALS), "content_views": Filter(CONTENT_VIEWS)}
_ONE = f"({'|'.join(PARTS)})"

Include = Annotated[
    str,
    Query(
        max_length=200,
        pattern=f"^({_ONE}(,{_ONE})*)?$",
        description=f"Any of {', '.join(PARTS)}, with commas between them.",
        examples=["community,approvals"],
    ),
]


def parse_includes(text: str) -> frozenset[str]:
    """The parts asked for. Raises Problem 422 for one that nobody knows."""
    wanted = frozenset(name for name in text.split(",") if name)
    if unknown := wanted.difference(PARTS):
        reason = f"there is no {min(unknown)!r}: {', '.join(PARTS)}"
        raise Problem(422, "invalid-field", f"include: {reason}", errors=[("include", reason)])
    return wanted


async def read_included(
    transaction: Transaction, smb: SmbRecord, wanted: Collection[str], policy: Policy
) -> dict[str, Any]:
    """Read what is wanted, each under its name."""
    found: dict[str, Any] = {}
    if "community" in wanted:
        community = await _community(transaction, smb)
        found["community"] = Community.of(community) if community else None
    if events := [name for name in _EVENTS if name in wanted]:
        today = (await read_clock(transaction)).date()
        for name in events:
            page = await timeline(transaction, smb.key, policy.score, today, INCLUDED_MOST, only=_EVENTS[name])
            found[name] = [TimelineEvent.model_validate(entry) for entry in page.entries]
    if "campaign_sends" in wanted:
        sends = await campaign_sends(transaction, smb.key, INCLUDED_MOST)
        found["campaign_sends"] = [CampaignSend.model_validate(send) for send in sends.page.entries]
    return found


def shown_with(smb: SmbRecord, included: dict[str, Any], policy: Policy) -> Answer:
    """Show an SMB with what was included; what was not asked for is left out."""
    whole = SmbWith.model_construct(**shown(smb, policy), **included)
    left_out = set(PARTS) - included.keys()
    return Answer(200, whole.model_dump_json(exclude=left_out).encode(), [("ETag", etag(smb.revision))], smb.id)


async def read_ai_context(transaction: Transaction, smb: SmbRecord, policy: Policy) -> AiContext:
    """Put together what an assistant is told."""
    now = await read_clock(transaction)
    explained = await explain(transaction, smb.key, policy, now)
    newest = await timeline(transaction, smb.key, policy.score, now.date(), EVENTS_MOST)
    points = {group.group: group.counted_points for group in explained.groups} if explained else {}
    tier_name = next(rule.name for rule in policy.tiers if rule.tier == smb.engagement_tier)
    return ai_context(smb, await _community(transaction, smb), tier_name, points, newest.entries)


async def _community(transaction: Transaction, smb: SmbRecord) -> CommunityRecord | None:
    if smb.community_id is None:
        return None
    return await read_community(transaction, CommunityKey(smb.tenant_id, smb.community_id))
