"""The SQL that reads, counts, changes and removes communities."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from sqlalchemy import RowMapping, text

from services.campaign.rules import Status
from services.records.changes import CommunityKey
from services.records.cursors import Cursor
from services.records.listing_store import CONTACTABLE
from services.records.reading import WITH_HEAD
from shared.runtime.database import Transaction
from shared.schemas.identity import SmbKey
from shared.schemas.policy import LOWEST_TIER

TIERS = range(1, LOWEST_TIER + 1)
STATUSES = tuple(status.value for status in Status)
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


@dataclass(frozen=True, slots=True)
class CommunityStats:
    """The SMBs of a community that are not deleted, counted. `active` ones have a running campaign.

    Every tier and every campaign status is there. `mean_score` has two decimals; None where there is no SMB.
    """

    smbs: int
    active: int
    by_tier: dict[int, int]
    by_campaign_status: dict[str, int]
    mean_score: float | None
    contactable_by_email: int
    contactable_by_rvm: int


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
LIST = text(
    f"""
    SELECT {COLUMNS}, sort_name FROM communities
    WHERE tenant_id = :tenant_id AND (sort_name, id) > (CAST(:after AS text), CAST(:after_id AS uuid))
    ORDER BY sort_name, id LIMIT :at_most
    """,  # noqa: S608  the columns above
)
COUNT = text(
    f"""
    SELECT count(*) AS smbs,
        {", ".join(f"count(*) FILTER (WHERE smb.engagement_tier = {tier}) AS tier_{tier}" for tier in TIERS)},
        {", ".join(f"count(*) FILTER (WHERE smb.campaign_status = '{one}') AS {one}" for one in STATUSES)},
        CAST(round(avg(head.engagement_score), 2) AS float8) AS mean_score,
        count(*) FILTER (WHERE {CONTACTABLE["email"]}) AS by_email,
        count(*) FILTER (WHERE {CONTACTABLE["rvm"]}) AS by_rvm
    FROM {WITH_HEAD}
    WHERE smb.tenant_id = :tenant_id AND smb.community_id = :id AND smb.deleted_at IS NULL
    """,  # noqa: S608  constants
)
DELETE = text("DELETE FROM communities WHERE tenant_id = :tenant_id AND id = :id")


async def read_community(
    transaction: Transaction, community: CommunityKey, *, hold: bool = False
) -> CommunityRecord | None:
    """Give a community; with `hold` no SMB joins it and nobody else changes it before the transaction ends."""
    parameters = {"tenant_id": community.tenant_id, "id": community.community_id}
    found = (await transaction.execute(HOLD if hold else READ, parameters)).mappings().one_or_none()
    return None if found is None else CommunityRecord.of(found)


async def read_communities(
    transaction: Transaction, tenant_id: UUID, after: Cursor | None, at_most: int
) -> Sequence[tuple[CommunityRecord, Cursor]]:
    """Read so many communities by name, each with its place, beginning behind `after`."""
    name, id_ = ("", UUID(int=0)) if after is None else after
    parameters = {"tenant_id": tenant_id, "after": name, "after_id": id_, "at_most": at_most}
    rows = (await transaction.execute(LIST, parameters)).mappings()
    return [(CommunityRecord.of(row), Cursor(row["sort_name"], row["id"])) for row in rows]


async def community_stats(transaction: Transaction, community: CommunityKey) -> CommunityStats:
    """Count the SMBs of a community; zeros for one that the tenant does not have."""
    parameters = {"tenant_id": community.tenant_id, "id": community.community_id}
    counted = (await transaction.execute(COUNT, parameters)).mappings().one()
    return CommunityStats(
        smbs=counted["smbs"],
        active=counted["running"],
        by_tier={tier: counted[f"tier_{tier}"] for tier in TIERS},
        by_campaign_status={status: counted[status] for status in STATUSES},
        mean_score=counted["mean_score"],
        contactable_by_email=counted["by_email"],
        contactable_by_rvm=counted["by_rvm"],
    )


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
