"""Records as a consumer gets them, made from what a test wants to say."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.schemas.bad_message import BadMessage
from shared.schemas.envelope import decode

TENANT_ID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
SMB_ID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
OTHER_ID = "9b2f7a10-51c3-4f7e-8d64-0e8c5a6b7f21"
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
STRUCTURED_HEADER = ("content-type", b"application/cloudevents+json")
EMAIL_OPENED = frozenset({"EmailOpened"})
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

Headers = tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True)
class GivenRecord:
    """A record with the attributes that decoding reads."""

    value: bytes | None
    headers: Headers = ()
    topic: str = "email.opened"
    partition: int = 3
    offset: int = 41
    timestamp: int = 1_772_452_800_000


def document(data: dict[str, Any] | None = None, **attributes: object) -> dict[str, Any]:
    """Return a right EmailOpened event, with some attributes and some data of its own."""
    event = {
        "specversion": "1.0",
        "id": "e-1",
        "source": "/modules/email",
        "type": "EmailOpened",
        "time": "2026-03-01T09:30:00Z",
        "subject": SMB_ID,
        "tenantid": TENANT_ID,
        "data": {"smb_id": SMB_ID, "message_id": "m-1"} | (data or {}),
    }
    return event | attributes


def structured(body: object, *more: tuple[str, bytes | None]) -> GivenRecord:
    """Return a record in structured mode."""
    return GivenRecord(json.dumps(body).encode(), (STRUCTURED_HEADER, *more))


def binary(event: dict[str, Any], *more: tuple[str, bytes | None]) -> GivenRecord:
    """Return the same event in binary mode."""
    headers = tuple((f"ce_{name}", str(value).encode()) for name, value in event.items() if name != "data")
    return GivenRecord(json.dumps(event["data"]).encode(), (*headers, *more))


def without(event: dict[str, Any], name: str) -> dict[str, Any]:
    """Return an event without one attribute."""
    return {key: value for key, value in event.items() if key != name}


def refused(record: GivenRecord, types: frozenset[str] = EMAIL_OPENED) -> BadMessage:
    """Return the complaint about a record that does not decode."""
    with pytest.raises(BadMessage) as caught:
        decode(record, types, NOW)
    return caught.value
