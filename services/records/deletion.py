"""Soft deletion and its undoing: a deleted SMB gives its names free and is told of no more; its events still count.

Between the two nothing is announced, so the restoration tells at once whatever came in the meantime.
"""

from datetime import datetime
from functools import partial

from services.campaign.approvals import take_over_approvals
from services.campaign.decisions import NOBODY, Becoming, Cause, refresh_for
from services.campaign.rules import approve
from services.engagement.handler import EngagementHandler
from services.records import profile_store, rules, store
from services.records.changing import changed, require_held, save
from services.records.errors import ExternalIdTaken, RevisionMismatch, UnknownSmb
from services.records.profile_store import StoredProfile
from services.records.slugs import free_slugs
from shared.runtime.database import Transaction
from shared.runtime.outcome import Outcome
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy


async def delete_smb(  # noqa: PLR0913  what to delete, by which rules, when and why
    transaction: Transaction,
    smb: SmbKey,
    policy: Policy,
    now: datetime,
    *,
    expected_revision: int | None = None,
    cause: Cause = NOBODY,
) -> Outcome:
    """Soft-delete an SMB whose head is locked: its campaign is cancelled, then deleted_at is told, then nothing.

    Raises UnknownSmb, for one that is deleted already too, or RevisionMismatch.
    """
    profile = await _read(transaction, smb, expected_revision)
    if profile.deleted_at is not None:
        raise UnknownSmb(smb.smb_id)
    deletion = {smb: Becoming(is_deleted=True)}
    outcome = await refresh_for(transaction, deletion, policy.campaign.send_time, now, cause)
    deleted = changed(profile, {"deleted_at": now}, policy)
    outcome.add(await save(transaction, {smb: profile}, {smb: deleted}, now, cause))
    return outcome


async def restore_smb(  # noqa: PLR0913  what to restore, by which rules, when and why
    transaction: Transaction,
    smb: SmbKey,
    policy: Policy,
    engagement: EngagementHandler,
    now: datetime,
    *,
    expected_revision: int | None = None,
    cause: Cause = NOBODY,
) -> Outcome:
    """Undo the soft deletion of an SMB whose head is locked; its campaign stays cancelled.

    It gets its slug back, or a new one where another SMB has it now. Services that were approved meanwhile are pending
    at once, and a score that moved far enough is announced. An SMB that is not deleted stays as it is.

    Raises UnknownSmb, RevisionMismatch, or ExternalIdTaken where another SMB has the external id now.
    """
    profile = await _read(transaction, smb, expected_revision)
    if profile.deleted_at is None:
        return Outcome()
    await store.lock_names(transaction, {smb.tenant_id})
    external_id = profile.external_id
    if external_id and await store.find_external_ids(transaction, {(smb.tenant_id, external_id)}):
        raise ExternalIdTaken(external_id, 0)
    given = {
        "deleted_at": None,
        "slug": await _free_slug(transaction, smb, profile),
        "services_approved_pending": await _pending(transaction, smb, profile),
    }
    outcome = await save(transaction, {smb: profile}, {smb: changed(profile, given, policy)}, now, cause)
    outcome.announcements += await engagement.rescore(transaction, [smb], now)
    return outcome


async def _read(transaction: Transaction, smb: SmbKey, expected_revision: int | None) -> StoredProfile:
    require_held(transaction, [smb])
    profile = (await profile_store.read_profiles(transaction, [smb])).get(smb)
    if profile is None or smb in transaction.erased:
        raise UnknownSmb(smb.smb_id)
    if expected_revision not in (None, profile.revision):
        raise RevisionMismatch(expected_revision, profile.revision)
    return profile


async def _free_slug(transaction: Transaction, smb: SmbKey, profile: StoredProfile) -> str:
    if not await store.find_smb_slugs(transaction, {(smb.tenant_id, profile.slug)}):
        return profile.slug
    stem = rules.slug_stem(profile.business_name, "smb")
    (slug,) = await free_slugs([(smb.tenant_id, stem)], partial(store.find_smb_slugs, transaction))
    return slug


async def _pending(transaction: Transaction, smb: SmbKey, profile: StoredProfile) -> tuple[str, ...]:
    """Give the pending services with those that were approved while the SMB was deleted."""
    waiting = await take_over_approvals(transaction, {smb: profile.services_activated})
    pending = profile.services_approved_pending
    for service in waiting[smb]:
        pending = approve(pending, profile.services_activated, service)
    return pending
