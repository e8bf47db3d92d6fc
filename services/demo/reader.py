"""Reads `smb.events` as another module would: by the guarantee, dropping copies."""

from collections import Counter, deque
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from pydantic_core import from_json

from shared.runtime.kafka import client_options
from shared.runtime.settings import Settings
from shared.schemas.topics import ANNOUNCEMENTS_TOPIC, Topics

LATEST = 40
POLL_MILLISECONDS = 200


class Told(NamedTuple):
    """One announcement: what it says in a few words, and about whom."""

    time: datetime
    smb_id: UUID
    type: str
    words: str


class AnnouncementReader:
    """Keeps the latest announcements and counts all of them by type; `gaps` counts breaks in an SMB's sequence."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._last: dict[tuple[str, str], tuple[int, int]] = {}
        self.latest: deque[Told] = deque(maxlen=LATEST)
        self.types: Counter[str] = Counter()
        self.copies = 0
        self.gaps = 0

    async def run(self) -> None:
        """Read until cancelled, from the topic's beginning."""
        consumer = AIOKafkaConsumer(
            **client_options(self._settings), enable_auto_commit=False, auto_offset_reset="earliest"
        )
        topic = Topics(self._settings.topic_prefix).full_name(ANNOUNCEMENTS_TOPIC)
        try:
            await consumer.start()
            consumer.assign([TopicPartition(topic, number) for number in range(self._settings.topic_partitions)])
            while True:
                for records in (await consumer.getmany(timeout_ms=POLL_MILLISECONDS)).values():
                    for record in records:
                        self.read(record)
        finally:
            await consumer.stop()

    def read(self, record: "ConsumerRecord[bytes, bytes]") -> None:
        """Take one record of the topic."""
        headers = {name: value.decode() for name, value in record.headers}
        smb = headers["ce_tenantid"], headers["ce_subject"]
        place = int(headers["ce_epoch"]), int(headers["ce_sequence"])
        last = self._last.get(smb, (place[0], 0))
        if place <= last:
            self.copies += 1
            return
        self.gaps += place[1] != last[1] + 1
        self._last[smb] = place
        type_ = headers["ce_type"]
        self.types[type_] += 1
        words = describe(type_, from_json(record.value))
        self.latest.append(Told(datetime.fromisoformat(headers["ce_time"]), UUID(smb[1]), type_, words))


def describe(type_: str, data: Mapping[str, Any]) -> str:
    """Say in a few words what an announcement tells."""
    match type_:
        case "SMBCreated":
            return "is known now"
        case "SMBUpdated":
            return _update(data["changes"])
        case "SMBEngagementChanged":
            return f"score {data['old_score']} → {data['new_score']}"
        case "SMBTierChanged":
            return f"{data['old_tier_name']} → {data['new_tier_name']} at score {data['score']}"
        case "SMBCampaignChanged":
            return _campaign(data)
        case _:
            return ""


def _update(changes: Mapping[str, Any]) -> str:
    if "services_approved_pending" in changes:
        lists = changes["services_approved_pending"]
        return f"approved {', '.join(name for name in lists['new'] if name not in lists['old'])}"
    return f"changed: {', '.join(changes)}"


def _campaign(data: Mapping[str, Any]) -> str:
    status = f"campaign {data['old_status']} → {data['new_status']}"
    if data["next_scheduled_send"] is None:
        return f"{status} ({data['reason']})" if data.get("reason") else status
    return f"{status}, day {data['day']}, next send {data['next_scheduled_send'][:16].replace('T', ' ')} UTC"
