"""The SQL that reads and changes the profiles of SMBs whose heads are locked."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import TextClause, text

from shared.runtime.database import Transaction
from shared.runtime.heads import as_arrays, in_order
from shared.schemas.identity import SmbKey

# Everything of a profile that is told when it changes, and as what PostgreSQL takes it.
COLUMNS = {
    "slug": "text",
    "external_id": "text",
    "business_name": "text",
    "primary_email": "text",
    "primary_phone": "text",
    "industry_category": "text",
    "business_description": "text",
    "community_id": "uuid",
    "service_model": "text",
    "services_activated": "jsonb",
    "services_approved_pending": "jsonb",
    "email_opted_in": "boolean",
    "sms_opted_in": "boolean",
    "rvm_opted_in": "boolean",
    "phone_opted_in": "boolean",
    "do_not_contact": "boolean",
    "deleted_at": "timestamptz",
}
_LISTS = tuple(name for name, kind in COLUMNS.items() if kind == "jsonb")


class StoredProfile(NamedTuple):
    """What is stored of an SMB beside its campaign, score and business context."""

    slug: str
    external_id: str | None
    business_name: str
    primary_email: str | None
    primary_phone: str | None
    industry_category: str | None
    business_description: str | None
    community_id: UUID | None
    service_model: str | None
    services_activated: tuple[str, ...]
    services_approved_pending: tuple[str, ...]
    email_opted_in: bool
    sms_opted_in: bool
    rvm_opted_in: bool
    phone_opted_in: bool
    do_not_contact: bool
    deleted_at: datetime | None
    data_quality_score: int
    revision: int


_ACTIVATED, _PENDING = map(StoredProfile._fields.index, _LISTS)

READ_PROFILES = text(
    f"""
    SELECT smb.tenant_id, smb.id, {", ".join(f"smb.{name}" for name in StoredProfile._fields)}
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[])) AS wanted (tenant_id, smb_id)
    JOIN smbs AS smb ON smb.tenant_id = wanted.tenant_id AND smb.id = wanted.smb_id
    """,  # noqa: S608  the names above
)
HOLD_ZONES = text(
    """
    SELECT community.tenant_id, community.id, community.timezone
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:ids AS uuid[])) AS wanted (tenant_id, id)
    JOIN communities AS community ON community.tenant_id = wanted.tenant_id AND community.id = wanted.id
    ORDER BY community.tenant_id, community.id
    FOR KEY SHARE OF community
    """,
)
REPLACE_CONTEXT = text(
    """
    UPDATE smbs SET business_context = CAST(:context AS jsonb), revision = revision + 1, updated_at = :now
    WHERE tenant_id = :tenant_id AND id = :smb_id AND business_context <> CAST(:context AS jsonb)
    """,
)

REPLACE_CONTEXTS = text(
    """
    UPDATE smbs AS smb SET business_context = changed.context, revision = smb.revision + 1, updated_at = :now
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[]), CAST(:contexts AS jsonb[]))
        AS changed (tenant_id, smb_id, context)
    WHERE smb.tenant_id = changed.tenant_id AND smb.id = changed.smb_id AND smb.business_context <> changed.context
    RETURNING smb.tenant_id, smb.id
    """,
)


@cache
def _save(names: tuple[str, ...]) -> TextClause:
    """Save these columns alone: a long description that stays is neither sent nor written."""
    arrays = ", ".join(f"CAST(:{name} AS {COLUMNS[name]}[])" for name in names)
    return text(
        f"""
        UPDATE smbs AS smb
        SET {", ".join(f"{name} = changed.{name}" for name in names)},
            data_quality_score = changed.data_quality_score, revision = smb.revision + 1, updated_at = :now
        FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[]), CAST(:scores AS smallint[]), {arrays})
            AS changed (tenant_id, smb_id, data_quality_score, {", ".join(names)})
        WHERE smb.tenant_id = changed.tenant_id AND smb.id = changed.smb_id
        """,  # noqa: S608  the names above
    )


async def read_profiles(transaction: Transaction, keys: Sequence[SmbKey]) -> dict[SmbKey, StoredProfile]:
    """Read the profiles of these SMBs, soft-deleted ones included; unknown SMBs are left out."""
    rows = await transaction.execute(READ_PROFILES, as_arrays(keys))
    return {SmbKey(row[0], row[1]): _profile(row[2:]) for row in map(list, rows.all())}


async def hold_zones(transaction: Transaction, wanted: set[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], str | None]:
    """Give the time zones of those (tenant, community) that exist; neither changes until the transaction ends."""
    parameters = {"tenant_ids": [tenant_id for tenant_id, _ in wanted], "ids": [id_ for _, id_ in wanted]}
    rows = await transaction.execute(HOLD_ZONES, parameters)
    return {(row.tenant_id, row.id): row.timezone for row in rows.all()}


async def save_profiles(
    transaction: Transaction, profiles: Mapping[SmbKey, StoredProfile], names: set[str], now: datetime
) -> None:
    """Store these columns of changed profiles and their data quality scores; each is a revision further then."""
    keys = in_order(profiles)
    columns = tuple(name for name in COLUMNS if name in names)
    parameters: dict[str, Any] = as_arrays(keys) | {"now": now}
    parameters["scores"] = [profiles[key].data_quality_score for key in keys]
    for name in columns:
        values = [getattr(profiles[key], name) for key in keys]
        parameters[name] = [json.dumps(value) for value in values] if name in _LISTS else values
    await transaction.execute(_save(columns), parameters)


async def replace_context(transaction: Transaction, smb: SmbKey, context: Mapping[str, Any], now: datetime) -> bool:
    """Store a business context; tells whether it differs from the present one."""
    parameters = {"tenant_id": smb.tenant_id, "smb_id": smb.smb_id, "context": json.dumps(context), "now": now}
    return bool((await transaction.execute(REPLACE_CONTEXT, parameters)).rowcount)


async def replace_contexts(
    transaction: Transaction, contexts: Mapping[SmbKey, Mapping[str, Any]], now: datetime
) -> set[SmbKey]:
    """Store business contexts; gives the SMBs whose context differs from the present one."""
    keys = in_order(contexts)
    parameters = as_arrays(keys) | {"contexts": [json.dumps(contexts[key]) for key in keys], "now": now}
    rows = await transaction.execute(REPLACE_CONTEXTS, parameters)
    return {SmbKey(row.tenant_id, row.id) for row in rows.all()}


def _profile(values: list[Any]) -> StoredProfile:
    for place in (_ACTIVATED, _PENDING):
        values[place] = tuple(values[place])
    return StoredProfile(*values)
