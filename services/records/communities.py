"""Changing and deleting communities, and what that means for the SMBs in them.

Whoever does so reads who may have to be held (`heads_for_change`, `heads_for_deletion`) in a transaction before, locks
those heads, and acts. SMBs that joined in between make it raise MembersChanged, with nothing changed: read again.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from services.campaign.decisions import NOBODY, Becoming, Cause, refresh_for
from services.campaign.rules import UTC_NAME
from services.records import community_store, profile_store, store
from services.records.changes import CommunityChange, CommunityKey
from services.records.changing import changed, save
from services.records.community_store import CommunityRecord, read_community
from services.records.errors import CommunityTooLarge, RevisionMismatch, SlugTaken, UnknownCommunity
from services.records.zone_changes import begin_zone_change
from shared.runtime.database import Transaction
from shared.runtime.outcome import Outcome
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy

# So many SMBs are changed together with their community: it takes about a second.
MEMBERS_AT_ONCE = 1000


class MembersChanged(Exception):
    """SMBs joined a community after the heads of its members were locked: lock them again."""


async def heads_for_change(transaction: Transaction, change: CommunityChange) -> Sequence[SmbKey]:
    """Give the SMBs whose heads must be locked for this change: all, if it moves their send moments and they are few.

    Gives nothing for a community that the tenant does not have: the change itself says so.
    """
    present = await read_community(transaction, change.key)
    if present is None or _zone(_changed(present, change)) == _zone(present):
        return ()
    members = await _members(transaction, change.key)
    return members if len(members) <= MEMBERS_AT_ONCE else ()


async def heads_for_deletion(transaction: Transaction, community: CommunityKey) -> Sequence[SmbKey]:
    """Give the SMBs whose heads must be locked to delete a community. Raises CommunityTooLarge."""
    members = await _members(transaction, community)
    _require_few(members)
    return members


async def change_community(
    transaction: Transaction, change: CommunityChange, policy: Policy, now: datetime, cause: Cause = NOBODY
) -> Outcome:
    """Change a community, which tells nothing itself; another time zone moves the send moments of its SMBs.

    Of at most 1,000 SMBs here and now; of more in chunks that `begin_zone_change` begins. A change that finds
    everything as it asks changes nothing. Raises UnknownCommunity, RevisionMismatch, SlugTaken or MembersChanged.
    """
    present = await _held(transaction, change.key, change.expected_revision)
    new = _changed(present, change)
    # In Python true is 1; in settings it is not.
    if new == present and json.dumps(new.settings, sort_keys=True) == json.dumps(present.settings, sort_keys=True):
        return Outcome()
    if new.slug != present.slug:
        await store.lock_names(transaction, {new.tenant_id})
        if await store.find_community_slugs(transaction, {(new.tenant_id, new.slug)}):
            raise SlugTaken(new.slug)
    outcome = Outcome()
    if _zone(new) != _zone(present):
        outcome.add(await _move(transaction, new, policy, now, cause))
    await community_store.save_community(transaction, replace(new, updated_at=now, revision=present.revision + 1))
    return outcome


async def delete_community(  # noqa: PLR0913  what to delete, by which rules, when and why
    transaction: Transaction,
    community: CommunityKey,
    policy: Policy,
    now: datetime,
    *,
    expected_revision: int | None = None,
    cause: Cause = NOBODY,
) -> Outcome:
    """Delete a community; its SMBs belong to none then, which each tells, and send at the times of UTC.

    Raises UnknownCommunity, RevisionMismatch, CommunityTooLarge or MembersChanged.
    """
    await _held(transaction, community, expected_revision)
    members = await _members(transaction, community)
    _require_few(members)
    _require_locked(transaction, members)
    before = await profile_store.read_profiles(transaction, members) if members else {}
    after = {smb: changed(profile, {"community_id": None}, policy) for smb, profile in before.items()}
    live = {smb: profile for smb, profile in after.items() if profile.deleted_at is None}
    outcome = await refresh_for(
        transaction, dict.fromkeys(live, Becoming(timezone=UTC_NAME)), policy.campaign.send_time, now, cause
    )
    outcome.add(await save(transaction, before, live, now, cause))
    # Of deleted SMBs nothing is told.
    deleted = {smb: profile for smb, profile in after.items() if smb not in live}
    if deleted:
        await profile_store.save_profiles(transaction, deleted, {"community_id"}, now)
        outcome.touched |= set(deleted)
    await community_store.remove_community(transaction, community)
    return outcome


async def _move(
    transaction: Transaction, community: CommunityRecord, policy: Policy, now: datetime, cause: Cause
) -> Outcome:
    members = await _members(transaction, community.key)
    if len(members) > MEMBERS_AT_ONCE:
        return await begin_zone_change(transaction, community.key, now)
    _require_locked(transaction, members)
    moved: Mapping[SmbKey, Becoming] = dict.fromkeys(members, Becoming(timezone=_zone(community)))
    return await refresh_for(transaction, moved, policy.campaign.send_time, now, cause)


async def _members(transaction: Transaction, community: CommunityKey) -> Sequence[SmbKey]:
    """Give one more than may be changed at once where there are that many."""
    return await community_store.find_members(transaction, community, MEMBERS_AT_ONCE + 1)


async def _held(transaction: Transaction, community: CommunityKey, expected_revision: int | None) -> CommunityRecord:
    present = await read_community(transaction, community, hold=True)
    if present is None:
        raise UnknownCommunity(community.community_id, field="id")
    if expected_revision not in (None, present.revision):
        raise RevisionMismatch(expected_revision, present.revision)
    return present


def _changed(present: CommunityRecord, change: CommunityChange) -> CommunityRecord:
    return replace(present, **change.given)


def _zone(community: CommunityRecord) -> str:
    return community.timezone or UTC_NAME


def _require_few(members: Sequence[SmbKey]) -> None:
    if len(members) > MEMBERS_AT_ONCE:
        raise CommunityTooLarge(MEMBERS_AT_ONCE)


def _require_locked(transaction: Transaction, members: Sequence[SmbKey]) -> None:
    if not set(members) <= set(transaction.locked):
        raise MembersChanged
