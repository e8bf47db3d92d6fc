"""Changing SMBs, one or thousands in one transaction that holds their heads.

An SMB for which nothing changes tells nothing and stays at its revision. What a change means for its campaign happens
in the same transaction: do_not_contact stops it, another community's time zone moves it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from services.campaign.decisions import AS_STORED, NOBODY, Becoming, Cause, refresh_for
from services.campaign.rules import UTC_NAME, activate
from services.records import profile_store, rules, store
from services.records.changes import NewContext, SmbChange
from services.records.errors import (
    ExternalIdTaken,
    Refused,
    RevisionMismatch,
    SlugTaken,
    SmbDeleted,
    UnknownCommunity,
    UnknownSmb,
)
from services.records.profile_store import COLUMNS, StoredProfile
from shared.runtime.database import Transaction
from shared.runtime.outcome import Announcement, Outcome
from shared.schemas.announcements import ProfileChanges, SMBUpdated
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy

Named = tuple[UUID, str]


class ChangedSmbs(NamedTuple):
    """What a call changed: the profiles of the changed SMBs as they are now, and the requests that were left out."""

    outcome: Outcome
    profiles: dict[SmbKey, StoredProfile]
    refused: list[Refused]


@dataclass(slots=True)
class Taken:
    """What the requests of one call can't have, or have to share."""

    slugs: set[Named] = field(default_factory=set)
    external_ids: set[Named] = field(default_factory=set)
    zones: dict[tuple[UUID, UUID], str | None] = field(default_factory=dict)


async def change_smbs(  # noqa: PLR0913  what to change, by which rules, when and why
    transaction: Transaction,
    changes: Sequence[SmbChange],
    policy: Policy,
    now: datetime,
    *,
    partly: bool = False,
    cause: Cause = NOBODY,
) -> ChangedSmbs:
    """Change SMBs whose heads are locked, all or none; with `partly` those that can't be changed are left out.

    Each changed SMB tells what becomes of its campaign, then one SMBUpdated. A request that finds everything as it asks
    changes nothing, so a second call does not either.

    Raises (or gives, with `partly`) UnknownSmb, SmbDeleted, RevisionMismatch, UnknownCommunity, SlugTaken or
    ExternalIdTaken; a name that another request of the call gives up is not free yet. Raises ValueError for two
    requests about one SMB, or an SMB whose head is not locked.
    """
    keys = [change.key for change in changes]
    require_held(transaction, keys)
    before = await profile_store.read_profiles(transaction, keys) if changes else {}
    taken = await _find_taken(transaction, changes, before)
    after: dict[SmbKey, StoredProfile] = {}
    refused: list[Refused] = []
    for position, (smb, change) in enumerate(zip(keys, changes, strict=True)):
        try:
            _require_changeable(transaction, change, before.get(smb), position)
            profile = changed(before[smb], change.given, policy)
            _take(smb.tenant_id, before[smb], profile, taken, position)
        except Refused as error:
            if not partly:
                raise
            refused.append(error)
        else:
            after[smb] = profile
    after = {smb: profile for smb, profile in after.items() if profile != before[smb]}
    # Before the profiles are stored: the database refuses do_not_contact while a campaign runs.
    becoming = {smb: _becoming(smb, before[smb], profile, taken) for smb, profile in after.items()}
    concerned = {smb: one for smb, one in becoming.items() if one != AS_STORED}
    outcome = await refresh_for(transaction, concerned, policy.campaign.send_time, now, cause)
    outcome.add(await save(transaction, before, after, now, cause))
    return ChangedSmbs(outcome, after, refused)


async def replace_business_context(transaction: Transaction, request: NewContext, now: datetime) -> Outcome:
    """Give an SMB whose head is locked another business context, which is told to nobody.

    The same context again changes nothing. Raises UnknownSmb, SmbDeleted or RevisionMismatch.
    """
    require_held(transaction, [request.key])
    profile = (await profile_store.read_profiles(transaction, [request.key])).get(request.key)
    _require_changeable(transaction, request, profile, 0)
    is_new = await profile_store.replace_context(transaction, request.key, request.business_context, now)
    return Outcome(touched={request.key} if is_new else set())


async def save(
    transaction: Transaction,
    before: Mapping[SmbKey, StoredProfile],
    after: Mapping[SmbKey, StoredProfile],
    now: datetime,
    cause: Cause = NOBODY,
) -> Outcome:
    """Store the profiles of `after`, all of which differ from those of `before`, and tell what changed."""
    differences = {smb: dict(_differences(before[smb], profile)) for smb, profile in after.items()}
    names = {name for difference in differences.values() for name in difference}
    if not names:
        return Outcome()
    await profile_store.save_profiles(transaction, after, names, now)
    return Outcome(
        announcements=[
            Announcement(smb, _updated(smb, difference), cause.id, cause.traceparent, cause.caused_at)
            for smb, difference in differences.items()
        ],
    )


def changed(profile: StoredProfile, given: Mapping[str, Any], policy: Policy) -> StoredProfile:
    """Give a profile with some fields changed: what is activated is not pending, quality and revision follow."""
    after = profile._replace(**given)
    if _told(after) == _told(profile):
        return profile
    return after._replace(
        services_approved_pending=activate(after.services_approved_pending, after.services_activated),
        data_quality_score=rules.data_quality(after, policy.data_quality),
        revision=profile.revision + 1,
    )


def require_held(transaction: Transaction, keys: Sequence[SmbKey]) -> None:
    """Raise ValueError unless the transaction holds the heads of these SMBs, and each is named once."""
    if len(set(keys)) < len(keys):
        message = "two changes of one SMB in one call"
        raise ValueError(message)
    if not set(keys) <= set(transaction.locked):
        message = "an SMB is changed only while its head is locked"
        raise ValueError(message)


def _require_changeable(
    transaction: Transaction, request: SmbChange | NewContext, profile: StoredProfile | None, position: int
) -> None:
    if profile is None or request.key in transaction.erased:
        raise UnknownSmb(request.id, position)
    if profile.deleted_at is not None:
        raise SmbDeleted(request.id, position)
    if request.expected_revision not in (None, profile.revision):
        raise RevisionMismatch(request.expected_revision, profile.revision, position)


async def _find_taken(
    transaction: Transaction, changes: Sequence[SmbChange], before: Mapping[SmbKey, StoredProfile]
) -> Taken:
    """Look up what the requests ask for and do not have: communities first, then names, as everybody does."""
    wanted: dict[str, set[tuple[UUID, Any]]] = {"community_id": set(), "slug": set(), "external_id": set()}
    for change in changes:
        profile = before.get(change.key)
        for name in wanted.keys() & change.model_fields_set:
            value = getattr(change, name)
            if profile is not None and value is not None and value != getattr(profile, name):
                wanted[name].add((change.tenant_id, value))
    taken = Taken()
    if wanted["community_id"]:
        taken.zones = await profile_store.hold_zones(transaction, wanted["community_id"])
    if names := wanted["slug"] | wanted["external_id"]:
        await store.lock_names(transaction, {tenant_id for tenant_id, _ in names})
        taken.slugs = await store.find_smb_slugs(transaction, wanted["slug"])
        taken.external_ids = await store.find_external_ids(transaction, wanted["external_id"])
    return taken


def _take(tenant_id: UUID, before: StoredProfile, after: StoredProfile, taken: Taken, position: int) -> None:
    """Raise what forbids a changed profile its community or names; else they are taken for those who come after."""
    if after.community_id not in (None, before.community_id) and (tenant_id, after.community_id) not in taken.zones:
        raise UnknownCommunity(after.community_id, position)
    if after.slug != before.slug:
        if (tenant_id, after.slug) in taken.slugs:
            raise SlugTaken(after.slug, position)
        taken.slugs.add((tenant_id, after.slug))
    if after.external_id is not None and after.external_id != before.external_id:
        if (tenant_id, after.external_id) in taken.external_ids:
            raise ExternalIdTaken(after.external_id, position)
        taken.external_ids.add((tenant_id, after.external_id))


def _becoming(smb: SmbKey, before: StoredProfile, after: StoredProfile, taken: Taken) -> Becoming:
    stops = True if after.do_not_contact and not before.do_not_contact else None
    if after.community_id == before.community_id:
        return Becoming(do_not_contact=stops)
    zone = None if after.community_id is None else taken.zones[smb.tenant_id, after.community_id]
    return Becoming(do_not_contact=stops, timezone=zone or UTC_NAME)


def _told(profile: StoredProfile) -> tuple[Any, ...]:
    return profile[: len(COLUMNS)]


def _differences(before: StoredProfile, after: StoredProfile) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, old, new in zip(COLUMNS, before, after, strict=False):
        if old != new:
            yield name, {"old": old, "new": new}


def _updated(smb: SmbKey, differences: Mapping[str, Any]) -> SMBUpdated:
    return SMBUpdated(smb_id=smb.smb_id, changes=ProfileChanges.model_validate(differences))
