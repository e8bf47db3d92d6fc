"""Messages that can't be applied, one of each kind in turn: what becomes of them is a dead letter. Pure."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from services.demo.events import EMAIL, Message
from services.demo.population import Business
from shared.schemas.encoding import encode_document
from shared.schemas.engagement import EmailOpened
from shared.schemas.topics import ENGAGEMENT_TOPICS

Document = dict[str, Any]


def _cut_off(document: Document) -> bytes | None:
    written = json.dumps(document).encode()
    return written[: len(written) // 2]


def _without_message_id(document: Document) -> bytes | None:
    del document["data"]["message_id"]
    return json.dumps(document).encode()


def _number_for_text(document: Document) -> bytes | None:
    document["data"]["message_id"] = 12
    return json.dumps(document).encode()


def _with_nul(document: Document) -> bytes | None:
    document["data"]["message_id"] = "m-\0"
    return json.dumps(document).encode()


def _from_next_week(document: Document) -> bytes | None:
    document["time"] = (datetime.fromisoformat(document["time"]) + timedelta(days=7)).isoformat()
    return json.dumps(document).encode()


def _of_unknown_type(document: Document) -> bytes | None:
    document["type"] = "EmailForwarded"
    return json.dumps(document).encode()


def _about_somebody_else(document: Document) -> bytes | None:
    document["subject"] = str(UUID(int=1))
    return json.dumps(document).encode()


def _empty(_document: Document) -> bytes | None:
    return None


# What is done to a sound document, by the error class of the dead letter that it becomes.
SPOILERS: tuple[tuple[str, Callable[[Document], bytes | None]], ...] = (
    ("not_json", _cut_off),
    ("missing_field", _without_message_id),
    ("wrong_field", _number_for_text),
    ("wrong_field", _with_nul),
    ("time_ahead", _from_next_week),
    ("unknown_type", _of_unknown_type),
    ("subject_differs", _about_somebody_else),
    ("no_body", _empty),
)


def make_broken(business: Business, number: int, now: datetime) -> Message:
    """The broken message of this number; kinds follow each other."""
    data = EmailOpened(smb_id=business.key.smb_id, message_id=f"m-broken-{number}")
    sound = encode_document(data, id=f"broken-{number}", time=now, source=EMAIL, smb=business.key)
    _, spoil = SPOILERS[number % len(SPOILERS)]
    value = spoil(json.loads(sound.value))
    return Message(ENGAGEMENT_TOPICS["EmailOpened"], str(business.key.smb_id).encode(), sound.headers, value)
