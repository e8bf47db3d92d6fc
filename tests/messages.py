"""Messages as other modules and the schedule publish them."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared.schemas.identity import SmbKey
from shared.schemas.topics import ENGAGEMENT_TOPICS


@dataclass(frozen=True)
class Message:
    """A record to publish; `partition` None lets the key decide."""

    topic: str
    value: bytes | None
    key: bytes | None = None
    headers: Sequence[tuple[str, Any]] = (("content-type", b"application/cloudevents+json"),)
    partition: int | None = None


def event(  # noqa: PLR0913  one argument for each part of the envelope
    type_: str,
    smb: SmbKey,
    *,
    topic: str | None = None,
    id_: str | None = None,
    time: datetime | None = None,
    source: str = "/modules/test",
    **data: Any,  # noqa: ANN401  whatever the type has
) -> Message:
    """A CloudEvents document about an SMB, in structured mode."""
    document = {
        "specversion": "1.0",
        "id": id_ or uuid.uuid4().hex,
        "source": source,
        "type": type_,
        "time": (time or datetime.now(UTC)).isoformat(),
        "subject": str(smb.smb_id),
        "tenantid": str(smb.tenant_id),
        "datacontenttype": "application/json",
        "data": {"smb_id": str(smb.smb_id), **data},
    }
    return Message(topic or ENGAGEMENT_TOPICS[type_], json.dumps(document).encode(), str(smb.smb_id).encode())


def trigger(
    name: str, *, id_: str | None = None, scheduled_for: datetime | None = None, time: datetime | None = None
) -> Message:
    """A schedule trigger, in structured mode."""
    now = datetime.now(UTC)
    document = {
        "specversion": "1.0",
        "id": id_ or uuid.uuid4().hex,
        "source": "/test/schedule",
        "type": name,
        "time": (time or now).isoformat(),
        "data": {"scheduled_for": (scheduled_for or now).isoformat()},
    }
    return Message("smb.schedule", json.dumps(document).encode(), name.encode())
