"""Events of the other modules: what an SMB did. One Kafka topic each; the event's `time` is when it happened."""

from typing import Literal

from pydantic import Field

from shared.schemas.fields import Seconds, SmbData, Text, Url

CAMPAIGN_ID = "The sender's id of the campaign that led to it; null when none did."


class EmailOpened(SmbData):
    """The SMB opened an email."""

    message_id: Text = Field(description="The sender's id of the email.")
    campaign_id: Text | None = Field(default=None, description=CAMPAIGN_ID)


class EmailClicked(SmbData):
    """The SMB followed a link of an email."""

    message_id: Text = Field(description="The sender's id of the email.")
    url: Url = Field(description="The link's target, as it stood in the email.")
    campaign_id: Text | None = Field(default=None, description=CAMPAIGN_ID)


class RVMDelivered(SmbData):
    """A ringless voicemail reached the SMB's mailbox."""

    drop_id: Text = Field(description="The sender's id of the voicemail drop.")
    duration_seconds: Seconds | None = Field(default=None, description="Length of the voicemail in seconds.")
    campaign_id: Text | None = Field(default=None, description=CAMPAIGN_ID)


class ContentViewed(SmbData):
    """The SMB looked at a piece of content."""

    content_id: Text = Field(description="The sender's id of the content.")
    seconds_viewed: Seconds | None = Field(default=None, description="How long it was looked at, in seconds.")
    campaign_id: Text | None = Field(default=None, description=CAMPAIGN_ID)


class ContentCompleted(SmbData):
    """The SMB read or watched a piece of content to its end."""

    content_id: Text = Field(description="The sender's id of the content.")
    seconds_viewed: Seconds | None = Field(default=None, description="How long it was looked at, in seconds.")
    campaign_id: Text | None = Field(default=None, description=CAMPAIGN_ID)


class ApprovalSubmitted(SmbData):
    """The SMB decided about a service that was offered to it."""

    approval_id: Text = Field(description="The sender's id of the approval.")
    service: Text = Field(description="Name of the service, as it appears in the SMB's service lists.")
    decision: Literal["approved", "rejected"] = Field(
        default="approved", description="`approved` scores and makes the service pending; `rejected` is only kept."
    )


class CallbackReceived(SmbData):
    """The SMB called back."""

    call_id: Text = Field(description="The sender's id of the call.")
    phone: Text | None = Field(default=None, description="The number that called, as the sender knows it.")
    duration_seconds: Seconds | None = Field(default=None, description="Length of the call in seconds.")


EngagementEvent = (
    EmailOpened | EmailClicked | RVMDelivered | ContentViewed | ContentCompleted | ApprovalSubmitted | CallbackReceived
)
