"""Compares each SMB's tier with its history and, where the nightly evaluation has seen its score, with the rules."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from sqlalchemy import Row, text

from services.tier import rules
from shared.runtime.database import Transaction
from shared.runtime.differences import Difference, compare
from shared.runtime.heads import as_arrays
from shared.schemas.identity import SmbKey
from shared.schemas.policy import LOWEST_TIER, Policy

KIND = "tier"
KINDS = (KIND,)

# An SMB that nothing has happened to since the evaluation began was seen by it as it is now.
STANDINGS = text(
    """
    SELECT smb.tenant_id, smb.id, smb.engagement_tier, smb.tier_changed_at, head.engagement_score,
        CASE WHEN head.last_now < evaluation.began THEN evaluation.began END AS evaluated_at,
        (SELECT array_agg(old_tier ORDER BY id) FROM tier_changes AS change
            WHERE change.tenant_id = smb.tenant_id AND change.smb_id = smb.id) AS old_tiers,
        (SELECT array_agg(new_tier ORDER BY id) FROM tier_changes AS change
            WHERE change.tenant_id = smb.tenant_id AND change.smb_id = smb.id) AS new_tiers
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:smb_ids AS uuid[])) AS wanted (tenant_id, smb_id)
    JOIN smbs AS smb ON smb.tenant_id = wanted.tenant_id AND smb.id = wanted.smb_id AND smb.deleted_at IS NULL
    JOIN smb_heads AS head ON head.tenant_id = smb.tenant_id AND head.smb_id = smb.id
    LEFT JOIN (
        SELECT max(received_at) AS began FROM job_runs
        WHERE name = 'EvaluateTierTransitions' AND status = 'finished'
    ) AS evaluation ON true
    """,
)


async def differences(transaction: Transaction, keys: Sequence[SmbKey], policy: Policy) -> list[Difference]:
    """Compare the tiers of live SMBs.

    Between two evaluations a score may cross a threshold without an announcement; then only the history is compared.
    """
    found: list[Difference] = []
    for row in (await transaction.execute(STANDINGS, as_arrays(keys))).all():
        found += _of_standing(SmbKey(row.tenant_id, row.id), row, policy)
    return found


def _of_standing(smb: SmbKey, row: Row[Any], policy: Policy) -> Iterator[Difference]:
    old_tiers, new_tiers = row.old_tiers or [], row.new_tiers or []
    in_history = new_tiers[-1] if new_tiers else LOWEST_TIER
    yield from compare(smb, KIND, {"engagement_tier": (row.engagement_tier, in_history)})
    ways = list(zip(old_tiers, new_tiers, strict=True))
    for (_, before), (after, _) in pairwise(ways):
        yield from compare(smb, KIND, {"old tier in the history": (after, before)})
    if row.evaluated_at is not None:
        right = rules.evaluate(row.engagement_tier, row.engagement_score, policy, row.tier_changed_at, row.evaluated_at)
        yield from compare(smb, KIND, {f"tier at score {row.engagement_score}": (row.engagement_tier, right)})
