"""What a campaign is at one moment, what bears on it, and what a decision about it says."""

from dataclasses import dataclass, replace
from datetime import date, datetime, time
from enum import StrEnum
from typing import Self
from uuid import UUID

from services.campaign.rules.time_zones import UTC_NAME

LAST_DAY = 90
"""A campaign has days 1 to 90."""


class Status(StrEnum):
    """Where an SMB's campaign stands; an SMB that never had one is a draft."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


OPEN = frozenset({Status.SCHEDULED, Status.RUNNING, Status.PAUSED})
"""A run in one of these goes on or waits; at most one run of an SMB is open."""


class Action(StrEnum):
    """What a transition is called in the history. The first five can be commanded, the others happen."""

    START = "start"
    SCHEDULE = "schedule"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    COMPLETE = "complete"
    CHANGE_TIMEZONE = "change_timezone"
    CHANGE_SEND_TIME = "change_send_time"


class Reason(StrEnum):
    """Reasons that the rules give themselves; a commanded transition carries the command's reason."""

    DO_NOT_CONTACT = "do_not_contact"
    DELETED = "deleted"
    LAST_DAY_PASSED = "last_day_passed"
    START_DATE_REACHED = "start_date_reached"
    START_DATE_MISSED = "start_date_missed"
    TIMEZONE_CHANGED = "timezone_changed"
    SEND_TIME_CHANGED = "send_time_changed"


@dataclass(frozen=True, slots=True)
class Campaign:
    """One run of the 90 days for one SMB; day and next send are as of `refreshed_at`.

    `day` is the day that is sent next (running, paused) or was to be sent next when the run ended; 90 when completed.
    It is null until the run starts, as is `day_one`, the date that `day` is counted from. `start_date` is the date of
    the first send; while scheduled, the date asked for. `next_send` (UTC) is set while running and only then.
    `timezone` and `send_time` are those that `day_one` and `next_send` were computed with.
    """

    id: UUID
    status: Status
    start_date: date
    day_one: date | None
    day: int | None
    next_send: datetime | None
    timezone: str
    send_time: time
    refreshed_at: datetime

    @property
    def is_open(self) -> bool:
        """Tell whether the run is scheduled, running or paused."""
        return self.status in OPEN


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What bears on a campaign from outside: the SMB, its community's zone and the policy's send time."""

    send_time: time
    timezone: str = UTC_NAME
    do_not_contact: bool = False
    is_deleted: bool = False


@dataclass(frozen=True, slots=True)
class Transition:
    """One entry of the history, to be announced: the run as it was left by `action`, and the status before."""

    action: Action
    old_status: Status
    campaign: Campaign
    reason: str | None


class RefusalName(StrEnum):
    """Why a move is refused."""

    WRONG_STATUS = "wrong_status"
    SMB_DELETED = "smb_deleted"
    DO_NOT_CONTACT = "do_not_contact"
    START_DATE_NOT_AHEAD = "start_date_not_ahead"
    START_DATE_TOO_FAR_AHEAD = "start_date_too_far_ahead"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A commanded move that is not possible, and the sentence that says so: it names the state and the move."""

    name: RefusalName
    action: Action
    status: Status
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be stored and announced.

    `campaign` is the SMB's newest run afterwards (None: it never had one), `changed` the runs whose rows change, in
    order, `transitions` what happened, in order. A refusal says nothing about what the refresh before it did.
    """

    campaign: Campaign | None
    changed: tuple[Campaign, ...] = ()
    transitions: tuple[Transition, ...] = ()
    refusal: Refusal | None = None

    @property
    def status(self) -> Status:
        """Give the status of the SMB's campaign after the decision."""
        return Status.DRAFT if self.campaign is None else self.campaign.status

    def changing(self, campaign: Campaign) -> Self:
        """Add a changed run that is no transition, as a new day is."""
        others = tuple(changed for changed in self.changed if changed.id != campaign.id)
        return replace(self, campaign=campaign, changed=(*others, campaign))

    def then(self, action: Action, campaign: Campaign, reason: str | None) -> Self:
        """Add a transition of the newest run, or into a new one."""
        transition = Transition(action, self.status, campaign, reason)
        return replace(self.changing(campaign), transitions=(*self.transitions, transition))
