"""CloudEvents 1.0 over Kafka, out: binary mode, and whole documents for those who send structured mode."""

from datetime import UTC, datetime
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
    smb = SmbKey(tenant_id, data.smb_id)
    attributes = _attributes(data, announcement_id(smb, epoch, sequence), SOURCE, time, smb)
    attributes |= {"epoch": str(epoch), "sequence": str(sequence)}
    if causation_id is not None:
        attributes["causationid"] = causation_id
    return _binary(attributes, data, traceparent)


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
        "time": time.astimezone(UTC).isoformat().replace("+00:00", "Z"),
    }
    if smb is not None:
        attributes |= {"subject": str(smb.smb_id), "tenantid": str(smb.tenant_id)}
    return attributes


def _binary(attributes: dict[str, str], data: WireModel, traceparent: str | None) -> EncodedMessage:
    headers = [(f"ce_{name}", value.encode()) for name, value in attributes.items()]
    if traceparent is not None:
        headers.append(("traceparent", traceparent.encode()))
    return EncodedMessage([*headers, ("content-type", b"application/json")], _body(data))


def _body(data: WireModel) -> bytes:
    return data.model_dump_json(exclude_unset=True).encode()
