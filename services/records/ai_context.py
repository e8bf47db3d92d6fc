"""What an assistant is told of an SMB before it writes to it or speaks with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol

from services.campaign.rules import UTC_NAME
from services.records.community_store import CommunityRecord
from services.records.reading import SmbRecord

# More than these say little more.
EVENTS_MOST = 20


class Event(Protocol):
    """What is shown of an engagement event."""

    @property
    def kind(self) -> str:
        """What happened."""

    @property
    def occurred_at(self) -> datetime:
        """When."""

    @property
    def reference(self) -> str:
        """The id of the message, drop, content, approval or call."""

    @property
    def service(self) -> str | None:
        """The service that an approval is about."""

    @property
    def url(self) -> str | None:
        """Where a click led."""


@dataclass(frozen=True, slots=True)
class AboutProfile:
    """Who the SMB is."""

    business_name: str
    industry_category: str | None
    business_description: str | None
    community: str | None
    state: str | None
    timezone: str
    service_model: str | None
    services_activated: list[str]
    services_approved_pending: list[str]


@dataclass(frozen=True, slots=True)
class Contactability:
    """On which ways it may be contacted; on none where `do_not_contact` is set."""

    do_not_contact: bool
    email: bool
    rvm: bool
    sms: bool
    phone: bool


@dataclass(frozen=True, slots=True)
class Engagement:
    """How engaged it is; `points` by group, after each group's cap."""

    score: int
    tier: int
    tier_name: str
    points: dict[str, float]
    last_email_open: datetime | None
    last_email_click: datetime | None
    last_content_view: datetime | None
    last_approval: datetime | None


@dataclass(frozen=True, slots=True)
class CampaignStanding:
    """Where its campaign stands."""

    status: str
    day: int | None
    start_date: date | None
    next_scheduled_send: datetime | None


@dataclass(frozen=True, slots=True)
class RecentEvent:
    """What it did, in short: `about` is the service, address or id that the event names."""

    kind: str
    occurred_at: datetime
    about: str


@dataclass(frozen=True, slots=True)
class AiContext:
    """Everything together; the newest event comes first. Addresses and phone numbers are left out."""

    profile: AboutProfile
    business_context: dict[str, Any]
    contactability: Contactability
    engagement: Engagement
    campaign: CampaignStanding
    recent_events: list[RecentEvent]


def ai_context(
    smb: SmbRecord,
    community: CommunityRecord | None,
    tier_name: str,
    points: Mapping[str, float],
    newest_events: Sequence[Event],
) -> AiContext:
    """Put together what is known; of the events, which come newest first, the first twenty."""
    return AiContext(
        profile=AboutProfile(
            business_name=smb.business_name,
            industry_category=smb.industry_category,
            business_description=smb.business_description,
            community=community.name if community else None,
            state=community.state if community else None,
            timezone=(community and community.timezone) or UTC_NAME,
            service_model=smb.service_model,
            services_activated=smb.services_activated,
            services_approved_pending=smb.services_approved_pending,
        ),
        business_context=smb.business_context,
        contactability=Contactability(
            do_not_contact=smb.do_not_contact,
            email=smb.can_contact_via_email,
            rvm=smb.can_contact_via_rvm,
            sms=_by_phone(smb, opted_in=smb.sms_opted_in),
            phone=_by_phone(smb, opted_in=smb.phone_opted_in),
        ),
        engagement=Engagement(
            score=smb.engagement_score,
            tier=smb.engagement_tier,
            tier_name=tier_name,
            points=dict(points),
            last_email_open=smb.last_email_open,
            last_email_click=smb.last_email_click,
            last_content_view=smb.last_content_view,
            last_approval=smb.last_approval,
        ),
        campaign=CampaignStanding(
            status=smb.campaign_status,
            day=smb.manifest_destiny_day,
            start_date=smb.manifest_destiny_start_date,
            next_scheduled_send=smb.next_scheduled_send,
        ),
        recent_events=[
            RecentEvent(event.kind, event.occurred_at, event.service or event.url or event.reference)
            for event in newest_events[:EVENTS_MOST]
        ],
    )


def _by_phone(smb: SmbRecord, *, opted_in: bool) -> bool:
    return opted_in and not smb.do_not_contact and smb.primary_phone is not None
