"""Cursors: where the next page of a list begins, as a text that only the list it came from understands.

A cursor is the place of the page's last row in the order of the list, not a number of rows: a row that stays as it is
is neither skipped nor shown twice, whatever becomes of the others. It holds nothing that its owner has not seen.
"""

import binascii
import json
from base64 import b64decode, urlsafe_b64encode
from datetime import MAXYEAR, MINYEAR, datetime
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from services.records.errors import InvalidField

Value = str | int | datetime | None
CURSOR_MAX_CHARACTERS = 2000
_DIGEST_CHARACTERS = 16
_INTEGER_MAX = 2**15 - 1


class Cursor(NamedTuple):
    """The last row's value in the column that the list is sorted by, and its id."""

    value: Value
    id: UUID

    def encode(self, of_list: str) -> str:
        """Write it for whoever asks for the next page of this list; the same for the same row."""
        value = self.value.isoformat() if isinstance(self.value, datetime) else self.value
        document = json.dumps([_digest(of_list), value, str(self.id)])
        return urlsafe_b64encode(document.encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str, of_list: str, kind: type) -> "Cursor":
        """Read what `encode` wrote for this list, whose sort column holds values of this kind, or null.

        Raises InvalidField, also for another list's.
        """
        try:
            if len(text) > CURSOR_MAX_CHARACTERS:
                raise ValueError  # noqa: TRY301  all of them are told alike
            padded = text + "=" * (-len(text) % 4)
            digest, value, id_ = json.loads(b64decode(padded, altchars=b"-_", validate=True))
            if digest != _digest(of_list):
                raise ValueError  # noqa: TRY301  likewise
            return cls(_value(value, kind), UUID(id_))
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError, binascii.Error):
            raise InvalidField("cursor", "is none that this list, with this order and these filters, gave") from None


def _digest(of_list: str) -> str:
    return sha256(of_list.encode()).hexdigest()[:_DIGEST_CHARACTERS]


def _value(value: object, kind: type) -> Value:
    """Take what the database can take. Raises ValueError."""
    if value is None:
        return None
    if kind is datetime:
        moment = datetime.fromisoformat(str(value))
        if moment.tzinfo is not None and MINYEAR < moment.year < MAXYEAR:
            return moment
    elif kind is int:
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _INTEGER_MAX:
            return value
    elif isinstance(value, str) and "\0" not in value:
        value.encode()  # not half of a surrogate pair
        return value
    raise ValueError
