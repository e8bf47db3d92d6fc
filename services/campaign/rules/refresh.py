"""What time and circumstances do to a campaign, without anybody's command.

All of it is a function of the stored run and `now`. So a trigger that comes twice changes nothing the second time, and
one that comes late, or never, is made good by whatever comes next.
"""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import NamedTuple

from services.campaign.rules.send_moments import ONE_DAY, Send, next_send, send_moment
from services.campaign.rules.states import LAST_DAY, Action, Campaign, Circumstances, Decision, Reason, Status

# The daily trigger that comes before a send must start the run, also on a day of 25 hours.
START_AHEAD = timedelta(hours=25)


class Position(NamedTuple):
    """What `day` and `next_send` (UTC) of a campaign have to be."""

    day: int | None
    next_send: datetime | None


def refresh(campaign: Campaign | None, circumstances: Circumstances, now: datetime) -> Decision:
    """Bring a run up to `now` and to its SMB's circumstances; what every command does first.

    Days whose moment has passed are over, and past day 90 the run completes, both by the zone and send time that held
    so far. Then a deleted SMB's run is cancelled; do_not_contact pauses a running one and cancels a scheduled one; a
    changed zone or send time holds from now on. A scheduled run does not start here: see `advance`.

    Called again with the same arguments it changes nothing, and `now` never goes back behind the last refresh.
    Raises UnknownTimeZoneError.
    """
    decision = Decision(campaign)
    if campaign is None or not campaign.is_open:
        return decision
    now = max(now, campaign.refreshed_at)
    for happens in (_days_pass, _circumstances_end_it, _schedule_moves):
        decision = happens(decision, circumstances, now)
    return decision


def advance(campaign: Campaign | None, circumstances: Circumstances, now: datetime) -> Decision:
    """Refresh a run as the daily trigger does: a scheduled one whose time has come starts as well.

    Its time has come less than 25 hours before the send moment of its start date. When that moment has passed, day 1
    is the next one. Called again with the same arguments it changes nothing. Raises UnknownTimeZoneError.
    """
    decision = refresh(campaign, circumstances, now)
    scheduled = decision.campaign
    if scheduled is None or scheduled.status is not Status.SCHEDULED:
        return decision
    now = max(now, scheduled.refreshed_at)
    start = send_moment(scheduled.start_date, scheduled.timezone, scheduled.send_time)
    if start - now >= START_AHEAD:
        return decision
    reason = Reason.START_DATE_REACHED if start > now else Reason.START_DATE_MISSED
    return decision.then(Action.START, started(scheduled, now), reason)


def position(campaign: Campaign, at: datetime) -> Position:
    """Recompute day and next send as of `at` from what the run keeps; `verify` asks as of `refreshed_at`.

    The stored day and next send are not looked at, so a difference is a mistake in the stored row.
    """
    if campaign.day_one is None:
        return Position(None, None)
    upcoming = _upcoming(campaign, at)
    day = day_of(upcoming.on, campaign.day_one)
    is_sent = campaign.status is Status.RUNNING and day <= LAST_DAY
    return Position(min(day, LAST_DAY), upcoming.at if is_sent else None)


def day_of(on: date, day_one: date) -> int:
    """Give the campaign day of a date."""
    return (on - day_one).days + 1


def started(campaign: Campaign, now: datetime) -> Campaign:
    """Give the run with day 1 at the first send after `now` that is not before the start date."""
    upcoming = _upcoming(campaign, now)
    return replace(
        campaign,
        status=Status.RUNNING,
        start_date=upcoming.on,
        day_one=upcoming.on,
        day=1,
        next_send=upcoming.at,
        refreshed_at=now,
    )


def anchored(campaign: Campaign, now: datetime) -> Campaign:
    """Give the run with `day_one` moved so that its unsent day falls on the first send after `now`.

    A run that has not started has nothing to move.
    """
    if campaign.day is None:
        return replace(campaign, refreshed_at=now)
    upcoming = _upcoming(campaign, now)
    return replace(
        campaign,
        day_one=upcoming.on - (campaign.day - 1) * ONE_DAY,
        next_send=upcoming.at if campaign.status is Status.RUNNING else None,
        refreshed_at=now,
    )


def stopped(campaign: Campaign, status: Status, now: datetime) -> Campaign:
    """Give the run paused, completed or cancelled: nothing is sent, day and start date stay."""
    # The day of a paused run is as of its pause, also when it is cancelled later.
    refreshed_at = campaign.refreshed_at if campaign.status is Status.PAUSED else now
    return replace(campaign, status=status, next_send=None, refreshed_at=refreshed_at)


def _upcoming(campaign: Campaign, after: datetime) -> Send:
    return next_send(after, campaign.start_date, campaign.timezone, campaign.send_time)


def _days_pass(decision: Decision, _circumstances: Circumstances, now: datetime) -> Decision:
    campaign = decision.campaign
    if campaign is None or campaign.next_send is None or campaign.next_send > now:
        return decision
    upcoming = _upcoming(campaign, now)
    day = day_of(upcoming.on, campaign.day_one or upcoming.on)
    if day > LAST_DAY:
        completed = replace(stopped(campaign, Status.COMPLETED, now), day=LAST_DAY)
        return decision.then(Action.COMPLETE, completed, Reason.LAST_DAY_PASSED)
    return decision.changing(replace(campaign, day=day, next_send=upcoming.at, refreshed_at=now))


def _circumstances_end_it(decision: Decision, circumstances: Circumstances, now: datetime) -> Decision:
    campaign = decision.campaign
    if campaign is None or not campaign.is_open:
        return decision
    if circumstances.is_deleted:
        return decision.then(Action.CANCEL, stopped(campaign, Status.CANCELLED, now), Reason.DELETED)
    if circumstances.do_not_contact and campaign.status is Status.RUNNING:
        return decision.then(Action.PAUSE, stopped(campaign, Status.PAUSED, now), Reason.DO_NOT_CONTACT)
    if circumstances.do_not_contact and campaign.status is Status.SCHEDULED:
        return decision.then(Action.CANCEL, stopped(campaign, Status.CANCELLED, now), Reason.DO_NOT_CONTACT)
    return decision


def _schedule_moves(decision: Decision, circumstances: Circumstances, now: datetime) -> Decision:
    campaign = decision.campaign
    if campaign is None or not campaign.is_open:
        return decision
    zone_changes = campaign.timezone != circumstances.timezone
    if not zone_changes and campaign.send_time == circumstances.send_time:
        return decision
    changed = replace(campaign, timezone=circumstances.timezone, send_time=circumstances.send_time)
    moved = anchored(changed, now)
    if zone_changes:
        return decision.then(Action.CHANGE_TIMEZONE, moved, Reason.TIMEZONE_CHANGED)
    if campaign.status is Status.RUNNING:
        return decision.then(Action.CHANGE_SEND_TIME, moved, Reason.SEND_TIME_CHANGED)
    # Nobody outside sees the send time of a run that sends nothing.
    return decision.changing(moved)
