"""Rows of CSV, piece by piece: a row is given as soon as it is complete, however it is cut."""

import csv
from collections.abc import Collection
from io import StringIO
from typing import NamedTuple

from services.records.files.errors import BrokenHeader, EmptyFile, RowTooLong

DELIMITERS = ",;\t|"
# A row that is longer is no row of a table of SMBs: a description has at most 10,000 characters.
ROW_MAX_CHARACTERS = 1024 * 1024
# Names of columns may hold line breaks, but not many.
HEADER_MAX_LINES = 20


class BrokenRow(NamedTuple):
    """A row that could not be taken apart."""

    line: int
    reason: str


class RawRows(NamedTuple):
    """Rows as they stand in the file, each with the line that it begins in, and the broken ones between them."""

    lines: list[int]
    rows: list[list[str]]
    broken: list[BrokenRow]


class Header(NamedTuple):
    """The first row of a file, as it is with one delimiter, and how many lines it takes."""

    delimiter: str
    cells: list[str]
    lines: int


class DelimitedRows:
    """Takes a CSV file apart. Blank lines are passed over; lines are counted from 1, with the header."""

    def __init__(self, known_columns: Collection[str]) -> None:
        """Prepare; `known_columns` (small letters) tell the delimiter: it is the one by which most are found."""
        self._known_columns = known_columns
        self._delimiter = ""
        self._unread = ""
        self._lines_read = 0

    def begin(self, text: str, *, is_last: bool) -> list[str]:
        """Take the beginning of the file, long enough for a header, and give the names of the columns.

        Raises EmptyFile or BrokenHeader.
        """
        self._unread = text
        lines = self._complete_lines(is_last=is_last)
        while lines and not lines[0].strip():
            del lines[0]
            self._lines_read += 1
        if is_last and not lines:
            raise EmptyFile
        headers = [header for one in DELIMITERS if (header := _header(lines, one)) is not None]
        if not headers:
            raise BrokenHeader
        chosen = max(headers, key=lambda header: (self._count_known(header.cells), len(header.cells)))
        self._delimiter = chosen.delimiter
        self._lines_read += chosen.lines
        self._give_back(lines[chosen.lines :])
        return chosen.cells

    def rows(self, text: str, *, is_last: bool) -> RawRows:
        """Take the next piece of the file; gives the rows that are complete now.

        Of a row that can't be taken apart its first line is lost and no other: a quote that was left open must not
        swallow the rows after it. Raises RowTooLong.
        """
        self._unread += text
        lines = self._complete_lines(is_last=is_last)
        found = RawRows([], [], [])
        read = 0
        while read < len(lines):
            before = read
            reader = csv.reader(lines[before:], delimiter=self._delimiter, strict=True)
            try:
                for row in reader:
                    if row:
                        found.lines.append(self._lines_read + read + 1)
                        found.rows.append(row)
                    read = before + reader.line_num
            except csv.Error as error:
                if before + reader.line_num == len(lines) and not is_last:
                    break  # most likely a quoted cell that goes on: with the next piece it is tried again
                read += 1
                found.broken.append(BrokenRow(self._lines_read + read, _reason(error)))
        self._lines_read += read
        self._give_back(lines[read:])
        return found

    def _complete_lines(self, *, is_last: bool) -> list[str]:
        """Take the complete lines off the unread text. A line ends with CR, LF or both, and with these only."""
        # A CR at the end may be half of a line's end.
        end = max(self._unread.rfind("\n"), self._unread.rfind("\r", 0, -1)) + 1
        if is_last:
            end = len(self._unread)
        text, self._unread = self._unread[:end], self._unread[end:]
        return list(StringIO(text, newline=""))

    def _give_back(self, lines: list[str]) -> None:
        self._unread = "".join((*lines, self._unread))
        if len(self._unread) > ROW_MAX_CHARACTERS:
            raise RowTooLong(self._lines_read + 1, ROW_MAX_CHARACTERS)

    def _count_known(self, cells: list[str]) -> int:
        return sum(cell.strip().lower() in self._known_columns for cell in cells)


def _header(lines: list[str], delimiter: str) -> Header | None:
    """What the header is with a delimiter; None where it is not well-formed then."""
    for number in range(1, min(len(lines), HEADER_MAX_LINES) + 1):
        try:
            (cells,) = csv.reader(lines[:number], delimiter=delimiter, strict=True)
        except csv.Error:
            continue  # a quoted name may go on in the next line
        return Header(delimiter, cells, number)
    return None


def _reason(error: csv.Error) -> str:
    said = str(error)
    if said.startswith("field larger than field limit"):
        return f"a cell is longer than {csv.field_size_limit():,} characters; is a quote left open?"
    if said == "unexpected end of data":
        return "a quote is left open"
    return f"is not well-formed CSV: {said}"
