"""Scores and tiers of all SMBs by the present policy and by another one, from the same events, tiers and moment."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import NamedTuple
from uuid import UUID

from services.engagement.scores import compute_scores
from services.policy_diff import store
from services.tier import rules as tier_rules
from services.tier.store import Standing, read_standings
from shared.runtime.chunks import Chunk, each_chunk
from shared.runtime.database import Database, TenantDatabase, Transaction
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy

# SMBs that are compared in one snapshot, as many as a shard of the nightly jobs has at most.
CHUNK_SMBS = 5000


class Side(NamedTuple):
    """What one policy makes of an SMB: its score, and its tier after the evaluation that follows."""

    score: int
    tier: int


class Change(NamedTuple):
    """An SMB whose score or tier would be another one. `stored_tier` is its tier now, from which both go out."""

    smb: SmbKey
    business_name: str
    stored_tier: int
    present: Side
    proposed: Side


class Policies(NamedTuple):
    """The two that are compared, as of a moment."""

    present: Policy
    proposed: Policy
    now: datetime


@dataclass(slots=True)
class PolicyDiff:
    """What the comparison found about SMBs that exist; `tiers` counts them by present and proposed tier."""

    smbs: int = 0
    other_scores: int = 0
    tiers: Counter[tuple[int, int]] = field(default_factory=Counter)
    present_points: int = 0
    proposed_points: int = 0

    @property
    def other_tiers(self) -> int:
        """Count the SMBs that would be in another tier."""
        return sum(smbs for (present, proposed), smbs in self.tiers.items() if present != proposed)

    @property
    def present_mean(self) -> float:
        """The mean score by the present policy; 0 where there is no SMB."""
        return self.present_points / self.smbs if self.smbs else 0.0

    @property
    def proposed_mean(self) -> float:
        """The mean score by the proposed policy."""
        return self.proposed_points / self.smbs if self.smbs else 0.0


class Compared(NamedTuple):
    """One SMB by both policies, and its tier now."""

    smb: SmbKey
    stored_tier: int
    present: Side
    proposed: Side


async def compare(  # noqa: PLR0913  what to compare, how, and whom to tell
    database: Database | TenantDatabase,
    policies: Policies,
    *,
    tenant_id: UUID | None = None,
    chunk_smbs: int = CHUNK_SMBS,
    on_change: Callable[[Change], None] = lambda _: None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> PolicyDiff:
    """Compare all SMBs, or those of one tenant, as of `now`; deleted ones have no tier and are left out.

    `on_change` gets each SMB whose score or tier differs, in the order of keys, `on_progress` numbers of heads. Each
    tier is the one that a recalculation and an evaluation by that policy would lead to from the stored one, so what
    downgrades wait for is waited for. Nothing is changed.
    """
    diff = PolicyDiff()
    look = partial(_compare_chunk, policies=policies)
    async for chunk, (compared, names) in each_chunk(database, look, smbs_most=chunk_smbs, tenant_id=tenant_id):
        for one in compared:
            diff.smbs += 1
            diff.other_scores += one.present.score != one.proposed.score
            diff.tiers[one.present.tier, one.proposed.tier] += 1
            diff.present_points += one.present.score
            diff.proposed_points += one.proposed.score
            if one.smb in names:
                on_change(Change(one.smb, names[one.smb], one.stored_tier, one.present, one.proposed))
        on_progress(len(chunk.keys))
    return diff


async def _compare_chunk(
    transaction: Transaction, chunk: Chunk, policies: Policies
) -> tuple[list[Compared], dict[SmbKey, str]]:
    """Compare one chunk; the names are those of the SMBs that change."""
    if not chunk.keys:
        return [], {}
    present, proposed, now = policies
    standings = sorted(await read_standings(transaction, chunk.keys))
    scores = await compute_scores(transaction, chunk.keys, present.score, now.date())
    others = scores
    if proposed.score != present.score:
        others = await compute_scores(transaction, chunk.keys, proposed.score, now.date())
    compared = [
        Compared(
            one.smb,
            one.tier,
            _side(one, scores[one.smb], present, now),
            _side(one, others[one.smb], proposed, now),
        )
        for one in standings
    ]
    changed: Sequence[SmbKey] = [one.smb for one in compared if one.present != one.proposed]
    return compared, await store.read_names(transaction, changed) if changed else {}


def _side(standing: Standing, score: int, policy: Policy, now: datetime) -> Side:
    return Side(score, tier_rules.evaluate(standing.tier, score, policy, standing.tier_changed_at, now))
