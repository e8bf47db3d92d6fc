"""What can be asked of a campaign, and what comes of it.

| command  | possible from               | leads to                                                        |
| -------- | --------------------------- | --------------------------------------------------------------- |
| start    | draft, completed, cancelled | running, a new run, day 1 at the next send                      |
| schedule | the same                    | scheduled, a new run                                            |
| schedule | scheduled                   | scheduled, the same run on another date                         |
| pause    | running                     | paused, the day kept                                            |
| resume   | paused                      | running, the day that had not been sent at the next send        |
| cancel   | scheduled, running, paused  | cancelled                                                       |
"""

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import ClassVar
from uuid import UUID

from services.campaign.rules.refresh import anchored, refresh, started, stopped
from services.campaign.rules.send_moments import local_date, send_moment
from services.campaign.rules.states import Action, Campaign, Circumstances, Decision, Refusal, RefusalName, Status

# From here on the 90 days could leave the calendar, which ends with the year 9999.
FIRST_DATE_TOO_FAR_AHEAD = date(9999, 1, 1)

NOT_OPEN = frozenset({Status.DRAFT, Status.COMPLETED, Status.CANCELLED})

POSSIBLE_FROM = {
    Action.START: NOT_OPEN,
    Action.SCHEDULE: NOT_OPEN | {Status.SCHEDULED},
    Action.PAUSE: frozenset({Status.RUNNING}),
    Action.RESUME: frozenset({Status.PAUSED}),
    Action.CANCEL: frozenset({Status.SCHEDULED, Status.RUNNING, Status.PAUSED}),
}

CONTACTS_THE_SMB = frozenset({Action.START, Action.SCHEDULE, Action.RESUME})


@dataclass(frozen=True, slots=True)
class Start:
    """Begin a new run at the next send moment."""

    action: ClassVar[Action] = Action.START
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """Begin a new run on `start_date`, a date local to the SMB, or move the scheduled run there.

    The date is ahead when its send moment is: today is, until the send time.
    """

    action: ClassVar[Action] = Action.SCHEDULE
    start_date: date
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """Send nothing until resumed."""

    action: ClassVar[Action] = Action.PAUSE
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on with the day that had not been sent."""

    action: ClassVar[Action] = Action.RESUME
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Cancel:
    """End the run."""

    action: ClassVar[Action] = Action.CANCEL
    reason: str | None = None


Command = Start | Schedule | Pause | Resume | Cancel


def decide(
    campaign: Campaign | None, command: Command, circumstances: Circumstances, now: datetime, new_campaign_id: UUID
) -> Decision:
    """Refresh the SMB's newest run as of `now`, then do what the command asks, or refuse it by name.

    `new_campaign_id` becomes the id of the run that a start or a schedule opens; else it is not used. A refused
    command leaves what the refresh alone would. Raises UnknownTimeZoneError.
    """
    decision = refresh(campaign, circumstances, now)
    if campaign is not None:
        now = max(now, campaign.refreshed_at)
    refusal = _refusal(decision.status, command, circumstances, now)
    if refusal is not None:
        return replace(decision, refusal=refusal)
    current = decision.campaign
    if current is None or not current.is_open:
        current = _new_run(new_campaign_id, circumstances, now)
    return decision.then(command.action, _moved(current, command, now), command.reason)


def _moved(campaign: Campaign, command: Command, now: datetime) -> Campaign:
    match command:
        case Start():
            return started(campaign, now)
        case Schedule(start_date):
            return replace(campaign, start_date=start_date, refreshed_at=now)
        case Pause():
            return stopped(campaign, Status.PAUSED, now)
        case Resume():
            return anchored(replace(campaign, status=Status.RUNNING), now)
        case Cancel():
            return stopped(campaign, Status.CANCELLED, now)


def _new_run(campaign_id: UUID, circumstances: Circumstances, now: datetime) -> Campaign:
    return Campaign(
        id=campaign_id,
        status=Status.SCHEDULED,
        start_date=local_date(now, circumstances.timezone),
        day_one=None,
        day=None,
        next_send=None,
        timezone=circumstances.timezone,
        send_time=circumstances.send_time,
        refreshed_at=now,
    )


def _refusal(status: Status, command: Command, circumstances: Circumstances, now: datetime) -> Refusal | None:
    """Say why the command is not possible, the most lasting cause first; None when it is possible."""

    def refuse(name: RefusalName, because: str = "") -> Refusal:
        return Refusal(name, command.action, status, f"{command.action} is not possible from {status}{because}")

    if circumstances.is_deleted:
        return refuse(RefusalName.SMB_DELETED, ": the SMB is deleted")
    if status not in POSSIBLE_FROM[command.action]:
        return refuse(RefusalName.WRONG_STATUS)
    if circumstances.do_not_contact and command.action in CONTACTS_THE_SMB:
        return refuse(RefusalName.DO_NOT_CONTACT, " while do_not_contact is set")
    if isinstance(command, Schedule) and command.start_date >= FIRST_DATE_TOO_FAR_AHEAD:
        return refuse(RefusalName.START_DATE_TOO_FAR_AHEAD, f": {command.start_date} is too far ahead")
    if isinstance(command, Schedule) and not _is_ahead(command.start_date, circumstances, now):
        return refuse(
            RefusalName.START_DATE_NOT_AHEAD,
            f": the send moment of {command.start_date} in {circumstances.timezone} has passed",
        )
    return None


def _is_ahead(start_date: date, circumstances: Circumstances, now: datetime) -> bool:
    # The first condition also spares the beginning of the calendar, where moments cannot be computed.
    return (
        start_date >= local_date(now, circumstances.timezone)
        and send_moment(start_date, circumstances.timezone, circumstances.send_time) > now
    )
