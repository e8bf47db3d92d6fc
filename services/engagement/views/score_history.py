"""The score of each day, computed from the events as it would have been, had they all been there in time."""

from dataclasses import dataclass
from datetime import date, timedelta

from services.engagement.rules import DayScore, Groups
from services.engagement.views import store
from shared.runtime.database import Transaction
from shared.schemas.identity import SmbKey
from shared.schemas.policy import Scoring

HISTORY_DEFAULT_DAYS = 90
HISTORY_MAX_DAYS = 5 * 366


class InvalidRange(Exception):
    """A range of dates that can't be shown; names the field, `from` or `to`."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Days:
    """UTC dates from `first` to `last`, both included."""

    first: date
    last: date

    @classmethod
    def asked(cls, first: date | None, last: date | None, today: date) -> "Days":
        """Complete and check a range: it ends today and has 90 days, unless it is said otherwise.

        Raises InvalidRange when it is empty, longer than 1,830 days or ends after today.
        """
        last = last or today
        if last > today:
            raise InvalidRange("to", f"must not be after today, {today} in UTC")
        if first is None:
            first = max(last, date.min + _DEFAULT) - _DEFAULT
        if first > last:
            raise InvalidRange("from", f"must not be after {last}")
        if (last - first).days >= HISTORY_MAX_DAYS:
            raise InvalidRange("from", f"must be less than {HISTORY_MAX_DAYS} days before {last}")
        return cls(first, last)


_DEFAULT = timedelta(days=HISTORY_DEFAULT_DAYS - 1)


async def score_history(transaction: Transaction, smb: SmbKey, scoring: Scoring, days: Days) -> list[DayScore]:
    """Give the score of each of these days, in order, by the present policy."""
    rows = await store.read_history(transaction, smb, scoring, days.first, days.last)
    return [DayScore(row.day, Groups(row.reach, row.response, row.content, row.approval)) for row in rows]
