"""Every SQL statement of the weekly jobs."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import text

from shared.runtime.database import Transaction
from shared.runtime.heads import as_arrays
from shared.schemas.identity import SmbKey

# The cleanup looks for what was deleted long ago and at every head without an SMB: when events came only they tell. The
# ranges follow each other, so each such SMB lies in the one that began last before it.
FIND_DUE_RANGES = text(
    """
    WITH due AS (
        SELECT tenant_id, id AS smb_id FROM smbs WHERE deleted_at IS NOT NULL AND deleted_at < :deleted_before
        UNION ALL
        SELECT head.tenant_id, head.smb_id FROM smb_heads AS head
        WHERE head.erased_at IS NULL
            AND NOT EXISTS (SELECT FROM smbs AS smb WHERE smb.tenant_id = head.tenant_id AND smb.id = head.smb_id)
    ), placed AS (
        SELECT is_due, count(*) FILTER (WHERE NOT is_due) OVER (ORDER BY tenant_id, smb_id, is_due) AS place
        FROM (
            SELECT tenant_id, smb_id, true AS is_due FROM due
            UNION ALL
            SELECT tenant_id, smb_id, false
            FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[])) AS beginning (tenant_id, smb_id)
        ) AS both_sorts
    )
    SELECT DISTINCT place - 1 AS place FROM placed WHERE is_due AND place > 0 ORDER BY place
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
FIND_UNKNOWN = text(
    """
    SELECT wanted.tenant_id, wanted.smb_id
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[])) AS wanted (tenant_id, smb_id)
    WHERE NOT EXISTS (SELECT FROM smbs AS smb WHERE smb.tenant_id = wanted.tenant_id AND smb.id = wanted.smb_id)
    ORDER BY wanted.tenant_id, wanted.smb_id
    """,
)
# Whoever waits for a head that goes inserts it again. One that has given a number stays: readers would take a second
# number 1 for a copy.
REMOVE_EMPTY_HEADS = text(
    """
    DELETE FROM smb_heads AS head
    USING unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[])) AS unknown (tenant_id, smb_id)
    WHERE head.tenant_id = unknown.tenant_id AND head.smb_id = unknown.smb_id
        AND head.sequence = 0 AND head.erased_at IS NULL
        AND NOT EXISTS (SELECT FROM smbs AS smb WHERE smb.tenant_id = head.tenant_id AND smb.id = head.smb_id)
        AND NOT EXISTS (
            SELECT FROM engagement_events AS event
            WHERE event.tenant_id = unknown.tenant_id AND event.smb_id = unknown.smb_id)
        AND NOT EXISTS (
            SELECT FROM campaign_inputs AS input
            WHERE input.tenant_id = head.tenant_id AND input.smb_id = head.smb_id)
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
    """Give those of these consecutive key ranges in which the cleanup may have something to do."""
    beginnings = as_arrays([first for first, _ in ranges])
    places = await transaction.execute(FIND_DUE_RANGES, beginnings | {"deleted_before": deleted_before})
    return [ranges[place] for place in places.scalars()]


async def find_deleted(transaction: Transaction, keys: Sequence[SmbKey], *, before: datetime) -> list[SmbKey]:
    """Give those of `keys` that were soft-deleted before a moment."""
    rows = await transaction.execute(FIND_DELETED, as_arrays(keys) | {"before": before})
    return [SmbKey(row.tenant_id, row.id) for row in rows.all()]


async def find_unknown(transaction: Transaction, keys: Sequence[SmbKey]) -> list[SmbKey]:
    """Give those of `keys` that their tenant does not have, not even soft-deleted."""
    rows = await transaction.execute(FIND_UNKNOWN, as_arrays(keys))
    return [SmbKey(row.tenant_id, row.smb_id) for row in rows.all()]


async def remove_empty_heads(transaction: Transaction, unknown: Sequence[SmbKey]) -> int:
    """Remove those heads of SMBs that do not exist of which nothing else tells any more; gives how many."""
    return (await transaction.execute(REMOVE_EMPTY_HEADS, as_arrays(unknown))).rowcount


async def save_data_quality(transaction: Transaction, scores: Mapping[SmbKey, int]) -> None:
    """Store the data quality of these SMBs, and nothing else of them."""
    if scores:
        parameters = as_arrays(list(scores)) | {"scores": list(scores.values())}
        await transaction.execute(SAVE_DATA_QUALITY, parameters)
