"""What a score is: a pure function of an SMB's events, the policy and a UTC date. The SQL is held to this.

Points are added exactly: windowed groups in whole hundredths, everything together in whole billionths of a point.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from math import fsum
from typing import NamedTuple

from shared.schemas.policy import Scoring, hundredths

# Only a change of more than this many points against the last announced score is announced.
ANNOUNCED_STEP_POINTS = 10
# The approval sum is rounded to nine decimals, so that SQL and Python agree before the floor.
BILLIONTHS = 10**9
BILLIONTHS_IN_A_HUNDREDTH = 10**7
HIGHEST_SCORE = 100

# The windowed groups and the kinds of event that count in each; approvals are a group of their own.
GROUPS = {
    "reach": ("email_opened", "rvm_delivered"),
    "response": ("email_clicked", "callback_received"),
    "content": ("content_viewed", "content_completed"),
}
APPROVED = "approval_approved"


class ScoredEvent(NamedTuple):
    """What the score needs to know of an event: its kind and when it happened (aware)."""

    kind: str
    occurred_at: datetime


class Groups(NamedTuple):
    """Points of each group after its cap, in billionths of a point."""

    reach: int
    response: int
    content: int
    approval: int

    @property
    def score(self) -> int:
        """The score: their sum, at most 100, rounded down."""
        return min(HIGHEST_SCORE * BILLIONTHS, sum(self)) // BILLIONTHS


def score(events: Iterable[ScoredEvent], scoring: Scoring, as_of: date) -> Groups:
    """Compute the groups as of a UTC date from all of an SMB's events, in any order.

    Source: requirements section 3. Window: the `window_days` UTC days that end with `as_of`. Approvals decay by half
    each `half_life_days`, for all time. Events dated after `as_of` do not count yet.
    """
    first_day = as_of - timedelta(days=scoring.window_days - 1)
    in_window: Counter[str] = Counter()
    approvals: Counter[int] = Counter()
    for event in events:
        day = event.occurred_at.astimezone(UTC).date()
        if day > as_of:
            continue
        if event.kind == APPROVED:
            approvals[(as_of - day).days] += 1
        elif day >= first_day:
            in_window[event.kind] += 1
    windowed = {name: _windowed(in_window, name, kinds, scoring) for name, kinds in GROUPS.items()}
    return Groups(**windowed, approval=_approval(approvals, scoring))


def _windowed(counts: Counter[str], group: str, kinds: tuple[str, ...], scoring: Scoring) -> int:
    points = sum(counts[kind] * hundredths(getattr(scoring.points, kind)) for kind in kinds)
    return min(points, hundredths(getattr(scoring.caps, group))) * BILLIONTHS_IN_A_HUNDREDTH


def _approval(counts_by_age_days: Counter[int], scoring: Scoring) -> int:
    points, half_life = float(scoring.approval.points), scoring.approval.half_life_days
    total = fsum(count * (points * 0.5 ** (age / half_life)) for age, count in counts_by_age_days.items())
    cap = hundredths(scoring.caps.approval) * BILLIONTHS_IN_A_HUNDREDTH
    return min(cap, round(total * BILLIONTHS))


def is_announced(announced_score: int, new_score: int) -> bool:
    """Tell whether a score is far enough from the last announced one; comparing with any other misses slow climbs."""
    return abs(new_score - announced_score) > ANNOUNCED_STEP_POINTS


def window(scoring: Scoring, as_of: date) -> tuple[datetime, datetime]:
    """The moments between which an event lies in the window of `as_of`: from the first, before the second."""
    first = as_of - timedelta(days=scoring.window_days - 1)
    return _midnight(first), _midnight(as_of + timedelta(days=1))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def points(billionths: int) -> float:
    """Billionths of a point as points, for people and messages."""
    return billionths / BILLIONTHS
