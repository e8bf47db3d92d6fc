"""Which tier an SMB belongs to: a pure function of its score, its present tier and the policy."""

from datetime import datetime, timedelta
from typing import Literal

from shared.schemas.policy import Policy


def evaluate(current_tier: int, score: int, policy: Policy, changed_at: datetime | None, now: datetime) -> int:
    """Give the tier (1 is best) of an SMB that is in `current_tier` and has `score` points.

    An upgrade takes place at once. A downgrade waits until `minimum_dwell_days` have passed since the last change
    (`changed_at`, None before the first), and a threshold counts as lost only when the score is more than
    `downgrade_margin_points` below it; each threshold on the way down is held so, so that one big loss ends where
    many small ones do.
    """
    reached = policy.tier_of(score).tier
    if reached <= current_tier:
        return reached
    if changed_at is not None and now - changed_at < timedelta(days=policy.tier_changes.minimum_dwell_days):
        return current_tier
    forgiving = score + policy.tier_changes.downgrade_margin_points
    return max(current_tier, policy.tier_of(forgiving).tier)


def direction(old_tier: int, new_tier: int) -> Literal["upgrade", "downgrade"]:
    """Name the direction of a change; tier 1 is the best."""
    return "upgrade" if new_tier < old_tier else "downgrade"
