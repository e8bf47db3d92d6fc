"""Pages over HTTP: how many entries, and the cursor for those that follow."""

import binascii
import json
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import MAXYEAR, MINYEAR, datetime
from hashlib import sha256
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, Field

from services.records.errors import InvalidField
from shared.runtime.pages import PAGE_MAX_ENTRIES

Entry = TypeVar("Entry")
LIMIT_DEFAULT = 50
CURSOR_MAX_CHARACTERS = 4_000
_DIGEST_CHARACTERS = 16

Limit = Annotated[int, Query(ge=1, le=PAGE_MAX_ENTRIES, description="The most entries of a page.")]
CursorText = Annotated[
    str | None,
    Query(
        alias="cursor",
        max_length=CURSOR_MAX_CHARACTERS,
        description="`next_cursor` of the page before, with the same filters and order.",
    ),
]


class PageOf(BaseModel, Generic[Entry]):
    """A part of a list."""

    items: list[Entry]
    next_cursor: str | None = Field(description="For the next page; null when nothing follows.")


def encode(position: Sequence[Any] | None, of_list: str) -> str | None:
    """Write a position for whoever asks for the next page of this list; None where nothing follows."""
    if position is None:
        return None
    values = [value.isoformat() if isinstance(value, datetime) else str(value) for value in position]
    document = json.dumps([_digest(of_list), *values], ensure_ascii=False)
    return urlsafe_b64encode(document.encode()).decode().rstrip("=")


def decode(text: str | None, of_list: str, kinds: Sequence[type]) -> list[Any] | None:
    """Read what `encode` wrote for this list, a value of each of these kinds. Raises InvalidField."""
    if text is None:
        return None
    try:
        document = json.loads(b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
        digest, *values = document
        if digest != _digest(of_list) or len(values) != len(kinds):
            raise ValueError  # noqa: TRY301  all of them are told alike
        return [_value(value, kind) for value, kind in zip(values, kinds, strict=True)]
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError, binascii.Error):
        raise InvalidField("cursor", "is none that this list, with this order and these filters, gave") from None


def _digest(of_list: str) -> str:
    return sha256(of_list.encode()).hexdigest()[:_DIGEST_CHARACTERS]


def _value(value: object, kind: type) -> object:
    """Take what the database can take. Raises ValueError."""
    if not isinstance(value, str) or "\0" in value:
        raise ValueError
    value.encode()  # not half of a surrogate pair
    if kind is UUID:
        return UUID(value)
    if kind is datetime:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None or not MINYEAR < moment.year < MAXYEAR:
            raise ValueError
        return moment
    if kind is int:
        return int(value)
    return value
