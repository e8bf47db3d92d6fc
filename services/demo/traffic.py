"""Forty-five days of history, and what goes on happening now. Pure: generator, sizes and `now` decide everything.

Dates end today, so the seed decides the shape and not the dates.
"""

from bisect import bisect
from collections import deque
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from itertools import accumulate
from random import Random
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.demo.broken import SPOILERS, make_broken
from services.demo.events import Event, Message, as_message, make_again, make_event
from services.demo.population import Business, Population

HISTORY_DAYS = 45
# Less is done on Saturday, little on Sunday.
WEEKDAY_WEIGHTS = (1.0, 1.1, 1.1, 1.05, 0.9, 0.35, 0.15)
# From 0:00 to 23:00 local time: nothing at night, most in the morning and after lunch.
HOUR_WEIGHTS = (0, 0, 0, 0, 0, 0, 1, 4, 9, 12, 11, 8, 5, 8, 10, 9, 7, 6, 4, 3, 2, 1, 0, 0)

REPEATED_SHARE = 0.02
BROKEN_SHARE = 0.002
# Most arrive within minutes; some come hours later, a few after days: behind newer ones of the same SMB.
HOURS_LATE_SHARE = 0.08
DAYS_LATE_SHARE = 0.03
# So many of the latest events may be repeated in live traffic.
REMEMBERED_EVENTS = 200


class Kind(StrEnum):
    """What a sample is, and so what must become of it."""

    EVENT = "event"
    REPEATED = "repeated"
    BROKEN = "broken"


class Sample(NamedTuple):
    """One record to publish; `event` is what it tells, None for a broken one."""

    kind: Kind
    message: Message
    event: Event | None


class Calendar:
    """The working hours of one time zone in the days that end with today."""

    def __init__(self, zone: ZoneInfo, now: datetime) -> None:
        self._zone = zone
        self._now = now
        today = now.astimezone(zone).date()
        self._days = [today - timedelta(days=age) for age in range(HISTORY_DAYS)]
        self._weights = list(accumulate(WEEKDAY_WEIGHTS[day.weekday()] for day in self._days))

    def moment(self, random: Random) -> datetime:
        """A moment of some working day, not after now."""
        day = self._days[bisect(self._weights, random.random() * self._weights[-1])]
        moment = self._at(day, random)
        # Later today is yet to come: the same weekday before.
        return moment if moment <= self._now else moment - timedelta(days=7)

    def _at(self, day: date, random: Random) -> datetime:
        (hour,) = random.choices(range(24), HOUR_WEIGHTS)
        local = datetime.combine(day, time(hour, random.randrange(60), random.randrange(60)), self._zone)
        return local.astimezone(self._now.tzinfo)


def make_history(population: Population, random: Random, records: int, now: datetime) -> list[Sample]:
    """Make `records` samples of the last 45 days in the order in which they arrive; repeated and broken ones count.

    `now` is aware, in UTC.
    """
    broken = max(len(SPOILERS), round(records * BROKEN_SHARE))
    repeated = round(records * REPEATED_SHARE)
    everybody = population.everybody
    calendars = {business.zone: Calendar(business.zone, now) for business in everybody}
    doers = random.choices(everybody, [one.segment.activity for one in everybody], k=records - broken - repeated)
    arriving: list[tuple[datetime, Sample]] = []
    for number, business in enumerate(doers):
        event = make_event(random, business, f"history-{number:06d}", calendars[business.zone].moment(random))
        arrival = min(now, event.time + _delay(random))
        arriving.append((arrival, Sample(Kind.EVENT, as_message(event), event)))
    for arrival, sample in random.sample(arriving, repeated):
        arriving.append((min(now, arrival + _delay(random)), _again(random, sample.event)))
    for number in range(broken):
        business = random.choice(population.known)
        message = make_broken(business, number, now)
        arriving.append((calendars[business.zone].moment(random), Sample(Kind.BROKEN, message, None)))
    # Stable, so a copy that arrives at the same moment still comes after what it repeats.
    arriving.sort(key=lambda one: one[0])
    return [sample for _, sample in arriving]


class LiveTraffic:
    """What the same businesses do now, one sample after another."""

    def __init__(self, population: Population, random: Random) -> None:
        self._random = random
        self._everybody: Sequence[Business] = [*population.known, *population.newcomers]
        self._weights = list(accumulate(one.segment.activity for one in self._everybody))
        self._latest: deque[Event] = deque(maxlen=REMEMBERED_EVENTS)
        self._made = 0

    def make(self, now: datetime) -> Sample:
        """Make the next sample: mostly of this moment, sometimes late, repeated or broken."""
        self._made += 1
        (business,) = self._random.choices(self._everybody, cum_weights=self._weights)
        lot = self._random.random()
        if lot < BROKEN_SHARE:
            return Sample(Kind.BROKEN, make_broken(business, self._made, now), None)
        if lot < BROKEN_SHARE + REPEATED_SHARE and self._latest:
            return _again(self._random, self._random.choice(self._latest))
        late = _delay(self._random) if self._random.random() < HOURS_LATE_SHARE else timedelta()
        event = make_event(self._random, business, f"live-{self._made:06d}", now - late)
        self._latest.append(event)
        return Sample(Kind.EVENT, as_message(event), event)


def _again(random: Random, event: Event | None) -> Sample:
    if event is None:
        message = "a broken message is not repeated"
        raise ValueError(message)
    return Sample(Kind.REPEATED, as_message(make_again(random, event)), event)


def _delay(random: Random) -> timedelta:
    lot = random.random()
    if lot < DAYS_LATE_SHARE:
        return timedelta(days=random.uniform(1, 6))
    if lot < DAYS_LATE_SHARE + HOURS_LATE_SHARE:
        return timedelta(hours=random.uniform(1, 12))
    return timedelta(seconds=random.uniform(0.5, 120))
