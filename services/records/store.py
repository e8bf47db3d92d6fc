"""Every SQL statement of the records service. What is inserted for many is sorted, as the heads are locked."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, text

from services.records.profiles import NewCommunity
from shared.runtime.database import Transaction
from shared.runtime.heads import as_arrays
from shared.schemas.identity import SmbKey

# Slugs and external ids are unique in a tenant, which no head can guard: whoever gives an SMB or community one of them
# takes this lock first, after the heads, in the order of tenants, and holds it to the end of the transaction. Those who
# take care among themselves not to give the same names share it.
_LOCK_NAMES = """
    SELECT {lock}(hashtextextended('names of ' || tenant_id, 0))
    FROM (SELECT tenant_id FROM unnest(CAST(:tenant_ids AS uuid[])) AS wanted (tenant_id) ORDER BY tenant_id) AS ordered
"""
LOCK_NAMES = text(_LOCK_NAMES.format(lock="pg_advisory_xact_lock"))
SHARE_NAMES = text(_LOCK_NAMES.format(lock="pg_advisory_xact_lock_shared"))
FIND_SMBS = text(
    """
    SELECT smb.tenant_id, smb.id
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[])) AS wanted (tenant_id, id)
    JOIN smbs AS smb ON smb.tenant_id = wanted.tenant_id AND smb.id = wanted.id
    """,
)
FIND_COMMUNITIES = text(
    """
    SELECT community.tenant_id, community.id
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:ids AS uuid[])) AS wanted (tenant_id, id)
    JOIN communities AS community ON community.tenant_id = wanted.tenant_id AND community.id = wanted.id
    """,
)
# A community that an SMB is just joining can't be deleted meanwhile.
HOLD_COMMUNITIES = text(
    f"{FIND_COMMUNITIES.text} ORDER BY community.tenant_id, community.id FOR KEY SHARE OF community"
)
FIND_EXTERNAL_IDS = text(
    """
    SELECT smb.tenant_id, smb.external_id AS name
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:texts AS text[])) AS wanted (tenant_id, external_id)
    JOIN smbs AS smb ON smb.tenant_id = wanted.tenant_id AND smb.external_id = wanted.external_id
        AND smb.deleted_at IS NULL
    """,
)
FIND_SMB_SLUGS = text(
    """
    SELECT smb.tenant_id, smb.slug AS name
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:texts AS text[])) AS wanted (tenant_id, slug)
    JOIN smbs AS smb ON smb.tenant_id = wanted.tenant_id AND smb.slug = wanted.slug AND smb.deleted_at IS NULL
    """,
)
FIND_COMMUNITY_SLUGS = text(
    """
    SELECT community.tenant_id, community.slug AS name
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:texts AS text[])) AS wanted (tenant_id, slug)
    JOIN communities AS community ON community.tenant_id = wanted.tenant_id AND community.slug = wanted.slug
    """,
)
INSERT_COMMUNITIES = text(
    """
    INSERT INTO communities
        (tenant_id, id, name, slug, state, county, population, timezone, settings, created_at, updated_at)
    SELECT community.*, :now, :now
    FROM unnest(
        CAST(:tenant_id AS uuid[]), CAST(:id AS uuid[]), CAST(:name AS text[]), CAST(:slug AS text[]),
        CAST(:state AS text[]), CAST(:county AS text[]), CAST(:population AS integer[]), CAST(:timezone AS text[]),
        CAST(:settings AS jsonb[])) AS community
    """,
)


async def lock_names(transaction: Transaction, tenant_ids: set[UUID], *, shared: bool = False) -> None:
    """Wait for and keep the right to give out slugs and external ids of these tenants.

    With `shared` others have it too at the same time who promise, as the caller does, to give other names.
    """
    await transaction.execute(SHARE_NAMES if shared else LOCK_NAMES, {"tenant_ids": list(tenant_ids)})


async def find_smbs(transaction: Transaction, keys: Sequence[SmbKey]) -> set[SmbKey]:
    """Give those of `keys` that their tenant has, soft-deleted ones included."""
    rows = await transaction.execute(FIND_SMBS, as_arrays(keys))
    return {SmbKey(row.tenant_id, row.id) for row in rows.all()}


async def find_communities(
    transaction: Transaction, wanted: set[tuple[UUID, UUID]], *, hold: bool = False
) -> set[tuple[UUID, UUID]]:
    """Give those (tenant, community) that exist; with `hold` they exist until the transaction ends."""
    parameters = {"tenant_ids": [tenant_id for tenant_id, _ in wanted], "ids": [id_ for _, id_ in wanted]}
    rows = await transaction.execute(HOLD_COMMUNITIES if hold else FIND_COMMUNITIES, parameters)
    return {(row.tenant_id, row.id) for row in rows.all()}


async def find_external_ids(transaction: Transaction, wanted: set[tuple[UUID, str]]) -> set[tuple[UUID, str]]:
    """Give those (tenant, external id) that an SMB has which is not deleted."""
    return await _find_texts(transaction, FIND_EXTERNAL_IDS, wanted)


async def find_smb_slugs(transaction: Transaction, wanted: set[tuple[UUID, str]]) -> set[tuple[UUID, str]]:
    """Give those (tenant, slug) that an SMB has which is not deleted."""
    return await _find_texts(transaction, FIND_SMB_SLUGS, wanted)


async def find_community_slugs(transaction: Transaction, wanted: set[tuple[UUID, str]]) -> set[tuple[UUID, str]]:
    """Give those (tenant, slug) that a community has."""
    return await _find_texts(transaction, FIND_COMMUNITY_SLUGS, wanted)


async def insert_communities(
    transaction: Transaction, communities: Sequence[tuple[NewCommunity, str]], now: datetime
) -> None:
    """Insert communities with their slugs."""
    rows = [
        request.model_dump() | {"slug": slug, "settings": json.dumps(request.settings)} for request, slug in communities
    ]
    await transaction.execute(INSERT_COMMUNITIES, _columns(rows) | {"now": now})


async def _find_texts(
    transaction: Transaction, statement: TextClause, wanted: set[tuple[UUID, str]]
) -> set[tuple[UUID, str]]:
    parameters = {"tenant_ids": [tenant_id for tenant_id, _ in wanted], "texts": [name for _, name in wanted]}
    rows = await transaction.execute(statement, parameters)
    return {(row.tenant_id, row.name) for row in rows.all()}


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}
