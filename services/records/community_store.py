"""The SQL that reads, changes and removes communities."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from sqlalchemy import RowMapping, text

from services.records.changes import CommunityKey
from shared.runtime.database import Transaction
from shared.schemas.identity import SmbKey

COLUMNS = "tenant_id, id, name, slug, state, county, population, timezone, settings, created_at, updated_at, revision"


@dataclass(frozen=True, slots=True)
class CommunityRecord:
    """A community as it is stored. `revision` counts its changes."""

    tenant_id: UUID
    id: UUID
    name: str
    slug: str
    state: str
    county: str | None
    population: int | None
    timezone: str | None
    settings: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    revision: int

    @classmethod
    def of(cls, row: RowMapping) -> Self:
        """Make one of a row with COLUMNS."""
        return cls(**{field.name: row[field.name] for field in fields(cls)})

    @property
    def key(self) -> CommunityKey:
        """The community's identity."""
        return CommunityKey(self.tenant_id, self.id)


READ = text(f"SELECT {COLUMNS} FROM communities WHERE tenant_id = :tenant_id AND id = :id")  # noqa: S608
# As strong as a deletion: whoever is just letting an SMB join is waited for, and nobody else joins before the commit.
HOLD = text(f"{READ.text} FOR UPDATE")
# Soft-deleted SMBs as well: they are changed by a deletion, and may be restored at any moment.
FIND_MEMBERS = text(
    "SELECT id FROM smbs WHERE tenant_id = :tenant_id AND community_id = :id ORDER BY tenant_id, id LIMIT :most"
)
SAVE = text(
    """
    UPDATE communities
    SET name = :name, slug = :slug, state = :state, county = :county, population = :population, timezone = :timezone,
        settings = CAST(:settings AS jsonb), updated_at = :updated_at, revision = :revision
    WHERE tenant_id = :tenant_id AND id = :id
    """,
)
DELETE = text("DELETE FROM communities WHERE tenant_id = :tenant_id AND id = :id")


async def read_community(
    transaction: Transaction, community: CommunityKey, *, hold: bool = False
) -> CommunityRecord | None:
    """Give a community; with `hold` no SMB joins it and nobody else changes it before the transaction ends."""
    parameters = {"tenant_id": community.tenant_id, "id": community.community_id}
    found = (await transaction.execute(HOLD if hold else READ, parameters)).mappings().one_or_none()
    return None if found is None else CommunityRecord.of(found)


async def find_members(transaction: Transaction, community: CommunityKey, most: int) -> Sequence[SmbKey]:
    """Give the SMBs of a community in order, soft-deleted ones included, at most so many."""
    parameters = {"tenant_id": community.tenant_id, "id": community.community_id, "most": most}
    ids = (await transaction.execute(FIND_MEMBERS, parameters)).scalars()
    return [SmbKey(community.tenant_id, id_) for id_ in ids]


async def save_community(transaction: Transaction, community: CommunityRecord) -> None:
    """Store a community that is held."""
    values = {name: getattr(community, name) for name in COLUMNS.split(", ")}
    await transaction.execute(SAVE, values | {"settings": json.dumps(community.settings)})


async def remove_community(transaction: Transaction, community: CommunityKey) -> None:
    """Remove a community that is held."""
    await transaction.execute(DELETE, {"tenant_id": community.tenant_id, "id": community.community_id})
