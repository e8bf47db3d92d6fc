"""What can be asked of a campaign."""

from datetime import date
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

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


def _full_date(value: object) -> object:
    """A date is written YYYY-MM-DD; numbers of seconds are none."""
    return value if isinstance(value, str | date) else str(value)


START_DATE: list[JsonValue] = [{"start_date": "2999-01-04"}]


class CampaignSchedule(CampaignReason):
    """When to start."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": START_DATE})

    start_date: Annotated[date, BeforeValidator(_full_date), Field(description="Local date of the first send, ahead.")]
