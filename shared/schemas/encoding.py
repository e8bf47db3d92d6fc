"""CloudEvents 1.0 over Kafka, out: binary mode, and whole documents for those who send structured mode."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from pydantic_core import from_json, to_json

from shared.schemas.fields import SmbData, WireModel
from shared.schemas.identity import SmbKey
from shared.schemas.transport import STRUCTURED

SOURCE = "/modules/smb-crm"


class EncodedMessage(NamedTuple):
    """A message as Kafka takes it. The same message is always the same bytes."""

    headers: list[tuple[str, bytes]]
    value: bytes


def encode(  # noqa: PLR0913 -- one argument for each attribute of the message
    data: WireModel,
    *,
    id: str,  # noqa: A002 -- CloudEvents calls it `id`
    time: datetime,
    source: str = SOURCE,
    smb: SmbKey | None = None,
    traceparent: str | None = None,
) -> EncodedMessage:
    """Return a message in binary mode; its type is the name of its data's class.

    `time` is aware; `smb` belongs to data about an SMB (event, command, announcement) and to nothing else. Fields of
    `data` that were not given are not sent.
    """
    attributes = _attributes(data, id, source, time, smb)
    return _binary(attributes, data, traceparent)


def encode_announcement(  # noqa: PLR0913 -- likewise
    data: SmbData,
    *,
    tenant_id: UUID,
    epoch: int,
    sequence: int,
    time: datetime,
    causation_id: str | None = None,
    traceparent: str | None = None,
) -> EncodedMessage:
    """Return an announcement in binary mode; tenant, SMB, epoch and sequence make its id.

    `time` (aware) is when the change was made. `causation_id` is the id of the event that led to it.
    """
    tenant, smb = _tenant(tenant_id), str(data.smb_id).encode()
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"%s/%s/%d/%d" % (tenant, smb, epoch, sequence)),
        ("ce_source", SOURCE.encode()),
        ("ce_type", type(data).__name__.encode()),
        ("ce_time", _moment(time)),
        ("ce_subject", smb),
        ("ce_tenantid", tenant),
        ("ce_epoch", b"%d" % epoch),
        ("ce_sequence", b"%d" % sequence),
    ]
    if causation_id is not None:
        headers.append(("ce_causationid", causation_id.encode()))
    if traceparent is not None:
        headers.append(("traceparent", traceparent.encode()))
    headers.append(("content-type", b"application/json"))
    return EncodedMessage(headers, _body(data))


def encode_document(  # noqa: PLR0913 -- likewise
    data: WireModel,
    *,
    id: str,  # noqa: A002 -- CloudEvents calls it `id`
    time: datetime,
    source: str,
    smb: SmbKey | None = None,
    traceparent: str | None = None,
) -> EncodedMessage:
    """Return a message in structured mode; the arguments are those of `encode`."""
    attributes: dict[str, object] = {**_attributes(data, id, source, time, smb), "datacontenttype": "application/json"}
    headers = [] if traceparent is None else [("traceparent", traceparent.encode())]
    return EncodedMessage(
        [*headers, ("content-type", STRUCTURED)], to_json(attributes | {"data": from_json(_body(data))})
    )


def announcement_id(smb: SmbKey, epoch: int, sequence: int) -> str:
    """Return the CloudEvents id of an announcement, the same for every copy of it."""
    return f"{smb.tenant_id}/{smb.smb_id}/{epoch}/{sequence}"


def _attributes(data: WireModel, id: str, source: str, time: datetime, smb: SmbKey | None) -> dict[str, str]:  # noqa: A002
    attributes = {
        "specversion": "1.0",
        "id": id,
        "source": source,
        "type": type(data).__name__,
        "time": _moment(time).decode(),
    }
    if smb is not None:
        attributes |= {"subject": str(smb.smb_id), "tenantid": str(smb.tenant_id)}
    return attributes


# Thousands of messages are made at one moment, for one tenant.
@lru_cache(16)
def _moment(time: datetime) -> bytes:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z").encode()


@lru_cache(16)
def _tenant(tenant_id: UUID) -> bytes:
    return str(tenant_id).encode()


def _binary(attributes: dict[str, str], data: WireModel, traceparent: str | None) -> EncodedMessage:
    headers = [(f"ce_{name}", value.encode()) for name, value in attributes.items()]
    if traceparent is not None:
        headers.append(("traceparent", traceparent.encode()))
    return EncodedMessage([*headers, ("content-type", b"application/json")], _body(data))


def _body(data: WireModel) -> bytes:
    return data.__pydantic_serializer__.to_json(data, exclude_unset=True)
