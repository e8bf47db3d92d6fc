"""What is shown of an SMB's engagement."""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal[
    "email_opened",
    "rvm_delivered",
    "email_clicked",
    "callback_received",
    "content_viewed",
    "content_completed",
    "approval_approved",
    "approval_rejected",
]
Group = Literal["reach", "response", "content", "approval"]


class Shown(BaseModel):
    """Made from what a view gives."""

    model_config = ConfigDict(from_attributes=True)


class TimelineEvent(Shown):
    """One event, as it was reported."""

    id: str = Field(description="Its CloudEvents id; with the source and the SMB it is its identity.")
    source: str
    kind: Kind
    occurred_at: datetime = Field(description="When it happened, by its sender.")
    received_at: datetime = Field(description="When it was applied here.")
    reference: str = Field(description="The id of the message, drop, content, approval or call, by kind.")
    campaign_id: str | None = Field(description="The sender's campaign.")
    service: str | None = Field(description="What an approval is about.")
    decision: Literal["approved", "rejected"] | None
    url: str | None = Field(description="Where a click led.")
    phone: str | None = Field(description="From where a call came.")
    seconds: float | None = Field(description="Seconds viewed, or the duration of a voicemail or call.")
    points: float = Field(description="What it was worth on its own day, before caps.")
    points_now: float = Field(description="What is left of that today.")


class CampaignSend(Shown):
    """One message of a campaign that the SMB reacted to."""

    channel: Literal["email", "rvm"]
    campaign_id: str
    reference: str = Field(description="The sender's message_id or drop_id.")
    first_at: datetime
    last_at: datetime
    opened: int
    clicked: int
    delivered: int


class DailyScore(BaseModel):
    """The score of one UTC day, as it would have been had all events been there in time."""

    on: date
    score: int = Field(ge=0, le=100)
    groups: dict[Group, float] = Field(description="The points of each group that count.")


class ScoreHistory(BaseModel):
    """The scores of a range of days, by the present policy."""

    items: list[DailyScore]


class GroupShare(Shown):
    """What one group of events adds to the score."""

    group: Group
    events: int = Field(description="How many of its events count.")
    points: float = Field(description="Their points before the cap.")
    cap: float
    counted_points: float = Field(description="The points that count.")


class ScoreChange(Shown):
    """A day on which the score changes if nothing else happens."""

    on: date
    score: int = Field(ge=0, le=100, description="The score from then on.")
    points: int = Field(description="How many points leave on that day; below zero some come (events dated ahead).")


class TierShown(Shown):
    """A tier of the policy."""

    tier: int
    name: str
    min_score: int


class Explanation(BaseModel):
    """What the score is made of, and what becomes of it if nothing else happens."""

    smb_id: UUID
    as_of: date = Field(description="The UTC date for which everything here is computed.")
    score: int = Field(ge=0, le=100)
    stored_score: int = Field(description="As of `scored_on`: the last event, or the last night.")
    scored_on: date | None
    groups: list[GroupShare]
    tier: TierShown = Field(description="The tier that the score belongs to; the stored one follows within a day.")
    stored_tier: TierShown
    next_tier: TierShown | None = Field(description="The tier above; null in the best.")
    points_to_next_tier: int | None
    expiries: list[ScoreChange] = Field(description="The dates on which points leave, within the window.")
    policy_version: str
