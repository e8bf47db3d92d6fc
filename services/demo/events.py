"""What a business reports, as the other modules publish it. Pure."""

from collections.abc import Callable
from datetime import datetime
from random import Random
from typing import NamedTuple

from services.demo.population import Business
from shared.schemas.encoding import encode, encode_document
from shared.schemas.engagement import (
    ApprovalSubmitted,
    CallbackReceived,
    ContentCompleted,
    ContentViewed,
    EmailClicked,
    EmailOpened,
    EngagementEvent,
    RVMDelivered,
)
from shared.schemas.topics import ENGAGEMENT_TOPICS

EMAIL, VOICEMAIL, CONTENT = "/modules/email", "/modules/voicemail", "/modules/content"
APPROVALS, CALLS = "/modules/approvals", "/modules/calls"
# Both ways of writing a CloudEvent occur: these modules send whole documents, the others headers and a body.
SENDERS_OF_DOCUMENTS = frozenset({CONTENT, CALLS})

CAMPAIGNS = ("autumn-offers", "new-in-town", "holiday-hours", None)
ARTICLES = ("local-search-basics", "photos-that-sell", "answering-reviews", "opening-hours-online", "first-newsletter")
SERVICES = ("Google listing", "Newsletter", "Online booking", "Review answers", "Web page", "Photo session")
LONGEST_READ_SECONDS = 600.0
LONGEST_CALL_SECONDS = 900.0
VOICEMAIL_SECONDS = 28.5
REJECTED_SHARE = 0.2


class Message(NamedTuple):
    """A record to publish; `topic` is named without prefix, no `value` makes a tombstone."""

    topic: str
    key: bytes
    headers: list[tuple[str, bytes]]
    value: bytes | None


class Event(NamedTuple):
    """One thing that a business did, at `time` (aware), and the module that tells it."""

    business: Business
    source: str
    id: str
    time: datetime
    data: EngagementEvent


Make = Callable[[Random, Business], tuple[str, EngagementEvent]]


def _email_opened(random: Random, business: Business) -> tuple[str, EngagementEvent]:
    campaign = random.choice(CAMPAIGNS)
    data = EmailOpened(smb_id=business.key.smb_id, message_id=_message_id(random, campaign), campaign_id=campaign)
    return EMAIL, data


def _email_clicked(random: Random, business: Business) -> tuple[str, EngagementEvent]:
    campaign = random.choice(CAMPAIGNS)
    url = f"https://example.com/{campaign or 'news'}/{random.choice(ARTICLES)}"
    message_id = _message_id(random, campaign)
    return EMAIL, EmailClicked(smb_id=business.key.smb_id, message_id=message_id, url=url, campaign_id=campaign)


def _voicemail_delivered(random: Random, business: Business) -> tuple[str, EngagementEvent]:
    drop_id = f"drop-{random.randrange(1, 30)}"
    return VOICEMAIL, RVMDelivered(smb_id=business.key.smb_id, drop_id=drop_id, duration_seconds=VOICEMAIL_SECONDS)


def _content_viewed(random: Random, business: Business) -> tuple[str, EngagementEvent]:
    seconds = round(random.uniform(5, LONGEST_READ_SECONDS), 1)
    return CONTENT, ContentViewed(
        smb_id=business.key.smb_id, content_id=random.choice(ARTICLES), seconds_viewed=seconds
    )


def _content_completed(random: Random, business: Business) -> tuple[str, EngagementEvent]:
    return CONTENT, ContentCompleted(smb_id=business.key.smb_id, content_id=random.choice(ARTICLES))


def _approval_submitted(random: Random, business: Business) -> tuple[str, EngagementEvent]:
    return APPROVALS, ApprovalSubmitted(
        smb_id=business.key.smb_id,
        approval_id=f"approval-{random.getrandbits(32):08x}",
        service=random.choice(SERVICES),
        decision="rejected" if random.random() < REJECTED_SHARE else "approved",
    )


def _callback_received(random: Random, business: Business) -> tuple[str, EngagementEvent]:
    return CALLS, CallbackReceived(
        smb_id=business.key.smb_id,
        call_id=f"call-{random.getrandbits(32):08x}",
        phone=business.request.primary_phone,
        duration_seconds=round(random.uniform(20, LONGEST_CALL_SECONDS), 1),
    )


# In the order of a segment's mix.
MAKERS: tuple[Make, ...] = (
    _email_opened,
    _email_clicked,
    _voicemail_delivered,
    _content_viewed,
    _content_completed,
    _approval_submitted,
    _callback_received,
)


def make_event(random: Random, business: Business, id_: str, time: datetime) -> Event:
    """Let a business do what its segment is wont to do, at `time`."""
    (make,) = random.choices(MAKERS, business.segment.mix)
    source, data = make(random, business)
    return Event(business, source, id_, time, data)


def make_again(random: Random, event: Event) -> Event:
    """The same event as a careless sender repeats it: mostly the same, sometimes with another body."""
    if isinstance(event.data, EmailOpened) and random.random() < 0.2:  # noqa: PLR2004  sometimes
        return event._replace(data=event.data.model_copy(update={"message_id": "m-from-the-retry"}))
    return event


def as_message(event: Event) -> Message:
    """The event as its module publishes it."""
    write = encode_document if event.source in SENDERS_OF_DOCUMENTS else encode
    encoded = write(event.data, id=event.id, time=event.time, source=event.source, smb=event.business.key)
    topic = ENGAGEMENT_TOPICS[type(event.data).__name__]
    return Message(topic, str(event.business.key.smb_id).encode(), encoded.headers, encoded.value)


def _message_id(random: Random, campaign: str | None) -> str:
    return f"m-{campaign or 'news'}-{random.randrange(1, 45)}"
