"""What can be asked of a campaign."""

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from services.api.times import Day
from services.records.profiles import Name, ShortText

REASON = "Why, in your words; kept with the transition and told in the announcement."


class CampaignReason(BaseModel):
    """Why, where it is to be said."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "asked for by phone"}]})

    reason: ShortText = Field(default=None, description=REASON)


class CampaignPause(BaseModel):
    """A pause needs a reason."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "closed for the summer"}]})

    reason: Name = Field(description=REASON)


START_DATE: list[JsonValue] = [{"start_date": "2999-01-04"}]


class CampaignSchedule(CampaignReason):
    """When to start."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": START_DATE})

    start_date: Day = Field(description="Local date of the first send, ahead.")
