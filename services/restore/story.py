"""What readers of `smb.events` know and a restored database does not."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord

from shared.runtime.kafka import client_options
from shared.runtime.positions import Positions
from shared.runtime.settings import Settings
from shared.schemas.bad_message import BadMessage
from shared.schemas.claims import claimed_position
from shared.schemas.encoding import SOURCE
from shared.schemas.envelope import decode
from shared.schemas.identity import SmbKey
from shared.schemas.topics import ANNOUNCEMENTS_TOPIC, Topics

CREATED = "SMBCreated"
ERASED = "SMBErased"
TYPES = frozenset({CREATED, ERASED})
HEADERS = {b"SMBCreated", b"SMBErased"}
OURS = SOURCE.encode()
# The database keeps it in four bytes, and the next one has to fit as well.
HIGHEST_EPOCH = 2**31 - 2
POLL_MILLISECONDS = 500


@dataclass(slots=True)
class Story:
    """What was told since a moment: the highest epoch, who was created, who was erased."""

    epoch: int = 0
    messages: int = 0
    created: set[SmbKey] = field(default_factory=set)
    erased: set[SmbKey] = field(default_factory=set)

    def add(self, records: Iterable[ConsumerRecord[Any, Any]]) -> None:
        """Take in messages of `smb.events`; what is not ours is left, whatever it says of itself."""
        for record in records:
            self.messages += 1
            if {value for name, value in record.headers if name == "ce_source"} != {OURS}:
                continue
            position = claimed_position(record)
            if position is not None and position[0] <= HIGHEST_EPOCH:
                self.epoch = max(self.epoch, position[0])
            if any(name == "ce_type" and value in HEADERS for name, value in record.headers):
                self._add_one(record)

    def _add_one(self, record: ConsumerRecord[Any, Any]) -> None:
        try:
            told = decode(record, TYPES)
        except BadMessage:
            return  # the tier worker parks it
        if told.source == SOURCE and told.smb is not None:
            (self.created if told.type == CREATED else self.erased).add(told.smb)


async def read_story(settings: Settings, positions: Positions, since: datetime) -> Story:
    """Read `smb.events` from a moment on, up to its present end."""
    story = Story()
    partitions = await positions.partitions([Topics(settings.topic_prefix).full_name(ANNOUNCEMENTS_TOPIC)])
    starts = await positions.at(partitions, since)
    consumer = AIOKafkaConsumer(**client_options(settings), enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        for partition, offset in starts.items():
            consumer.seek(partition, offset)
        while any([await consumer.position(one) < ends[one] for one in partitions]):
            for records in (await consumer.getmany(timeout_ms=POLL_MILLISECONDS)).values():
                story.add(records)
    finally:
        await consumer.stop()
    return story
