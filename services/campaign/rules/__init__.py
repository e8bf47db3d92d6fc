"""What is true of campaigns, without I/O: every function is pure, and `now` is an argument.

* `time_zones`: zones by name, from the pinned data
* `send_moments`: the one send moment of a date
* `states`: what a campaign is, and what a decision says
* `refresh`: what time and circumstances do to it
* `commands`: what can be asked of it
* `pending_services`: what approvals leave behind
"""

from services.campaign.rules.commands import Cancel, Command, Pause, Resume, Schedule, Start, decide
from services.campaign.rules.pending_services import PENDING_MOST, activate, approve, is_full
from services.campaign.rules.refresh import Position, advance, position, refresh
from services.campaign.rules.send_moments import Send, next_send, send_moment
from services.campaign.rules.states import (
    LAST_DAY,
    OPEN,
    Action,
    Campaign,
    Circumstances,
    Decision,
    Reason,
    Refusal,
    RefusalName,
    Status,
    Transition,
)
from services.campaign.rules.time_zones import UTC_NAME, UnknownTimeZoneError, is_known_zone, known_zones, time_zone

__all__ = [
    "LAST_DAY",
    "OPEN",
    "PENDING_MOST",
    "UTC_NAME",
    "Action",
    "Campaign",
    "Cancel",
    "Circumstances",
    "Command",
    "Decision",
    "Pause",
    "Position",
    "Reason",
    "Refusal",
    "RefusalName",
    "Resume",
    "Schedule",
    "Send",
    "Start",
    "Status",
    "Transition",
    "UnknownTimeZoneError",
    "activate",
    "advance",
    "approve",
    "decide",
    "is_full",
    "is_known_zone",
    "known_zones",
    "next_send",
    "position",
    "refresh",
    "send_moment",
    "time_zone",
]
