"""What a score is made of, as of now, and what becomes of it if nothing else happens."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Self

from services.engagement import rules
from services.engagement.rules import DayScore, Expiry, Groups, Share
from services.engagement.views import store
from shared.runtime.database import Transaction
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Policy, TierRule


@dataclass(frozen=True, slots=True)
class GroupPoints:
    """One group: how many of its events count, their points before the cap, the cap, and the points that count.

    Events of the windowed groups count within the window, approvals for all time, decayed.
    """

    group: str
    events: int
    points: float
    cap: float
    counted_points: float

    @classmethod
    def of(cls, group: str, share: Share) -> Self:
        """Show a share in points."""
        return cls(group, share.events, *map(rules.points, (share.points, share.cap, share.counts)))


@dataclass(frozen=True, slots=True)
class Explanation:
    """The score as of `as_of`, beside what is stored, and its future.

    `stored_score` is as of `scored_on`, the last event or night; `tier` is the one that the score belongs to, by which
    the stored one follows with the next announcement or night (downgrades perhaps later, by the policy's margin and
    dwell). `next_tier` is the one above `tier`; None in the best. `forecast` has the days after `as_of` until the
    window has passed, `expiries` those of them on which the score changes.
    """

    as_of: date
    score: int
    groups: tuple[GroupPoints, ...]
    stored_score: int
    scored_on: date | None
    tier: TierRule
    stored_tier: TierRule
    next_tier: TierRule | None
    points_to_next_tier: int | None
    expiries: tuple[Expiry, ...]
    forecast: tuple[DayScore, ...]


async def explain(transaction: Transaction, smb: SmbKey, policy: Policy, now: datetime) -> Explanation | None:
    """Explain the score of an SMB; None when its tenant has none such.

    One that is soft-deleted has a score, too: it is what a restoration would give it back.
    """
    stored = await store.read_standing(transaction, smb)
    if stored is None:
        return None
    today, scoring = now.date(), policy.score
    counted = await store.read_counted(transaction, smb, rules.window(scoring, today)[0])
    shares = rules.shares(counted, scoring, today)
    as_of_today = DayScore(today, Groups(**{group: share.counts for group, share in shares.items()}))
    forecast = rules.forecast(counted, scoring, today)
    tier = policy.tier_of(as_of_today.score)
    next_tier = next((rule for rule in policy.tiers if rule.tier == tier.tier - 1), None)
    return Explanation(
        as_of=today,
        score=as_of_today.score,
        groups=tuple(GroupPoints.of(group, share) for group, share in shares.items()),
        stored_score=stored.engagement_score,
        scored_on=stored.engagement_scored_on,
        tier=tier,
        stored_tier=policy.tiers[stored.engagement_tier - 1],
        next_tier=next_tier,
        points_to_next_tier=None if next_tier is None else next_tier.min_score - as_of_today.score,
        expiries=tuple(rules.expiries(as_of_today, forecast)),
        forecast=tuple(forecast),
    )
