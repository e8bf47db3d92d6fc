"""SMBs, as the API takes and gives them."""

from dataclasses import asdict
from datetime import date, datetime
from typing import Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue, RootModel

from services.api.models.communities import Community
from services.api.models.engagement import CampaignSend, TimelineEvent
from services.records import reading as records
from services.records.changes import Slug
from services.records.profiles import Email, JsonObject, LongText, Name, Phone, Services, ShortText
from shared.schemas.policy import Policy

EXAMPLE_ID = "0b7b4a0e-5c0e-4a56-9d6b-0f4f6f1f2a11"
CampaignStatus = Literal["draft", "scheduled", "running", "paused", "completed", "cancelled"]


class ListedSmb(BaseModel):
    """One SMB, without its business context.

    The `ETag` counts the changes of its profile; score, tier and campaign change by themselves.
    """

    id: UUID = Field(examples=[EXAMPLE_ID])
    slug: str = Field(description="Readable name in addresses, unique in the tenant.", examples=["cafe-alma"])
    external_id: str | None = Field(description="Its id in the system it came from.", examples=["crm-4711"])
    business_name: str = Field(examples=["Café Alma"])
    community_id: UUID | None = Field(description="Its community, which gives its time zone.")
    primary_email: str | None = Field(examples=["hello@cafe-alma.example"])
    primary_phone: str | None = Field(examples=["+1 212 555 0100"])
    industry_category: str | None = Field(examples=["Restaurants"])
    business_description: str | None
    engagement_tier: int = Field(description="1 (best) to 4.", ge=1, le=4, examples=[2])
    engagement_tier_name: str = Field(description="The tier's name by the policy.", examples=["Active"])
    engagement_score: int = Field(description="0 to 100.", ge=0, le=100, examples=[67])
    engagement_scored_on: date | None = Field(description="The UTC date for which the score was computed.")
    campaign_status: CampaignStatus = Field(examples=["running"])
    current_campaign_id: UUID | None = Field(description="The run that is scheduled, running or paused.")
    is_in_campaign: bool = Field(description="Whether a campaign runs.")
    manifest_destiny_day: int | None = Field(description="Day 1 to 90 of the next send.", ge=1, le=90)
    manifest_destiny_start_date: date | None = Field(description="Local date of the first send.")
    next_scheduled_send: datetime | None = Field(description="The next send moment; null unless running.")
    service_model: str | None = Field(examples=["self-service"])
    services_activated: list[str] = Field(examples=[["Website"]])
    services_approved_pending: list[str] = Field(description="Approved and not in use yet.", examples=[["SEO"]])
    email_opted_in: bool
    sms_opted_in: bool
    rvm_opted_in: bool
    phone_opted_in: bool
    do_not_contact: bool = Field(description="Must not be contacted on any way.")
    can_contact_via_email: bool = Field(description="Opted in, not do-not-contact, and there is an address.")
    can_contact_via_rvm: bool = Field(description="Likewise for ringless voicemail, with a phone.")
    data_quality_score: int = Field(description="How complete the profile is, 0 to 100.", ge=0, le=100)
    last_email_open: datetime | None
    last_email_click: datetime | None
    last_content_view: datetime | None
    last_approval: datetime | None
    created_at: datetime
    updated_at: datetime = Field(description="When the profile changed last.")
    deleted_at: datetime | None = Field(description="When it was deleted; it can be restored for 90 days.")

    @classmethod
    def of(cls, record: records.ListedSmb, policy: Policy) -> Self:
        """Show a record, with its tier's name by the policy."""
        made: Self = cls.model_construct(**shown(record, policy))  # type: ignore[assignment]
        return made


class Smb(ListedSmb):
    """One SMB, whole."""

    business_context: dict[str, JsonValue] = Field(description="Whatever else is known of the business.")


class SmbWith(Smb):
    """One SMB, whole, with what belongs to it as far as it was asked for: the newest 50 of each."""

    community: Community | None = Field(default=None, description="With `include=community`.")
    approvals: list[TimelineEvent] | None = Field(default=None, description="With `include=approvals`.")
    content_views: list[TimelineEvent] | None = Field(default=None, description="With `include=content_views`.")
    campaign_sends: list[CampaignSend] | None = Field(default=None, description="With `include=campaign_sends`.")


def shown(record: records.ListedSmb, policy: Policy) -> dict[str, Any]:
    """The values of `Smb`; they come from the database, whose CHECKs hold them to the same bounds."""
    values = asdict(record)
    del values["tenant_id"], values["revision"]
    return values | {
        "engagement_tier_name": next(rule.name for rule in policy.tiers if rule.tier == record.engagement_tier),
        "is_in_campaign": record.is_in_campaign,
        "can_contact_via_email": record.can_contact_via_email,
        "can_contact_via_rvm": record.can_contact_via_rvm,
    }


EXAMPLE: dict[str, JsonValue] = {
    "business_name": "Café Alma",
    "external_id": "crm-4711",
    "primary_email": "hello@cafe-alma.example",
    "primary_phone": "+1 212 555 0100",
}


class SmbProfile(BaseModel):
    """What can be said of an SMB. Texts are trimmed; an optional text that is blank is none."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [EXAMPLE]})

    business_name: Name
    external_id: ShortText = None
    community_id: UUID | None = None
    primary_email: Email = None
    primary_phone: Phone = None
    industry_category: ShortText = None
    business_description: LongText = None
    service_model: ShortText = None
    services_activated: Services = ()
    email_opted_in: bool = Field(default=True, strict=True)
    sms_opted_in: bool = Field(default=False, strict=True)
    rvm_opted_in: bool = Field(default=False, strict=True)
    phone_opted_in: bool = Field(default=False, strict=True)
    do_not_contact: bool = Field(default=False, strict=True)


class SmbToCreate(SmbProfile):
    """A new SMB."""

    business_context: JsonObject = Field(default_factory=dict)
    id: UUID | None = Field(default=None, description="Made here unless given; events may have come before it.")


class SmbToReplace(SmbProfile):
    """A whole profile instead of the present one; the slug stays unless it is given."""

    business_context: JsonObject = Field(default_factory=dict)
    slug: Slug | None = None


class SmbToChange(SmbProfile):
    """Some fields of the profile: what is left out stays, null clears. The business context has its own address."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"primary_phone": None, "do_not_contact": True}]}
    )

    business_name: Name = ""
    slug: Slug = ""


class BusinessContext(RootModel[JsonObject]):
    """Any JSON object."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"opening_hours": "8 to 18"}]})
