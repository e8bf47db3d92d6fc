"""What a record's Kafka headers say: the mode of the message, its CloudEvents attributes, its trace."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from pydantic_core import from_json

from shared.schemas.bad_message import BadMessage

STRUCTURED = b"application/cloudevents+json"
ATTRIBUTES = frozenset(
    {"specversion", "id", "source", "type", "time", "subject", "tenantid", "datacontenttype", "dataschema"}
)
"""Attributes that must be readable in binary mode; every other `ce_` header is an extension unknown here."""

TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""W3C Trace Context: version, trace id, parent id, flags; ids of zeros and version ff are invalid."""


class Transport(NamedTuple):
    """What the headers say; `attributes` are the raw values of the known `ce_` headers."""

    structured: bool
    attributes: dict[str, list[bytes | None]]
    traceparent: str | None


def read_transport(headers: Iterable[tuple[str, bytes | None]] | None) -> Transport:
    """Read the headers that matter; whatever is broken in them is left for the one who needs it."""
    structured = False
    trace: bytes | None = None
    attributes: dict[str, list[bytes | None]] = {}
    for name, value in headers or ():
        if name == "content-type" or name.lower() == "content-type":
            structured = structured or value == STRUCTURED or _says_structured(value)
        elif name == "traceparent":
            # Two different ones say nothing.
            trace = value if trace is None or trace == value else b""
        elif name.startswith("ce_") and name[3:] in ATTRIBUTES:
            attributes.setdefault(name[3:], []).append(value)
    sane = trace is not None and TRACEPARENT.fullmatch(trace)
    return Transport(structured, attributes, trace.decode() if trace and sane else None)


def readable(attributes: dict[str, list[bytes | None]]) -> dict[str, str]:
    """Return the attributes of a binary message as texts.

    Raises BadMessage where one has no value, is not UTF-8 or comes twice with different values.
    """
    texts = {}
    for name, values in attributes.items():
        value = values[0]
        if value is None:
            raise BadMessage("bad_header", f"ce_{name}: the header has no value")
        if len(values) > 1 and any(other != value for other in values):
            raise BadMessage("bad_header", f"ce_{name}: the header comes twice with different values")
        try:
            texts[name] = value.decode()
        except UnicodeDecodeError:
            raise BadMessage("bad_header", f"ce_{name}: the header is not UTF-8") from None
    return texts


def is_structured(transport: Transport, value: bytes | None) -> bool:
    """Tell whether a record's body is a whole CloudEvents document, rather than the data of one in the headers.

    Its content type or a `specversion` in the document says so. What is neither that nor binary is read as a document
    too, so that its reason names what the document lacks.
    """
    if transport.structured or "id" not in transport.attributes:
        return True
    # A name may be written with escapes, so only a parser can tell; it is asked where there is a doubt.
    if not value or (b"specversion" not in value and b"\\u" not in value):
        return False
    try:
        document = from_json(value)
    except ValueError:
        return False
    return isinstance(document, dict) and "specversion" in document


def _says_structured(value: bytes | None) -> bool:
    return value is not None and value.split(b";", 1)[0].strip().lower() == STRUCTURED
