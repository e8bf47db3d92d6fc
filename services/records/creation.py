"""Creating SMBs, one or thousands in one transaction that holds their heads."""

import json
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import text

from services.campaign.approvals import take_over_approvals
from services.engagement.handler import EngagementHandler
from services.records import rules, store
from services.records.errors import ExternalIdTaken, IdErased, IdTaken, UnknownCommunity
from services.records.profiles import NewSmb
from services.records.slugs import free_slugs
from shared.runtime.copied import WORTH_COPYING, CopiedRows
from shared.runtime.database import Transaction
from shared.runtime.outcome import Announcement, Outcome
from shared.schemas.announcements import SMBCreated
from shared.schemas.fields import of_checked
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy

COLUMNS = {
    "tenant_id": "uuid",
    "id": "uuid",
    "community_id": "uuid",
    "slug": "text",
    "external_id": "text",
    "business_name": "text",
    "primary_email": "text",
    "primary_phone": "text",
    "industry_category": "text",
    "business_description": "text",
    "business_context": "jsonb",
    "service_model": "text",
    "services_activated": "jsonb",
    "services_approved_pending": "jsonb",
    "email_opted_in": "boolean",
    "sms_opted_in": "boolean",
    "rvm_opted_in": "boolean",
    "phone_opted_in": "boolean",
    "do_not_contact": "boolean",
    "data_quality_score": "smallint",
}
_INTO = f"INSERT INTO smbs ({', '.join(COLUMNS)}, created_at, updated_at)"
_ARRAYS = ", ".join(f"CAST(:{name} AS {type_}[])" for name, type_ in COLUMNS.items())
INSERT_SMBS = text(f"{_INTO} SELECT smb.*, :now, :now FROM unnest({_ARRAYS}) AS smb")  # noqa: S608  constants
# The same for thousands.
NEW_SMBS = CopiedRows("new_smbs", COLUMNS)
INSERT_COPIED = text(f"{_INTO} SELECT {', '.join(COLUMNS)}, :now, :now FROM {NEW_SMBS.name}")  # noqa: S608  constants
_PROFILE = tuple(name for name in NewSmb.model_fields if name not in {"tenant_id", "id", "business_context"})
_PLAIN = tuple(name for name in NewSmb.model_fields if name not in {"business_context", "services_activated"})


class SmbRow(NamedTuple):
    """An SMB to insert: the request and what was decided about it."""

    key: SmbKey
    request: NewSmb
    slug: str
    pending: tuple[str, ...]
    data_quality_score: int


async def create_smbs(  # noqa: PLR0913  what to create, by which rules, when, under which locks
    transaction: Transaction,
    requests: Sequence[NewSmb],
    policy: Policy,
    engagement: EngagementHandler,
    now: datetime,
    *,
    holds_names: bool = False,
) -> Outcome:
    """Create SMBs, all or none; what came before them counts at once.

    The transaction holds the heads of all `requests`, so no event or approval comes in between: it is in the score
    and the pending services of this transaction, or finds the SMB that this one has created. With `holds_names` the
    caller has the right to give slugs and external ids already (`store.lock_names`).

    Each SMB tells SMBCreated first, then SMBEngagementChanged when its earlier events ask for it. Raises IdTaken
    (when called again too), IdErased, UnknownCommunity or ExternalIdTaken, before anything is stored.
    """
    if not requests:
        return Outcome()
    keys = [request.key for request in requests]
    # Of an SMB whose head this transaction has made nothing can be there: no profile, no event, no approval.
    known = [key for key in keys if key not in transaction.fresh]
    await _require_new(transaction, requests, keys, known)
    if not holds_names:
        await store.lock_names(transaction, {key.tenant_id for key in keys})
    await _require_free_external_ids(transaction, requests)
    stems = [
        (key.tenant_id, rules.slug_stem(one.business_name, "smb")) for key, one in zip(keys, requests, strict=True)
    ]
    slugs = await free_slugs(stems, partial(store.find_smb_slugs, transaction))
    activated = {key: request.services_activated for key, request in zip(keys, requests, strict=True)}
    pending = await take_over_approvals(transaction, {key: activated[key] for key in known}) if known else {}
    rows = [
        SmbRow(key, request, slug, pending.get(key, ()), rules.data_quality(request, policy.data_quality))
        for key, request, slug in zip(keys, requests, slugs, strict=True)
    ]
    await insert_smbs(transaction, rows, now)
    announcements = [Announcement(row.key, created(row, now)) for row in rows]
    if known:
        announcements += await engagement.rescore(transaction, known, now)
    return Outcome(announcements=announcements)


async def insert_smbs(transaction: Transaction, smbs: Sequence[SmbRow], now: datetime) -> None:
    """Insert SMBs whose heads are locked, sorted as the heads are."""
    ordered = sorted(smbs, key=lambda smb: (smb.key.tenant_id.int, smb.key.smb_id.int))
    fields = [smb.request.__dict__ for smb in ordered]
    columns: dict[str, list[Any]] = {name: [one[name] for one in fields] for name in _PLAIN}
    columns["business_context"] = [_json(one["business_context"], "{}") for one in fields]
    columns["services_activated"] = [_json(one["services_activated"], "[]") for one in fields]
    columns["services_approved_pending"] = [_json(smb.pending, "[]") for smb in ordered]
    columns["slug"] = [smb.slug for smb in ordered]
    columns["data_quality_score"] = [smb.data_quality_score for smb in ordered]
    if len(ordered) < WORTH_COPYING:
        await transaction.execute(INSERT_SMBS, columns | {"now": now})
    else:
        await NEW_SMBS.copy(transaction, zip(*(columns[name] for name in COLUMNS), strict=True))
        await transaction.execute(INSERT_COPIED, {"now": now})


def created(row: SmbRow, now: datetime) -> SMBCreated:
    """Tell of a new SMB; a request holds only what the announcement may hold."""
    fields = row.request.__dict__
    values = {name: fields[name] for name in _PROFILE}
    values |= {
        "smb_id": row.key.smb_id,
        "slug": row.slug,
        "services_approved_pending": row.pending,
        "created_at": now,
    }
    return of_checked(SMBCreated, values)


async def _require_new(
    transaction: Transaction, requests: Sequence[NewSmb], keys: Sequence[SmbKey], known: Sequence[SmbKey]
) -> None:
    """Raise what forbids to create these ids in these communities."""
    held = set(transaction.locked)
    existing = await store.find_smbs(transaction, known) if known else set()
    joined = {(request.tenant_id, request.community_id) for request in requests if request.community_id is not None}
    communities = await store.find_communities(transaction, joined, hold=True) if joined else set()
    for position, (key, request) in enumerate(zip(keys, requests, strict=True)):
        if key not in held:
            message = "an SMB is created only while its head is locked"
            raise ValueError(message)
        if key in transaction.erased:
            raise IdErased(request.id, position)
        if key in existing:
            raise IdTaken(request.id, position)
        existing.add(key)
        if request.community_id is not None and (request.tenant_id, request.community_id) not in communities:
            raise UnknownCommunity(request.community_id, position)


async def _require_free_external_ids(transaction: Transaction, requests: Sequence[NewSmb]) -> None:
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


def _json(value: object, empty: str) -> str:
    return json.dumps(value) if value else empty
