"""When a date's message goes out.

Each date has exactly one send moment in every zone, and a later date has a later one:

* ordinarily, the moment at which the wall clock shows the send time;
* in an overlap (the clock is put back and shows the send time twice), the earlier one;
* in a gap (the clock is put forward and never shows it), the first moment after the gap. That may already be the next
  day on the wall: America/Nuuk goes from 22:59:59 to 00:00 of the next date. It stays the moment of the date that
  asked for it, which is why a campaign's day is counted from that date and not from what the wall shows;
* the same holds where a zone leaves a whole date out (Pacific/Apia, 2011-12-30): that date's moment is the first one
  after it, and the next date's own one follows. At a send time of midnight those two would be one moment; then the
  next date's follows one minute later.
"""

from bisect import bisect_left
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.campaign.rules.time_zones import time_zone

ONE_DAY = timedelta(days=1)

# Keeps apart the moments of a date that a zone leaves out and of the next.
AFTER_A_DATE_LEFT_OUT = timedelta(minutes=1)


class Send(NamedTuple):
    """The date whose send it is, local to the campaign's zone, and the moment in UTC."""

    on: date
    at: datetime


# Many SMBs share few zones and one send time.
@lru_cache(maxsize=16_384)
def send_moment(on: date, timezone: str, send_time: time) -> datetime:
    """Give the one send moment of a date, in UTC. Raises UnknownTimeZoneError."""
    zone = time_zone(timezone)
    moment = _first_moment_showing(datetime.combine(on, send_time), zone)
    if moment == _first_moment_showing(datetime.combine(on - ONE_DAY, send_time), zone):
        return moment + AFTER_A_DATE_LEFT_OUT
    return moment


def next_send(after: datetime, not_before: date, timezone: str, send_time: time) -> Send:
    """Give the first send whose moment lies after `after` and whose date is not before `not_before`.

    A moment that equals `after` has passed. Raises UnknownTimeZoneError.
    """
    # What the wall shows is enough to begin with: the moments of earlier dates have passed.
    on = max(not_before, local_date(after, timezone))
    while (moment := send_moment(on, timezone, send_time)) <= after:
        on += ONE_DAY
    return Send(on, moment)


def local_date(at: datetime, timezone: str) -> date:
    """Give the date that a calendar on the wall shows at that moment. Raises UnknownTimeZoneError."""
    return at.astimezone(time_zone(timezone)).date()


def _first_moment_showing(local: datetime, zone: ZoneInfo) -> datetime:
    """Give the first moment, in UTC, at which the wall clock shows `local` or has jumped past it."""
    by_offset_before = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    by_offset_after = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if by_offset_before <= by_offset_after:
        return by_offset_before
    # A gap: the clock jumps somewhere between the two, at a whole second.
    lower = by_offset_after.replace(microsecond=0)

    def is_past_the_gap(seconds: int) -> bool:
        return (lower + timedelta(seconds=seconds)).astimezone(zone).replace(tzinfo=None) >= local

    length_seconds = int((by_offset_before - lower).total_seconds())
    return lower + timedelta(seconds=bisect_left(range(length_seconds), x=True, key=is_past_the_gap))
