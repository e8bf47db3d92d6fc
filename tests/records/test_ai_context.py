"""What an assistant is told, without any database."""

import uuid
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from services.records.ai_context import Contactability, ai_context
from services.records.community_store import CommunityRecord
from services.records.reading import SmbRecord

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
SMB = SmbRecord(
    tenant_id=uuid.UUID(int=1),
    id=uuid.UUID(int=2),
    community_id=uuid.UUID(int=3),
    slug="cafe-alma",
    external_id="crm-1",
    business_name="Café Alma",
    primary_email="hello@alma.example",
    primary_phone="+1 212 555 0100",
    industry_category="Restaurants",
    business_description="Coffee and cake",
    business_context={"tone": "warm"},
    engagement_tier=2,
    engagement_score=67,
    engagement_scored_on=date(2026, 3, 1),
    campaign_status="running",
    current_campaign_id=uuid.UUID(int=4),
    manifest_destiny_day=12,
    manifest_destiny_start_date=date(2026, 2, 18),
    next_scheduled_send=NOW,
    service_model="self-service",
    services_activated=["Website"],
    services_approved_pending=["Listing"],
    email_opted_in=True,
    sms_opted_in=True,
    rvm_opted_in=False,
    phone_opted_in=True,
    do_not_contact=False,
    data_quality_score=90,
    last_email_open=NOW,
    last_email_click=None,
    last_content_view=None,
    last_approval=None,
    created_at=NOW,
    updated_at=NOW,
    deleted_at=None,
    revision=3,
)
COMMUNITY = CommunityRecord(
    tenant_id=SMB.tenant_id,
    id=uuid.UUID(int=3),
    name="Springfield",
    slug="springfield",
    state="IL",
    county=None,
    population=None,
    timezone="America/Chicago",
    settings={},
    created_at=NOW,
    updated_at=NOW,
    revision=1,
)


class Happened(NamedTuple):
    """An event."""

    kind: str
    occurred_at: datetime = NOW
    reference: str = "m-1"
    service: str | None = None
    url: str | None = None


def test_an_assistant_is_told_who_it_is_how_engaged_and_how_to_reach_it() -> None:
    points = {"reach": 25.0, "response": 30.0, "content": 7.0, "approval": 5.0}
    events = [
        Happened("approval_approved", service="Listing"),
        Happened("email_clicked", url="https://alma.example/"),
        *(Happened("email_opened", NOW - timedelta(days=day), f"m-{day}") for day in range(30)),
    ]
    told = asdict(ai_context(SMB, COMMUNITY, "Active", points, events))
    assert told["profile"] == {
        "business_name": "Café Alma",
        "industry_category": "Restaurants",
        "business_description": "Coffee and cake",
        "community": "Springfield",
        "state": "IL",
        "timezone": "America/Chicago",
        "service_model": "self-service",
        "services_activated": ["Website"],
        "services_approved_pending": ["Listing"],
    }
    assert told["business_context"] == {"tone": "warm"}
    assert told["contactability"] == {"do_not_contact": False, "email": True, "rvm": False, "sms": True, "phone": True}
    assert told["engagement"]["points"] == points
    assert (told["engagement"]["score"], told["engagement"]["tier"], told["engagement"]["tier_name"]) == (
        67,
        2,
        "Active",
    )
    assert told["campaign"] == {
        "status": "running",
        "day": 12,
        "start_date": date(2026, 2, 18),
        "next_scheduled_send": NOW,
    }
    assert [event["about"] for event in told["recent_events"]] == ["Listing", "https://alma.example/"] + [
        f"m-{day}" for day in range(18)
    ]
    assert "hello@alma.example" not in str(told)


def test_nobody_is_reached_who_must_not_be_or_can_not_be() -> None:
    nothing = Contactability(do_not_contact=True, email=False, rvm=False, sms=False, phone=False)
    left_alone = replace(SMB, do_not_contact=True, rvm_opted_in=True)
    assert ai_context(left_alone, None, "Active", {}, []).contactability == nothing
    unreachable = replace(SMB, primary_email=None, primary_phone=None, rvm_opted_in=True)
    assert ai_context(unreachable, None, "Active", {}, []).contactability == replace(nothing, do_not_contact=False)
    assert ai_context(SMB, None, "Active", {}, []).profile.timezone == "UTC"
