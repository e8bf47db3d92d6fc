"""A changed time zone of a community with more SMBs than one transaction may hold: they follow in chunks.

The community has its new zone at once; a campaign that is started or resumed meanwhile takes it by itself.
"""

from collections.abc import Sequence
from datetime import datetime

from services.campaign.decisions import AS_STORED, NOBODY, Cause, refresh_for
from services.records.bulk.chunks import cut
from services.records.changes import CommunityKey
from services.records.job_store import open_job
from services.records.jobs import JobKind
from shared.runtime.database import Transaction
from shared.runtime.outcome import Outcome
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy

OPEN_CAMPAIGNS = ("smb.community_id = :community_id", "smb.campaign_status IN ('scheduled', 'running', 'paused')")
"""Which SMBs are concerned."""


async def begin_zone_change(transaction: Transaction, community: CommunityKey, now: datetime) -> Outcome:
    """Open the job that calls `follow_zone` for the SMBs of a community, in the transaction that changes its zone."""
    values = {"community_id": community.community_id}
    chunks = await cut(transaction, community.tenant_id, OPEN_CAMPAIGNS, values)
    request = {"community_id": str(community.community_id)}
    await open_job(transaction, community.tenant_id, JobKind.ZONE_CHANGE, request, chunks=chunks, now=now)
    return Outcome()


async def follow_zone(
    transaction: Transaction, smbs: Sequence[SmbKey], policy: Policy, now: datetime, cause: Cause = NOBODY
) -> Outcome:
    """Move the send moments of SMBs whose heads are locked to the zones that their communities have now.

    Those that are there already stay, so a second call changes nothing.
    """
    as_stored = dict.fromkeys(smbs, AS_STORED)
    return await refresh_for(transaction, as_stored, policy.campaign.send_time, now, cause)
