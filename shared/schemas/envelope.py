"""CloudEvents 1.0 over Kafka, in: from one raw record to one `Input`, in structured and in binary mode."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cache, reduce
from operator import or_
from typing import Annotated, Any, Literal, NamedTuple, Protocol, cast
from uuid import UUID

from pydantic import Field, TypeAdapter, ValidationError, create_model
from pydantic_core import to_json

from shared.schemas.bad_message import BadMessage, UnknownType, bad_field, printable
from shared.schemas.catalog import TYPES
from shared.schemas.claims import claimed_identity, claimed_type
from shared.schemas.fields import SmbData, Text, UtcTime, WireModel
from shared.schemas.identity import Place, SmbKey, event_key
from shared.schemas.transport import is_structured, read_transport, readable
from shared.schemas.triggers import Trigger

__all__ = ["BadMessage", "Input", "Record", "UnknownType", "claimed_identity", "claimed_type", "decode"]

BODY_MAX_BYTES = 1_048_576
AHEAD_MAX = timedelta(minutes=5)
"""Clocks of other modules may be off by this much; what is dated further ahead is a bad message."""


class Record(Protocol):
    """What is read of an aiokafka ConsumerRecord."""

    @property
    def topic(self) -> str: ...  # noqa: D102
    @property
    def partition(self) -> int: ...  # noqa: D102
    @property
    def offset(self) -> int: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102
    @property
    def headers(self) -> Iterable[tuple[str, bytes | None]]: ...  # noqa: D102


class Input(NamedTuple):
    """One decoded message.

    `time` is when it happened, aware and in UTC. `smb` is None for triggers and shards. `data` is the model that
    `catalog.TYPES` has for `type`. (`event_key`, `smb`) is the identity of what was reported.
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


class Context(WireModel):
    """CloudEvents attributes of a message that concerns no single SMB."""

    specversion: Literal["1.0"]
    id: Text
    source: Text
    time: UtcTime


class SmbContext(Context):
    """CloudEvents attributes of a message about one SMB."""

    tenantid: UUID
    subject: UUID | None = None


class _Documents(NamedTuple):
    """Reader of whole documents; a tagged one puts the type before the path of an error."""

    reader: TypeAdapter[Any]
    tagged: bool


def context_of(name: str) -> type[Context]:
    """Return the attributes that a message of this type carries."""
    return SmbContext if issubclass(TYPES[name], SmbData) else Context


@cache
def document_of(name: str) -> type[Context]:
    """Return the model of a whole document (structured mode) of this type."""
    fields: dict[str, Any] = {"type": (Literal[name], ...), "data": (TYPES[name], ...)}
    return create_model(f"{name}Document", __base__=context_of(name), **fields)


@cache
def _documents(types: frozenset[str]) -> _Documents:
    models = [document_of(name) for name in sorted(types)]
    if len(models) == 1:
        return _Documents(TypeAdapter(models[0]), tagged=False)
    any_of_them: Any = reduce(or_, models)
    return _Documents(TypeAdapter(Annotated[any_of_them, Field(discriminator="type")]), tagged=True)


@cache
def _headers_and_data(name: str) -> tuple[TypeAdapter[Context], TypeAdapter[WireModel]]:
    return TypeAdapter(context_of(name)), TypeAdapter(TYPES[name])


def decode(record: Record, types: frozenset[str], now: datetime) -> Input:
    """Return what a record says, if it says it as the contract asks and its type is one of `types`.

    `now` (aware) bounds how far ahead the message may be dated. Raises UnknownType for any other type and BadMessage
    for whatever else is wrong; no bytes make it raise anything else.
    """
    try:
        return _decode(record, types, now)
    except BadMessage as bad:
        bad.claimed_type = claimed_type(record)
        raise


def _decode(record: Record, types: frozenset[str], now: datetime) -> Input:
    value = record.value
    if not value:
        raise BadMessage("no_body", "body: the record has none")
    if len(value) > BODY_MAX_BYTES:
        raise BadMessage("too_large", f"body: {len(value)} bytes are more than {BODY_MAX_BYTES}")
    transport = read_transport(record.headers)
    if is_structured(transport, value):
        name, context, data = _read_document(value, types)
    else:
        name, context, data = _read_binary(readable(transport.attributes), value, types)

    latest = now + AHEAD_MAX
    if context.time > latest:
        raise BadMessage("time_ahead", "time: more than 5 minutes ahead")
    smb = None
    if isinstance(context, SmbContext):
        smb_id: UUID = cast("SmbData", data).smb_id
        if context.subject is not None and context.subject.int != smb_id.int:
            raise BadMessage("subject_differs", "subject: not the same SMB as data.smb_id")
        smb = SmbKey(context.tenantid, smb_id)
    elif isinstance(data, Trigger) and data.scheduled_for > latest:
        raise BadMessage("time_ahead", "data.scheduled_for: more than 5 minutes ahead")
    return Input(
        name,
        context.source,
        context.id,
        context.time,
        smb,
        data,
        transport.traceparent,
        Place(record.topic, record.partition, record.offset),
        event_key(context.source, context.id),
    )


def _read_document(value: bytes, types: frozenset[str]) -> tuple[str, Context, WireModel]:
    reader, tagged = _documents(types)
    try:
        document = reader.validate_json(value)
    except ValidationError as error:
        raise bad_field(error, path_from=1 if tagged else 0) from None
    return document.type, document, document.data


def _read_binary(attributes: dict[str, str], value: bytes, types: frozenset[str]) -> tuple[str, Context, WireModel]:
    name = attributes.get("type")
    if name is None:
        raise BadMessage("missing_field", "ce_type: Field required")
    if name not in types:
        raise UnknownType("unknown_type", f"ce_type: {printable(name)!r} is not expected here")
    of_headers, of_data = _headers_and_data(name)
    try:
        context = of_headers.validate_json(to_json(attributes))
    except ValidationError as error:
        raise bad_field(error, prefix="ce_") from None
    try:
        return name, context, of_data.validate_json(value)
    except ValidationError as error:
        raise bad_field(error, prefix="data.") from None
