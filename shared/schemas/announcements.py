"""What this module tells the others, on the one topic `smb.events`, keyed by SMB.

Each message also carries the extensions `epoch` and `sequence`: a reader drops what is not above the last pair that
it saw of that SMB.
"""

from typing import Annotated, Generic, Literal, Self, TypeVar
from uuid import UUID

from pydantic import Field, model_validator

from shared.schemas.fields import (
    WITHOUT_NUL,
    CampaignDay,
    FullDate,
    Score,
    SmbData,
    Text,
    Tier,
    UtcTime,
    WireModel,
)

Value = TypeVar("Value")

Email = Annotated[str, Field(min_length=3, max_length=320, pattern=WITHOUT_NUL)]
Phone = Annotated[str, Field(min_length=3, max_length=40, pattern=WITHOUT_NUL)]
Description = Annotated[str, Field(min_length=1, max_length=10_000, pattern=WITHOUT_NUL)]
ServiceNames = Annotated[tuple[Text, ...], Field(strict=False)]
Points = Annotated[float, Field(ge=0, le=100)]
CampaignStatus = Literal["draft", "scheduled", "running", "paused", "completed", "cancelled"]


class SMBCreated(SmbData):
    """An SMB came into being; its profile, without the business context."""

    slug: Text = Field(description="Readable name in addresses; unique in the tenant.")
    external_id: Text | None = Field(description="The SMB's id in the system it came from.")
    business_name: Text = Field(description="Name of the business.")
    primary_email: Email | None = Field(description="Email address for contact.")
    primary_phone: Phone | None = Field(description="Phone number for contact.")
    industry_category: Text | None = Field(description="The line of business.")
    business_description: Description | None = Field(description="What the business does, in free text.")
    community_id: UUID | None = Field(description="The community it belongs to, which gives its time zone.")
    service_model: Text | None = Field(description="How the SMB is served.")
    services_activated: ServiceNames = Field(description="Names of the services in use, none twice.")
    services_approved_pending: ServiceNames = Field(description="Names of services approved but not in use yet.")
    email_opted_in: bool = Field(description="May be written to by email.")
    sms_opted_in: bool = Field(description="May be written to by text message.")
    rvm_opted_in: bool = Field(description="May get ringless voicemail.")
    phone_opted_in: bool = Field(description="May be called.")
    do_not_contact: bool = Field(description="Must not be contacted on any way, whatever the opt-ins say.")
    created_at: UtcTime = Field(description="When it was created, UTC.")


class Change(WireModel, Generic[Value]):
    """One field's change."""

    old: Value = Field(description="The value before.")
    new: Value = Field(description="The value after.")


class TextChange(Change[Text]):
    """A text that is always there."""


class OptionalTextChange(Change[Text | None]):
    """A text that may be missing."""


class OptionalEmailChange(Change[Email | None]):
    """The email address."""


class OptionalPhoneChange(Change[Phone | None]):
    """The phone number."""


class OptionalDescriptionChange(Change[Description | None]):
    """The long description."""


class OptionalIdChange(Change[UUID | None]):
    """A reference to something else."""


class OptionalTimeChange(Change[UtcTime | None]):
    """A moment that may be missing."""


class ServicesChange(Change[ServiceNames]):
    """A list of service names, whole before and whole after."""


class FlagChange(Change[bool]):
    """A yes or no."""


class ProfileChanges(WireModel):
    """The changed fields of a profile, and no others; each means what it means in SMBCreated."""

    slug: TextChange | None = None
    external_id: OptionalTextChange | None = None
    business_name: TextChange | None = None
    primary_email: OptionalEmailChange | None = None
    primary_phone: OptionalPhoneChange | None = None
    industry_category: OptionalTextChange | None = None
    business_description: OptionalDescriptionChange | None = None
    community_id: OptionalIdChange | None = None
    service_model: OptionalTextChange | None = None
    services_activated: ServicesChange | None = None
    services_approved_pending: ServicesChange | None = None
    email_opted_in: FlagChange | None = None
    sms_opted_in: FlagChange | None = None
    rvm_opted_in: FlagChange | None = None
    phone_opted_in: FlagChange | None = None
    do_not_contact: FlagChange | None = None
    deleted_at: OptionalTimeChange | None = Field(default=None, description="Soft deletion, or its undoing.")

    @model_validator(mode="after")
    def _something_changed(self) -> Self:
        if not self.model_fields_set:
            message = "an update must name at least one changed field"
            raise ValueError(message)
        return self


class SMBUpdated(SmbData):
    """Fields of an SMB's profile changed."""

    changes: ProfileChanges = Field(description="{field: {old, new}} of the changed fields only.")


class GroupPoints(WireModel):
    """Points of the four scoring groups, each after its cap."""

    reach: Points = Field(description="Opens and delivered voicemails of the window, in points.")
    response: Points = Field(description="Clicks and callbacks of the window, in points.")
    content: Points = Field(description="Content viewed and completed in the window, in points.")
    approval: Points = Field(description="Approvals, decaying with their age, in points.")


class SMBEngagementChanged(SmbData):
    """The score moved by more than 10 points since it was last announced."""

    old_score: Score = Field(description="The score last announced, 0..100 (0 before the first).")
    new_score: Score = Field(description="The score now, 0..100; the next announcement's `old_score`.")
    delta: int = Field(ge=-100, le=100, description="`new_score` less `old_score`, in points.")
    groups: GroupPoints = Field(description="Where the points come from.")
    policy_version: Text = Field(description="Hash of the scoring policy in force.")
    as_of: FullDate = Field(description="The UTC date for which the score was computed.")


class SMBTierChanged(SmbData):
    """The SMB moved to another engagement tier."""

    old_tier: Tier = Field(description="Tier before, 1 (best) to 4.")
    new_tier: Tier = Field(description="Tier now, 1 (best) to 4.")
    old_tier_name: Text = Field(description="Name of the tier before, by the policy.")
    new_tier_name: Text = Field(description="Name of the tier now, by the policy.")
    direction: Literal["upgrade", "downgrade"] = Field(description="`upgrade` towards tier 1.")
    score: Score = Field(description="The score that decided, 0..100.")
    reason: Text = Field(description="What led to the evaluation.")


class SMBCampaignChanged(SmbData):
    """A campaign made a transition, or its schedule or zone moved."""

    old_status: CampaignStatus = Field(description="Status before.")
    new_status: CampaignStatus = Field(description="Status now; the same as before when only the schedule moved.")
    campaign_id: UUID = Field(description="The run.")
    day: CampaignDay | None = Field(description="Campaign day 1..90 of the next send; null before the start.")
    day_one: FullDate | None = Field(description="Local date that counts as day 1; moves when a run is resumed.")
    start_date: FullDate | None = Field(description="Local date of the run's first send; stays for the whole run.")
    timezone: Text = Field(description="IANA name of the zone of the run's local dates.")
    next_scheduled_send: UtcTime | None = Field(description="Next send moment, UTC; null unless running.")
    reason: Text | None = Field(description="Why, where it is known.")


class SMBErased(SmbData):
    """The SMB was erased: forget everything about it."""


Announcement = SMBCreated | SMBUpdated | SMBEngagementChanged | SMBTierChanged | SMBCampaignChanged | SMBErased
