"""What a message says of itself, as far as it can be read: for dead letters and for tracing, never for applying."""

import re
from collections.abc import Iterable
from typing import Any, Protocol
from uuid import UUID

from pydantic_core import from_json

from shared.schemas.transport import is_structured, read_transport

CLAIM_MAX_CHARACTERS = 200
DIGITS = re.compile(rb"[0-9]{1,18}\Z")


class Message(Protocol):
    """What is read of a record here."""

    @property
    def value(self) -> bytes | None:
        """The body; None for a tombstone."""

    @property
    def headers(self) -> Iterable[tuple[str, bytes | None]]:
        """The Kafka headers, repeated names included."""


def claimed_identity(record: Message) -> tuple[UUID | None, UUID | None, str | None]:
    """Return the tenant, the SMB and the CloudEvents id that a message names, each None where it can't be read.

    Works for messages that do not decode, as far as the headers or the beginning of the body can be read. Never
    raises.
    """
    attributes, data = _claims(record)
    smb_id = _uuid(data.get("smb_id")) or _uuid(attributes.get("subject"))
    return _uuid(attributes.get("tenantid")), smb_id, _text(attributes.get("id"))


def claimed_type(record: Message) -> str | None:
    """Return the type that a message says it has, None where it can't be read. Never raises.

    Every service comes to the same answer for the same record: this decides who parks it.
    """
    attributes, _ = _claims(record)
    return _text(attributes.get("type"))


def claimed_position(record: Message) -> tuple[int, int] | None:
    """Return epoch and sequence of an announcement, None where a record has not both. Never raises.

    Readers of `smb.events` keep the greatest pair of each SMB and drop what is not above it.
    """
    given = {name: value for name, value in record.headers or () if name in {"ce_epoch", "ce_sequence"}}
    epoch, sequence = (_number(given.get(name)) for name in ("ce_epoch", "ce_sequence"))
    return None if epoch is None or sequence is None else (epoch, sequence)


def _claims(record: Message) -> tuple[dict[str, Any], dict[str, Any]]:
    transport = read_transport(record.headers)
    document = _readable_part(record.value)
    if is_structured(transport, record.value):
        return document, _mapping(document.get("data"))
    attributes = {
        name: values[0].decode("utf-8", errors="replace")
        for name, values in transport.attributes.items()
        if values[0] is not None
    }
    return attributes, document


def _readable_part(body: bytes | None) -> dict[str, Any]:
    try:
        return _mapping(from_json(body or b"", allow_partial=True))
    except ValueError:
        return {}


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    if not isinstance(value, str) or not value or len(value) > CLAIM_MAX_CHARACTERS or "\0" in value:
        return None
    return value


def _uuid(value: object) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _number(digits: bytes | None) -> int | None:
    return int(digits) if digits is not None and DIGITS.match(digits) else None
