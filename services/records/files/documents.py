"""Rows of JSON, piece by piece: the objects of one array, or one object in each line."""

import json
import re
from enum import Enum, auto
from typing import Any, NamedTuple

from services.records.files.delimited import ROW_MAX_CHARACTERS, BrokenRow
from services.records.files.errors import EmptyFile, NotAnArray, RowTooLong

_SPACE = " \t\r\n"
_SPACES = re.compile(f"[{_SPACE}]*")
# A complaint that lies nearer to the end of what has arrived may be about half of an escape or of `null`.
_HALF_MAX_CHARACTERS = 16


class Documents(NamedTuple):
    """Objects as they stand in the file, each with its number, and what is no object between them."""

    numbers: list[int]
    documents: list[dict[str, Any]]
    broken: list[BrokenRow]


def _refuse_constant(name: str) -> None:
    message = f"{name} is not JSON"
    raise ValueError(message)


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


class DocumentLines:
    """Takes a file apart that has a JSON object in each line; blank lines are passed over, the number is the line's."""

    def __init__(self) -> None:
        """Prepare."""
        self._unread = ""
        self._lines_read = 0

    def rows(self, text: str, *, is_last: bool) -> Documents:
        """Take the next piece of the file; gives the lines that are complete now. Raises RowTooLong."""
        lines = (self._unread + text).split("\n")
        self._unread = "" if is_last else lines.pop()
        found = Documents([], [], [])
        for line in lines:
            self._lines_read += 1
            if not line.strip(_SPACE):
                continue
            _require_short(line, self._lines_read)
            try:
                _keep(_DECODER.decode(line), self._lines_read, found)
            except (ValueError, RecursionError) as error:
                found.broken.append(BrokenRow(self._lines_read, _reason(error)))
        _require_short(self._unread, self._lines_read + 1)
        return found


class _Expected(Enum):
    """What comes next in an array."""

    BEGIN = auto()
    FIRST = auto()
    ELEMENT = auto()
    SEPARATOR = auto()
    NOTHING = auto()


class DocumentArray:
    """Takes one JSON array of objects apart; their numbers count from 1."""

    def __init__(self) -> None:
        """Prepare."""
        self._unread = ""
        self._number = 0
        self._expected = _Expected.BEGIN

    def rows(self, text: str, *, is_last: bool) -> Documents:
        """Take the next piece of the file; gives the objects that are complete now.

        Raises EmptyFile, NotAnArray or RowTooLong.
        """
        text = self._unread + text
        found = Documents([], [], [])
        place = _after_spaces(text, 0)
        while place < len(text):
            end = self._take(text, place, found, is_last=is_last)
            if end == place:
                break
            place = _after_spaces(text, end)
        self._unread = text[place:]
        _require_short(self._unread, self._number + 1)
        if is_last and self._expected is _Expected.BEGIN:
            raise EmptyFile
        if is_last and self._expected is not _Expected.NOTHING:
            raise NotAnArray(f"it breaks off after {self._number:,} of them")
        return found

    def _take(self, text: str, place: int, found: Documents, *, is_last: bool) -> int:
        """Take what begins at a place; gives where it ends, or the same place when it is not complete."""
        mark = text[place]
        match self._expected, mark:
            case _Expected.BEGIN, "[":
                self._expected = _Expected.FIRST
            case _Expected.SEPARATOR, ",":
                self._expected = _Expected.ELEMENT
            case ((_Expected.SEPARATOR | _Expected.FIRST), "]"):
                self._expected = _Expected.NOTHING
            case ((_Expected.FIRST | _Expected.ELEMENT), _):
                return self._take_element(text, place, found, is_last=is_last)
            case _:
                raise NotAnArray(f"what stands after {self._number:,} of them does not belong there")
        return place + 1

    def _take_element(self, text: str, place: int, found: Documents, *, is_last: bool) -> int:
        try:
            document, end = _DECODER.raw_decode(text, place)
        except (ValueError, RecursionError) as error:
            if not is_last and _may_go_on(error, len(text)):
                return place
            raise NotAnArray(f"number {self._number + 1:,} {_reason(error)}") from None
        if end == len(text) and not is_last and not isinstance(document, dict):
            return place  # the rest of a number may follow
        self._number += 1
        self._expected = _Expected.SEPARATOR
        _keep(document, self._number, found)
        return end


def _after_spaces(text: str, place: int) -> int:
    found = _SPACES.match(text, place)
    return found.end() if found else place


def _keep(document: object, number: int, found: Documents) -> None:
    if isinstance(document, dict):
        found.numbers.append(number)
        found.documents.append(document)
    else:
        found.broken.append(BrokenRow(number, "is not a JSON object"))


def _may_go_on(error: Exception, length: int) -> bool:
    """Tell whether a complaint may only mean that the rest has not arrived yet."""
    if not isinstance(error, json.JSONDecodeError):
        return False
    return error.msg.startswith("Unterminated string") or error.pos >= length - _HALF_MAX_CHARACTERS


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"is not JSON: {error.msg}"
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    return "is not JSON: a number is too long, or not finite"


def _require_short(text: str, number: int) -> None:
    if len(text) > ROW_MAX_CHARACTERS:
        raise RowTooLong(number, ROW_MAX_CHARACTERS)
