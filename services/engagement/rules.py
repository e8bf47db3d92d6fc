"""What a score is: a pure function of an SMB's events, the policy and a UTC date. The SQL is held to this.

Points are added exactly: windowed groups in whole hundredths, everything together in whole billionths of a point.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
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
APPROVAL = "approval"
# Kept for the history; it scores nothing.
REJECTED = "approval_rejected"
KINDS = (*(kind for kinds in GROUPS.values() for kind in kinds), APPROVED, REJECTED)

# A forecast says nothing beyond a year, however long the window is.
FORECAST_MAX_DAYS = 366


class ScoredEvent(NamedTuple):
    """What the score needs to know of an event: its kind and when it happened (aware)."""

    kind: str
    occurred_at: datetime


class CountedEvents(NamedTuple):
    """How many events of one kind an SMB has on one UTC day, which is all that a score knows of them."""

    kind: str
    day: date
    events: int


class Share(NamedTuple):
    """What one group of events adds to a score: how many count, their points before the cap, and the cap.

    Points in billionths.
    """

    events: int
    points: int
    cap: int

    @property
    def counts(self) -> int:
        """The points that count, in billionths."""
        return min(self.points, self.cap)


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


class DayScore(NamedTuple):
    """An SMB's score as of one UTC date."""

    on: date
    groups: Groups

    @property
    def score(self) -> int:
        """The score itself, 0 to 100."""
        return self.groups.score


class Expiry(NamedTuple):
    """A date on which a score changes although nothing happens: so many points leave, and so many are left.

    Points below zero come: events dated ahead begin to count.
    """

    on: date
    points: int
    score: int


def score(events: Iterable[ScoredEvent], scoring: Scoring, as_of: date) -> Groups:
    """Compute the groups as of a UTC date from all of an SMB's events, in any order.

    Source: requirements section 3. Window: the `window_days` UTC days that end with `as_of`. Approvals decay by half
    each `half_life_days`, for all time. Events dated after `as_of` do not count yet.
    """
    by_day = Counter((event.kind, event.occurred_at.astimezone(UTC).date()) for event in events)
    return score_counted([CountedEvents(*key, count) for key, count in by_day.items()], scoring, as_of)


def score_counted(counted: Iterable[CountedEvents], scoring: Scoring, as_of: date) -> Groups:
    """Compute the same from the numbers of events of each kind and UTC day."""
    return Groups(**{group: share.counts for group, share in shares(counted, scoring, as_of).items()})


def shares(counted: Iterable[CountedEvents], scoring: Scoring, as_of: date) -> dict[str, Share]:
    """Tell by group what makes up the score as of a UTC date."""
    first_day = as_of - timedelta(days=scoring.window_days - 1)
    in_window: Counter[str] = Counter()
    approvals: Counter[int] = Counter()
    for kind, day, events in counted:
        if day > as_of:
            continue
        if kind == APPROVED:
            approvals[(as_of - day).days] += events
        elif day >= first_day:
            in_window[kind] += events
    found = {name: _windowed(in_window, name, kinds, scoring) for name, kinds in GROUPS.items()}
    return found | {APPROVAL: _approval(approvals, scoring)}


def forecast(counted: Sequence[CountedEvents], scoring: Scoring, as_of: date) -> list[DayScore]:
    """Score the days that follow `as_of`, if nothing else happens, until the window has passed (at most a year)."""
    days = min(scoring.window_days, FORECAST_MAX_DAYS)
    dates = [as_of + timedelta(days=ahead) for ahead in range(1, days + 1)]
    return [DayScore(on, score_counted(counted, scoring, on)) for on in dates]


def expiries(today: DayScore, days_ahead: Sequence[DayScore]) -> list[Expiry]:
    """The dates of a forecast on which the score is not that of the day before."""
    return [
        Expiry(after.on, before.score - after.score, after.score)
        for before, after in pairwise((today, *days_ahead))
        if after.score != before.score
    ]


def worth(event: ScoredEvent, scoring: Scoring, as_of: date) -> int:
    """What one event adds as of a UTC date, caps aside, in billionths of a point."""
    age_days = (as_of - event.occurred_at.astimezone(UTC).date()).days
    if age_days < 0:
        return 0
    if event.kind == APPROVED:
        return _approval(Counter([age_days]), scoring).points
    weight = getattr(scoring.points, event.kind, None)
    if weight is None or age_days >= scoring.window_days:
        return 0
    return hundredths(weight) * BILLIONTHS_IN_A_HUNDREDTH


def _windowed(counts: Counter[str], group: str, kinds: tuple[str, ...], scoring: Scoring) -> Share:
    points = sum(counts[kind] * hundredths(getattr(scoring.points, kind)) for kind in kinds)
    cap = hundredths(getattr(scoring.caps, group))
    events = sum(counts[kind] for kind in kinds)
    return Share(events, points * BILLIONTHS_IN_A_HUNDREDTH, cap * BILLIONTHS_IN_A_HUNDREDTH)


def _approval(counts_by_age_days: Counter[int], scoring: Scoring) -> Share:
    points, half_life = float(scoring.approval.points), scoring.approval.half_life_days
    total = fsum(count * (points * 0.5 ** (age / half_life)) for age, count in counts_by_age_days.items())
    cap = hundredths(scoring.caps.approval) * BILLIONTHS_IN_A_HUNDREDTH
    return Share(counts_by_age_days.total(), round(total * BILLIONTHS), cap)


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
