"""When each job is due: the schedules of the Kubernetes CronJobs, and what a job's name says of its minute.

All schedules are UTC.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from shared.schemas.envelope import AHEAD_MAX

SUNDAY = 6
DAYS_IN_A_WEEK = 7
# Kubernetes ends the name of a CronJob's job in the scheduled minute, counted from 1970: eight digits until 2160.
MINUTE_OF_A_JOB = re.compile(r"-([0-9]{8})\Z")


@dataclass(frozen=True, slots=True)
class Schedule:
    """A time of day, daily, or on one `weekday` (Monday is 0)."""

    hour: int
    minute: int
    weekday: int | None = None

    @property
    def cron(self) -> str:
        """The five fields of a CronJob."""
        day = "*" if self.weekday is None else str((self.weekday + 1) % DAYS_IN_A_WEEK)
        return f"{self.minute} {self.hour} * * {day}"

    def latest_due(self, now: datetime) -> datetime:
        """The latest time, not after `now` (aware), at which this was due."""
        due = now.astimezone(UTC).replace(hour=self.hour, minute=self.minute, second=0, microsecond=0)
        if self.weekday is not None:
            due -= timedelta(days=(due.weekday() - self.weekday) % DAYS_IN_A_WEEK)
        if due <= now:
            return due
        return due - timedelta(days=1 if self.weekday is None else DAYS_IN_A_WEEK)


SCHEDULES = MappingProxyType(
    {
        "AdvanceManifestDestinyDay": Schedule(0, 1),
        "RecalculateEngagementScores": Schedule(2, 0),
        "EvaluateTierTransitions": Schedule(3, 0),
        "CleanupDeletedSMBs": Schedule(0, 0, SUNDAY),
        "RecalculateDataQuality": Schedule(4, 0, SUNDAY),
    }
)
"""The schedule of each trigger, by its name."""


def minute_of_job(job_name: str) -> datetime | None:
    """The minute (UTC) that the name of a CronJob's job ends in; None for a name that ends in none."""
    found = MINUTE_OF_A_JOB.search(job_name)
    return datetime.fromtimestamp(int(found[1]) * 60, UTC) if found else None


def scheduled_for(trigger: str, job_name: str | None, now: datetime) -> datetime:
    """The minute in the job's name, else the latest time at which the trigger's own schedule was due.

    A minute further ahead than a trigger may be is taken for a number by chance. Raises KeyError when no
    trigger has that name.
    """
    minute = minute_of_job(job_name) if job_name is not None else None
    if minute is not None and minute <= now + AHEAD_MAX:
        return minute
    return SCHEDULES[trigger].latest_due(now)
