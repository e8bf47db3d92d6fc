"""CloudEvents 1.0 over Kafka, in: from one raw record to one `Input`, in structured and in binary mode."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol
from uuid import UUID

from pydantic import ValidationError
from pydantic_core import to_json

from shared.schemas.bad_message import BadMessage, UnknownType, bad_field, printable
from shared.schemas.claims import claimed_identity, claimed_type
from shared.schemas.documents import Document, attributes, bodies, documents
from shared.schemas.fields import WireModel
from shared.schemas.identity import Place, SmbKey, event_key
from shared.schemas.transport import is_structured, read_transport, readable
from shared.schemas.triggers import Trigger

__all__ = [
    "BadMessage",
    "Input",
    "Record",
    "UnknownType",
    "claimed_identity",
    "claimed_type",
    "decode",
    "moment_of",
    "require_not_ahead",
]

BODY_MAX_BYTES = 1_048_576
LAST_UNIX_SECOND = 253_402_300_799
AHEAD_MAX = timedelta(minutes=5)
"""Clocks of other modules may be off by this much; what is dated further ahead is a bad message."""


class Record(Protocol):
    """What is read of an aiokafka ConsumerRecord."""

    @property
    def topic(self) -> str:
        """The topic's full name."""

    @property
    def partition(self) -> int:
        """The partition's number."""

    @property
    def offset(self) -> int:
        """The record's offset in its partition."""

    @property
    def timestamp(self) -> int:
        """When it was produced, in milliseconds since 1970; -1 where the producer gave none."""

    @property
    def value(self) -> bytes | None:
        """The body; None for a tombstone."""

    @property
    def headers(self) -> Iterable[tuple[str, bytes | None]]:
        """The Kafka headers, repeated names included."""


class Input(NamedTuple):
    """One decoded message.

    `time` is when it happened, aware and in UTC. `smb` is None for triggers and shards. `data` is the model that
    `catalog.TYPES` has for `type`. `smb` and `event_key` together are the identity of what was reported.
    """

    type: str
    source: str
    id: str
    time: datetime
    smb: SmbKey | None
    data: WireModel
    traceparent: str | None
    place: Place
    event_key: UUID
    timestamp: int

    @property
    def arrived_at(self) -> datetime:
        """When the record was produced, by its Kafka timestamp; see `moment_of`."""
        return moment_of(self.timestamp)


def moment_of(timestamp: int) -> datetime:
    """Return the moment of a Kafka timestamp (milliseconds since 1970); aware, UTC.

    The sender may have set it to anything; what is no moment of this calendar becomes its nearest one.
    """
    return datetime.fromtimestamp(min(max(0, timestamp / 1000), LAST_UNIX_SECOND), UTC)


def decode(record: Record, types: frozenset[str], now: datetime | None = None) -> Input:
    """Return what a record says, if it says it as the contract asks and its type is one of `types`.

    `now` (aware) bounds how far ahead the message may be dated; who learns the time later asks `require_not_ahead`
    then. Raises UnknownType for any other type and BadMessage for whatever else is wrong; no bytes make it raise
    anything else.
    """
    try:
        message = _decode(record, types)
        if now is not None:
            require_not_ahead(message, now)
    except BadMessage as bad:
        bad.claimed_type = claimed_type(record)
        raise
    return message


def require_not_ahead(message: Input, now: datetime) -> None:
    """Raise BadMessage when a message is dated, or a trigger scheduled, more than 5 minutes after `now` (aware)."""
    latest = now + AHEAD_MAX
    if message.time > latest:
        raise BadMessage("time_ahead", "time: more than 5 minutes ahead", message.type)
    # What is about an SMB is no trigger; asking a model's class costs more than all else here, for every event.
    if message.smb is None and isinstance(message.data, Trigger) and message.data.scheduled_for > latest:
        raise BadMessage("time_ahead", "data.scheduled_for: more than 5 minutes ahead", message.type)


def _decode(record: Record, types: frozenset[str]) -> Input:
    value = record.value
    if not value:
        raise BadMessage("no_body", "body: the record has none")
    if len(value) > BODY_MAX_BYTES:
        raise BadMessage("too_large", f"body: {len(value)} bytes are more than {BODY_MAX_BYTES}")
    transport = read_transport(record.headers)
    if is_structured(transport, value):
        document = _read_document(value, types)
    else:
        document = _read_binary(readable(transport.attributes), value, types)

    data = document["data"]
    time = document["time"]
    smb = None
    if "tenantid" in document:
        smb = SmbKey(document["tenantid"], data.smb_id)
        subject = document.get("subject")
        if subject is not None and subject.int != data.smb_id.int:
            raise BadMessage("subject_differs", "subject: not the same SMB as data.smb_id")
    source, id = document["source"], document["id"]  # noqa: A001 -- CloudEvents calls it `id`
    place = Place(record.topic, record.partition, record.offset)
    key = event_key(source, id)
    return Input(document["type"], source, id, time, smb, data, transport.traceparent, place, key, record.timestamp)


def _read_document(value: bytes, types: frozenset[str]) -> Document:
    parser = documents(types)
    try:
        return parser.parse(value)
    except ValidationError as error:
        raise bad_field(error, path_from=1 if parser.tagged else 0) from None


def _read_binary(texts: dict[str, str], value: bytes, types: frozenset[str]) -> Document:
    name = texts.get("type")
    if name is None:
        raise BadMessage("missing_field", "ce_type: Field required")
    if name not in types:
        raise UnknownType("unknown_type", f"ce_type: {printable(name)!r} is not expected here")
    try:
        document = attributes(name)(to_json(texts))
    except ValidationError as error:
        raise bad_field(error, prefix="ce_") from None
    try:
        document["data"] = bodies(name)(value)
    except ValidationError as error:
        raise bad_field(error, prefix="data.") from None
    document["type"] = name
    return document
