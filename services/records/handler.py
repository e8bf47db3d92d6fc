"""What happens in one transaction of the records service."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from services.campaign.approvals import take_over_approvals
from services.campaign.decisions import NOBODY, Cause
from services.engagement.handler import EngagementHandler
from services.records import changing, communities, deletion, rules, store
from services.records.changes import CommunityChange, CommunityKey, NewContext, SmbChange
from services.records.changing import ChangedSmbs
from services.records.errors import ExternalIdTaken, IdErased, IdTaken, UnknownCommunity
from services.records.profiles import NewCommunity, NewSmb
from services.records.slugs import free_slugs
from services.records.store import SmbRow
from shared.runtime.database import Transaction
from shared.runtime.outcome import Announcement, Outcome
from shared.schemas.announcements import SMBCreated
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

    async def create_smbs(self, transaction: Transaction, requests: Sequence[NewSmb], now: datetime) -> Outcome:
        """Create SMBs, all or none; what came before them counts at once.

        The transaction holds the heads of all `requests`, so no event or approval comes in between: it is in the score
        and the pending services of this transaction, or finds the SMB that this one has created.

        Each SMB tells SMBCreated first, then SMBEngagementChanged when its earlier events ask for it. Raises IdTaken
        (when called again too), IdErased, UnknownCommunity or ExternalIdTaken.
        """
        if not requests:
            return Outcome()
        await self._require_new(transaction, requests)
        await store.lock_names(transaction, {request.tenant_id for request in requests})
        await self._require_free_external_ids(transaction, requests)
        stems = [(request.tenant_id, rules.slug_stem(request.business_name, "smb")) for request in requests]
        slugs = await free_slugs(stems, partial(store.find_smb_slugs, transaction))
        pending = await take_over_approvals(
            transaction, {request.key: request.services_activated for request in requests}
        )
        rows = [
            SmbRow(request, slug, pending[request.key], rules.data_quality(request, self.policy.data_quality))
            for request, slug in zip(requests, slugs, strict=True)
        ]
        await store.insert_smbs(transaction, rows, now)
        announcements = [Announcement(row.request.key, _created(row, now)) for row in rows]
        announcements += await self.engagement.rescore(transaction, [request.key for request in requests], now)
        return Outcome(announcements=announcements)

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

    async def _require_new(self, transaction: Transaction, requests: Sequence[NewSmb]) -> None:
        """Raise what forbids to create these ids in these communities."""
        held = set(transaction.locked)
        existing = await store.find_smbs(transaction, [request.key for request in requests])
        joined = {(request.tenant_id, request.community_id) for request in requests if request.community_id is not None}
        joinable = await store.find_communities(transaction, joined, hold=True) if joined else set()
        for position, request in enumerate(requests):
            if request.key not in held:
                message = "an SMB is created only while its head is locked"
                raise ValueError(message)
            if request.key in transaction.erased:
                raise IdErased(request.id, position)
            if request.key in existing:
                raise IdTaken(request.id, position)
            existing.add(request.key)
            if request.community_id is not None and (request.tenant_id, request.community_id) not in joinable:
                raise UnknownCommunity(request.community_id, position)

    async def _require_free_external_ids(self, transaction: Transaction, requests: Sequence[NewSmb]) -> None:
        wanted = [
            (position, request.tenant_id, request.external_id)
            for position, request in enumerate(requests)
            if request.external_id is not None
        ]
        if not wanted:
            return
        taken = await store.find_external_ids(transaction, {(tenant_id, name) for _, tenant_id, name in wanted})
        for position, tenant_id, external_id in wanted:
            if (tenant_id, external_id) in taken:
                raise ExternalIdTaken(external_id, position)
            taken.add((tenant_id, external_id))


def _created(row: SmbRow, now: datetime) -> SMBCreated:
    profile = row.request.model_dump(exclude={"tenant_id", "id", "business_context"})
    return SMBCreated(
        smb_id=row.request.id,
        slug=row.slug,
        services_approved_pending=row.pending,
        created_at=now,
        **profile,
    )
