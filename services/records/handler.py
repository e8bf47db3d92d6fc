"""What happens in one transaction of the records service."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from services.campaign.decisions import NOBODY, Cause
from services.engagement.handler import EngagementHandler
from services.records import changing, communities, creation, deletion, rules, store
from services.records.changes import CommunityChange, CommunityKey, NewContext, SmbChange
from services.records.changing import ChangedSmbs
from services.records.errors import IdTaken
from services.records.profiles import NewCommunity, NewSmb
from services.records.slugs import free_slugs
from shared.runtime.database import Transaction
from shared.runtime.outcome import Outcome
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy


class RecordsHandler:
    """Creates and changes communities and SMBs, by one policy."""

    def __init__(self, policy: Policy, engagement: EngagementHandler) -> None:
        self.policy = policy
        self.engagement = engagement

    async def create_communities(
        self, transaction: Transaction, requests: Sequence[NewCommunity], now: datetime
    ) -> Outcome:
        """Create communities, all or none. Raises IdTaken, when called again too."""
        if not requests:
            return Outcome()
        await store.lock_names(transaction, {request.tenant_id for request in requests})
        existing = await store.find_communities(transaction, {(request.tenant_id, request.id) for request in requests})
        for position, request in enumerate(requests):
            if (request.tenant_id, request.id) in existing:
                raise IdTaken(request.id, position)
            existing.add((request.tenant_id, request.id))
        stems = [(request.tenant_id, rules.slug_stem(request.name, "community")) for request in requests]
        slugs = await free_slugs(stems, partial(store.find_community_slugs, transaction))
        await store.insert_communities(transaction, list(zip(requests, slugs, strict=True)), now)
        return Outcome()

    async def create_smbs(
        self, transaction: Transaction, requests: Sequence[NewSmb], now: datetime, *, holds_names: bool = False
    ) -> Outcome:
        """Create SMBs, all or none: see `creation.create_smbs`."""
        return await creation.create_smbs(
            transaction, requests, self.policy, self.engagement, now, holds_names=holds_names
        )

    async def change_community(
        self, transaction: Transaction, change: CommunityChange, now: datetime, cause: Cause = NOBODY
    ) -> Outcome:
        """Change a community: see `communities.change_community`."""
        return await communities.change_community(transaction, change, self.policy, now, cause)

    async def delete_community(
        self,
        transaction: Transaction,
        community: CommunityKey,
        now: datetime,
        *,
        expected_revision: int | None = None,
        cause: Cause = NOBODY,
    ) -> Outcome:
        """Delete a community: see `communities.delete_community`."""
        return await communities.delete_community(
            transaction, community, self.policy, now, expected_revision=expected_revision, cause=cause
        )

    async def change_smbs(
        self,
        transaction: Transaction,
        changes: Sequence[SmbChange],
        now: datetime,
        *,
        partly: bool = False,
        cause: Cause = NOBODY,
    ) -> ChangedSmbs:
        """Change SMBs whose heads are locked: see `changing.change_smbs`."""
        return await changing.change_smbs(transaction, changes, self.policy, now, partly=partly, cause=cause)

    async def replace_business_context(self, transaction: Transaction, request: NewContext, now: datetime) -> Outcome:
        """Give an SMB another business context: see `changing.replace_business_context`."""
        return await changing.replace_business_context(transaction, request, now)

    async def delete_smb(
        self,
        transaction: Transaction,
        smb: SmbKey,
        now: datetime,
        *,
        expected_revision: int | None = None,
        cause: Cause = NOBODY,
    ) -> Outcome:
        """Soft-delete an SMB: see `deletion.delete_smb`."""
        return await deletion.delete_smb(
            transaction, smb, self.policy, now, expected_revision=expected_revision, cause=cause
        )

    async def restore_smb(
        self,
        transaction: Transaction,
        smb: SmbKey,
        now: datetime,
        *,
        expected_revision: int | None = None,
        cause: Cause = NOBODY,
    ) -> Outcome:
        """Undo a soft deletion: see `deletion.restore_smb`."""
        return await deletion.restore_smb(
            transaction, smb, self.policy, self.engagement, now, expected_revision=expected_revision, cause=cause
        )
