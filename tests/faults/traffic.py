"""Random traffic from a seed: repeated, contradicting, disordered, late and broken events, also for unknown SMBs."""

import json
import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.schemas.identity import SmbKey
from tests.installation import Message, event

# type, its data beside the SMB, how often
KINDS: tuple[tuple[str, dict[str, Any], int], ...] = (
    ("EmailOpened", {"message_id": "m-1"}, 8),
    ("RVMDelivered", {"drop_id": "d-1", "duration_seconds": 12.5}, 2),
    ("EmailClicked", {"message_id": "m-1", "url": "https://example.test/offer"}, 5),
    ("CallbackReceived", {"call_id": "c-1", "phone": "+1 555 0100"}, 2),
    ("ContentViewed", {"content_id": "article", "seconds_viewed": 31}, 4),
    ("ContentCompleted", {"content_id": "article"}, 2),
    ("ApprovalSubmitted", {"approval_id": "a-1", "service": "Website"}, 3),
    ("ApprovalSubmitted", {"approval_id": "a-2", "service": "Website", "decision": "rejected"}, 1),
)
BROKEN = (b"", b"{", b"\xff\xfe", b'{"specversion": "1.0"}', b"[]", b"null")


@dataclass(frozen=True)
class Mix:
    """Which part of the traffic is not an ordinary new event."""

    repeated: float = 0.08
    contradicting: float = 0.03
    late: float = 0.06
    broken: float = 0.02
    binary: float = 0.3


def traffic(
    seed: int, smbs: Sequence[SmbKey], count: int, mix: Mix | None = None, now: datetime | None = None
) -> list[Message]:
    """Make `count` messages; the same seed, SMBs and moment make the same messages."""
    mix, now = mix or Mix(), now or datetime.now(UTC)
    chance = random.Random(seed)
    made: list[Message] = []
    sent: list[Message] = []
    for number in range(count):
        fate = chance.random()
        if sent and fate < mix.repeated:
            message = chance.choice(sent)
        elif sent and fate < mix.repeated + mix.contradicting:
            message = contradicted(chance.choice(sent))
        elif fate > 1 - mix.broken:
            topic = chance.choice(["email.opened", "content.viewed"])
            message = Message(topic, chance.choice(BROKEN), str(chance.choice(smbs).smb_id).encode())
        else:
            message = one_event(chance, chance.choice(smbs), f"{seed}-{number}", now, mix)
            sent.append(message)
        made.append(message)
    return made


def one_event(chance: random.Random, smb: SmbKey, id_: str, now: datetime, mix: Mix) -> Message:
    """An event of any kind; its time is anywhere in the window, sometimes long before, sometimes a little ahead."""
    (kind,) = chance.choices(KINDS, weights=[weight for *_, weight in KINDS])
    type_, data, _ = kind
    days = chance.uniform(30, 90) if chance.random() < mix.late else chance.uniform(-0.002, 28)
    message = event(type_, smb, id_=id_, time=now - timedelta(days=days), source="/modules/traffic", **data)
    return in_binary_mode(message) if chance.random() < mix.binary else message


def contradicted(message: Message) -> Message:
    """The same identity, another body."""
    body = json.loads(message.value or b"")
    data = body.get("data", body)
    data["campaign_id"] = f"another-{uuid.UUID(int=len(body))}"
    data["call_id" if "call_id" in data else next(name for name in data if name != "smb_id")] = "another"
    return replace(message, value=json.dumps(body).encode())


def in_binary_mode(message: Message) -> Message:
    """The same event with its attributes in headers."""
    document = json.loads(message.value or b"")
    data = document.pop("data")
    headers = tuple((f"ce_{name}", str(value).encode()) for name, value in document.items())
    return replace(message, value=json.dumps(data).encode(), headers=(*headers, ("content-type", b"application/json")))
