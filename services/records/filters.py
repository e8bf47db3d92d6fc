"""Which SMBs a list, or a bulk update, is about."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.records.profiles import ShortText, invalid_field
from shared.schemas.announcements import CampaignStatus
from shared.schemas.fields import Tier


class SmbFilter(BaseModel):
    """SMBs that are not deleted and for which everything holds that is given; nothing given: all of them."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    engagement_tier: Tier | None = None
    campaign_status: CampaignStatus | None = None
    service_model: ShortText = None
    community_id: UUID | None = None
    contactable: Annotated[
        Literal["email", "rvm"] | None,
        Field(description="Opted in, not do-not-contact, and with an address or phone."),
    ] = None
    q: ShortText = Field(default=None, description="A part of the business name, in capital or small letters.")


EVERY_SMB = SmbFilter()


def smb_filter_from(fields: Mapping[str, Any]) -> SmbFilter:
    """Give the filter that says `fields`. Raises InvalidField for the first one that is wrong."""
    try:
        return SmbFilter(**fields)
    except ValidationError as error:
        raise invalid_field(error) from None
