"""A changed time zone of a community with more SMBs than one transaction may hold: they follow in chunks.

The community has its new zone at once; a campaign that is started or resumed meanwhile takes it by itself.
"""

from collections.abc import Sequence
from datetime import datetime

from services.campaign.decisions import AS_STORED, NOBODY, Cause, refresh_for
from services.records.changes import CommunityKey
from services.records.errors import CommunityTooLarge
from shared.runtime.database import Transaction
from shared.runtime.outcome import Outcome
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy

MOVED_AT_ONCE = 1000


async def begin_zone_change(transaction: Transaction, community: CommunityKey, now: datetime) -> Outcome:
    """Open the job that calls `follow_zone` for the SMBs of a community, in the transaction that changes its zone.

    There is no such job yet: raises CommunityTooLarge.
    """
    del transaction, community, now
    raise CommunityTooLarge(MOVED_AT_ONCE)


async def follow_zone(
    transaction: Transaction, smbs: Sequence[SmbKey], policy: Policy, now: datetime, cause: Cause = NOBODY
) -> Outcome:
    """Move the send moments of SMBs whose heads are locked to the zones that their communities have now.

    Those that are there already stay, so a second call changes nothing.
    """
    as_stored = dict.fromkeys(smbs, AS_STORED)
    return await refresh_for(transaction, as_stored, policy.campaign.send_time, now, cause)
