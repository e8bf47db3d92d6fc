"""What is shown of an SMB's past: campaigns and tiers."""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from services.api.models.engagement import Shown
from services.campaign.history import PastRun


class CampaignTransition(Shown):
    """A step in the history of a campaign, or a command that was refused."""

    occurred_at: datetime
    action: str
    outcome: Literal["applied", "refused"]
    old_status: str
    new_status: str
    day: int | None
    reason: str | None
    refusal: str | None = Field(description="Why a command was refused, by name.")
    caused_by: str | None = Field(description="The message or request that led to it.")


class CampaignRun(Shown):
    """One run of a campaign; of its steps the newest 100, the oldest of them first."""

    id: UUID
    status: str
    start_date: date
    day_one: date | None
    day: int | None
    next_send: datetime | None
    timezone: str
    created_at: datetime
    ended_at: datetime | None
    transitions: list[CampaignTransition]
    earlier_transitions: int = Field(description="How many steps came before those.")

    @classmethod
    def of(cls, run: PastRun) -> "CampaignRun":
        """Show a run."""
        own = ("id", "status", "start_date", "day_one", "day", "next_send", "timezone", "created_at", "ended_at")
        return cls(
            **{name: getattr(run, name) for name in own},
            transitions=[CampaignTransition.model_validate(step) for step in run.transitions.shown],
            earlier_transitions=run.transitions.earlier,
        )


class TierChange(Shown):
    """A change of tier."""

    changed_at: datetime
    old_tier: int
    new_tier: int
    direction: Literal["upgrade", "downgrade"]
    score: int
    reason: str
    policy_version: str
