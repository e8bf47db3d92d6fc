"""Every SQL statement of the tier service."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import RowMapping, text

from shared.runtime.database import Transaction
from shared.runtime.heads import as_arrays
from shared.schemas.identity import SmbKey

# A recalculation that has not moved for so long no longer holds up the evaluation of its day.
STUCK_AFTER = timedelta(minutes=15)


class Standing(NamedTuple):
    """What decides the tier of one SMB. `tier_changed_at` is None before its first change."""

    smb: SmbKey
    tier: int
    tier_changed_at: datetime | None
    score: int


class TierChange(NamedTuple):
    """One change of tier; `reason` is plain words."""

    smb: SmbKey
    old_tier: int
    new_tier: int
    score: int
    reason: str


READ_STANDINGS = text(
    """
    SELECT smb.tenant_id, smb.id, smb.engagement_tier, smb.tier_changed_at, head.engagement_score
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[])) AS wanted (tenant_id, smb_id)
    JOIN smbs AS smb ON smb.tenant_id = wanted.tenant_id AND smb.id = wanted.smb_id AND smb.deleted_at IS NULL
    JOIN smb_heads AS head ON head.tenant_id = smb.tenant_id AND head.smb_id = smb.id
    """,
)
# `updated_at` stays: it tells when the profile changed.
SAVE_TIERS = text(
    """
    UPDATE smbs AS smb SET engagement_tier = change.new_tier, tier_changed_at = :now
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[]), CAST(:new_tiers AS smallint[]))
        AS change (tenant_id, smb_id, new_tier)
    WHERE smb.tenant_id = change.tenant_id AND smb.id = change.smb_id
    """,
)
INSERT_CHANGES = text(
    """
    INSERT INTO tier_changes (tenant_id, smb_id, changed_at, old_tier, new_tier, score, reason, policy_version)
    SELECT change.tenant_id, change.smb_id, :now, change.old_tier, change.new_tier, change.score, change.reason,
        :policy_version
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[]), CAST(:old_tiers AS smallint[]),
        CAST(:new_tiers AS smallint[]), CAST(:scores AS smallint[]), CAST(:reasons AS text[]))
        AS change (tenant_id, smb_id, old_tier, new_tier, score, reason)
    """,
)
READ_CHANGES = text(
    """
    SELECT id, changed_at, old_tier, new_tier, score, reason, policy_version FROM tier_changes
    WHERE tenant_id = :tenant_id AND smb_id = :smb_id AND id < :after
    ORDER BY id DESC LIMIT :at_most
    """,
)
# A run that another replica is just starting is left to it.
LOCK_DUE_RUNS = text(
    """
    SELECT run.run_id, run.name
    FROM job_runs AS run
    WHERE run.name = 'EvaluateTierTransitions' AND run.status = 'waiting' AND NOT EXISTS (
        SELECT FROM job_runs AS recalculation
        WHERE recalculation.name = 'RecalculateEngagementScores' AND recalculation.status <> 'finished'
            AND recalculation.progressed_at >= :stuck_before
            AND CAST(recalculation.scheduled_for AT TIME ZONE 'UTC' AS date)
                = CAST(run.scheduled_for AT TIME ZONE 'UTC' AS date))
    ORDER BY run.received_at
    FOR UPDATE OF run SKIP LOCKED
    """,
)


async def read_standings(transaction: Transaction, keys: Sequence[SmbKey]) -> list[Standing]:
    """Read what decides the tiers of these SMBs; those that do not exist or are deleted are left out."""
    rows = await transaction.execute(READ_STANDINGS, as_arrays(keys))
    return [
        Standing(SmbKey(row.tenant_id, row.id), row.engagement_tier, row.tier_changed_at, row.engagement_score)
        for row in rows.all()
    ]


async def save_tiers(transaction: Transaction, changes: Sequence[TierChange], now: datetime) -> None:
    """Put the SMBs of `changes` (each once) into their new tiers."""
    new_tiers = [change.new_tier for change in changes]
    await transaction.execute(SAVE_TIERS, _keys(changes) | {"new_tiers": new_tiers, "now": now})


async def insert_changes(
    transaction: Transaction, changes: Sequence[TierChange], policy_version: str, now: datetime
) -> None:
    """Add `changes` to the history of tiers."""
    await transaction.execute(
        INSERT_CHANGES,
        _keys(changes)
        | {
            "old_tiers": [change.old_tier for change in changes],
            "new_tiers": [change.new_tier for change in changes],
            "scores": [change.score for change in changes],
            "reasons": [change.reason for change in changes],
            "policy_version": policy_version,
            "now": now,
        },
    )


async def read_changes(transaction: Transaction, smb: SmbKey, after: int, at_most: int) -> Sequence[RowMapping]:
    """Read the changes of an SMB's tier that came before the one with the id `after`, newest first."""
    parameters = smb._asdict() | {"after": after, "at_most": at_most}
    return (await transaction.execute(READ_CHANGES, parameters)).mappings().all()


async def lock_due_runs(transaction: Transaction, now: datetime) -> list[tuple[str, UUID]]:
    """Lock the waiting evaluations whose day's recalculation is over (or stuck); gives job name and run."""
    rows = await transaction.execute(LOCK_DUE_RUNS, {"stuck_before": now - STUCK_AFTER})
    return [(row.name, row.run_id) for row in rows.all()]


def _keys(changes: Sequence[TierChange]) -> dict[str, list[UUID]]:
    return as_arrays([change.smb for change in changes])
