"""Every message type by its CloudEvents name, which is the name of its data's class."""

from typing import get_args

from shared.schemas.announcements import Announcement
from shared.schemas.commands import CancelCampaign, PauseCampaign, ResumeCampaign, ScheduleCampaign, StartCampaign
from shared.schemas.engagement import EngagementEvent
from shared.schemas.fields import WireModel
from shared.schemas.shards import SHARDS
from shared.schemas.triggers import TRIGGERS


def _by_name(*models: type[WireModel]) -> dict[str, type[WireModel]]:
    return {model.__name__: model for model in models}


ENGAGEMENT_EVENTS = _by_name(*get_args(EngagementEvent))
CAMPAIGN_COMMANDS = _by_name(StartCampaign, ScheduleCampaign, PauseCampaign, ResumeCampaign, CancelCampaign)
SCHEDULE_TRIGGERS = _by_name(*TRIGGERS)
JOB_SHARDS = _by_name(*SHARDS.values())
ANNOUNCEMENTS = _by_name(*get_args(Announcement))

TYPES = ENGAGEMENT_EVENTS | CAMPAIGN_COMMANDS | SCHEDULE_TRIGGERS | JOB_SHARDS | ANNOUNCEMENTS
