"""Commands for an SMB's 90-day campaign; they travel on `smb.campaign-commands` and through the API."""

from pydantic import Field

from shared.schemas.fields import FullDate, SmbData, Text


class CampaignCommand(SmbData):
    """What every campaign command may carry."""

    start_date: FullDate | None = Field(
        default=None, description="Local date of the first send; only ScheduleCampaign acts on it."
    )
    reason: Text | None = Field(default=None, description="Why, in the sender's words; kept with the transition.")


class StartCampaign(CampaignCommand):
    """Start a run on day 1 with the next send moment."""


class ScheduleCampaign(CampaignCommand):
    """Plan a run for a date ahead, or move a planned one."""

    start_date: FullDate = Field(description="Local date of the first send.")


class PauseCampaign(CampaignCommand):
    """Hold a running run on its day."""


class ResumeCampaign(CampaignCommand):
    """Go on with a paused run on the day that was not sent."""


class CancelCampaign(CampaignCommand):
    """End a scheduled, running or paused run for good."""
