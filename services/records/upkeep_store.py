"""Every SQL statement of the weekly jobs."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text

from shared.runtime.database import Transaction
from shared.runtime.heads import as_arrays
from shared.schemas.identity import SmbKey


class Profile(NamedTuple):
    """What decides the data quality of an SMB, and how it is stored."""

    tenant_id: UUID
    id: UUID
    business_name: str
    primary_email: str | None
    primary_phone: str | None
    industry_category: str | None
    business_description: str | None
    community_id: UUID | None
    service_model: str | None
    email_opted_in: bool
    sms_opted_in: bool
    rvm_opted_in: bool
    phone_opted_in: bool
    do_not_contact: bool
    data_quality_score: int

    @property
    def smb(self) -> SmbKey:
        """The SMB's identity."""
        return SmbKey(self.tenant_id, self.id)


FIND_DUE_RANGES = text(
    """
    SELECT range.place - 1
    FROM unnest(CAST(:first_tenant_ids AS uuid[]), CAST(:first_smb_ids AS uuid[]), CAST(:last_tenant_ids AS uuid[]),
        CAST(:last_smb_ids AS uuid[]))
        WITH ORDINALITY AS range (first_tenant_id, first_smb_id, last_tenant_id, last_smb_id, place)
    WHERE EXISTS (
        SELECT FROM smbs AS smb
        WHERE smb.deleted_at IS NOT NULL AND smb.deleted_at < :deleted_before
            AND (smb.tenant_id, smb.id) >= (range.first_tenant_id, range.first_smb_id)
            AND (smb.tenant_id, smb.id) <= (range.last_tenant_id, range.last_smb_id))
    ORDER BY range.place
    """,
)
FIND_DELETED = text(
    """
    SELECT smb.tenant_id, smb.id
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[])) AS wanted (tenant_id, smb_id)
    JOIN smbs AS smb ON smb.tenant_id = wanted.tenant_id AND smb.id = wanted.smb_id
    WHERE smb.deleted_at IS NOT NULL AND smb.deleted_at < :before
    ORDER BY smb.tenant_id, smb.id
    """,
)
READ_PROFILES = text(
    """
    SELECT smb.tenant_id, smb.id, smb.business_name, smb.primary_email, smb.primary_phone, smb.industry_category,
        smb.business_description, smb.community_id, smb.service_model, smb.email_opted_in, smb.sms_opted_in,
        smb.rvm_opted_in, smb.phone_opted_in, smb.do_not_contact, smb.data_quality_score
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[])) AS wanted (tenant_id, smb_id)
    JOIN smbs AS smb ON smb.tenant_id = wanted.tenant_id AND smb.id = wanted.smb_id
    """,
)
# `updated_at` and `revision` stay: they tell when and how often the profile changed.
SAVE_DATA_QUALITY = text(
    """
    UPDATE smbs AS smb SET data_quality_score = rated.score
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[]), CAST(:scores AS smallint[]))
        AS rated (tenant_id, smb_id, score)
    WHERE smb.tenant_id = rated.tenant_id AND smb.id = rated.smb_id
    """,
)


async def due_ranges(
    transaction: Transaction, ranges: Sequence[tuple[SmbKey, SmbKey]], *, deleted_before: datetime
) -> list[tuple[SmbKey, SmbKey]]:
    """Give those of these key ranges in which the cleanup has something to do."""
    places = await transaction.execute(
        FIND_DUE_RANGES,
        {
            "first_tenant_ids": [first.tenant_id for first, _ in ranges],
            "first_smb_ids": [first.smb_id for first, _ in ranges],
            "last_tenant_ids": [last.tenant_id for _, last in ranges],
            "last_smb_ids": [last.smb_id for _, last in ranges],
            "deleted_before": deleted_before,
        },
    )
    return [ranges[place] for place in places.scalars()]


async def find_deleted(transaction: Transaction, keys: Sequence[SmbKey], *, before: datetime) -> list[SmbKey]:
    """Give those of `keys` that were soft-deleted before a moment."""
    rows = await transaction.execute(FIND_DELETED, as_arrays(keys) | {"before": before})
    return [SmbKey(row.tenant_id, row.id) for row in rows.all()]


async def read_profiles(transaction: Transaction, keys: Sequence[SmbKey]) -> list[Profile]:
    """Read what decides the data quality of those of `keys` that exist, soft-deleted ones included."""
    rows = (await transaction.execute(READ_PROFILES, as_arrays(keys))).all()
    return [Profile._make(row) for row in rows]


async def save_data_quality(transaction: Transaction, scores: Mapping[SmbKey, int]) -> None:
    """Store the data quality of these SMBs, and nothing else of them."""
    if scores:
        parameters = as_arrays(list(scores)) | {"scores": list(scores.values())}
        await transaction.execute(SAVE_DATA_QUALITY, parameters)
