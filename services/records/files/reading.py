"""A file of SMBs: bytes in, checked rows and refused rows out."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Protocol

from services.records.files.cells import MISSING, Cells, cell_reader, value_reader
from services.records.files.columns import CheckedRows, Column, RefusedRow, checked_rows
from services.records.files.delimited import BrokenRow, DelimitedRows
from services.records.files.documents import DocumentArray, DocumentLines, Documents
from services.records.files.encodings import BEGINNING_BYTES, decoder, detect, known
from services.records.files.errors import ColumnTwice, UnknownColumn
from services.records.files.naming import Naming, shown


class FileFormat(StrEnum):
    """What a file may be."""

    CSV = "csv"
    JSON = "json"
    JSON_LINES = "json-lines"


class _Rows(Protocol):
    def begin(self, text: str, *, is_last: bool) -> CheckedRows: ...

    def rows(self, text: str, *, is_last: bool) -> CheckedRows: ...


class FileOfSmbs:
    """Reads one file. Its encoding is known as soon as its beginning has arrived."""

    def __init__(self, file_format: FileFormat, mapping: Mapping[str, str | None], encoding: str | None = None) -> None:
        """Prepare; without `encoding` it is found out. Raises WrongMapping or UnknownEncoding."""
        self._naming = naming = Naming(mapping)
        self.encoding = None if encoding is None else known(encoding)
        self._rows: _Rows = _CsvRows(naming) if file_format is FileFormat.CSV else _JsonRows(file_format, naming)
        self._beginning = b""
        self._decode: Callable[[bytes, bool], str] | None = None

    @property
    def columns(self) -> dict[str, str]:
        """The file's name of each field that it gives, as far as it has been read."""
        return self._naming.columns

    def read(self, piece: bytes, *, is_last: bool = False) -> CheckedRows:
        """Take the next bytes, and give the rows that are complete now. Raises FileRefused."""
        if self._decode is not None:
            return self._rows.rows(self._decode(piece, is_last), is_last=is_last)
        self._beginning += piece
        if len(self._beginning) < BEGINNING_BYTES and not is_last:
            return CheckedRows([], {}, [], [])
        self.encoding = self.encoding or detect(self._beginning)
        self._decode = decoder(self.encoding)
        text = self._decode(self._beginning, is_last)
        self._beginning = b""
        return self._rows.begin(text, is_last=is_last)


class _CsvRows:
    """Rows of CSV: the header says what each cell is."""

    def __init__(self, naming: Naming) -> None:
        self._naming = naming
        self._file = DelimitedRows(naming.names())
        self._header: list[str] = []
        self._fields: list[str | None] = []
        self._readers: list[Callable[[Any], Cells] | None] = []

    def begin(self, text: str, *, is_last: bool) -> CheckedRows:
        self._header = self._file.begin(text, is_last=is_last)
        self._fields = self._naming.fields_of(self._header)
        self._readers = [cell_reader(field) if field else None for field in self._fields]
        return self.rows("", is_last=is_last)

    def rows(self, text: str, *, is_last: bool) -> CheckedRows:
        found = self._file.rows(text, is_last=is_last)
        lines, rows, broken = found.lines, found.rows, found.broken
        width = len(self._header)
        if any(len(row) != width for row in rows):
            broken += [
                BrokenRow(line, f"has {len(row)} cells, the header has {width}")
                for line, row in zip(lines, rows, strict=True)
                if len(row) != width and any(row)
            ]
            fitting = [(line, row) for line, row in zip(lines, rows, strict=True) if len(row) == width]
            lines, rows = [line for line, _ in fitting], [row for _, row in fitting]
        raw = list(zip(*rows, strict=True)) if rows else [()] * width
        columns = [
            Column(name, field, cells, reader(cells))
            for name, field, reader, cells in zip(self._header, self._fields, self._readers, raw, strict=True)
            if field is not None and reader is not None
        ]
        return _with_broken(checked_rows(lines, columns, {}), broken)


class _JsonRows:
    """Rows of JSON: every object names its own fields; the first one stands for the header."""

    def __init__(self, file_format: FileFormat, naming: Naming) -> None:
        self._naming = naming
        self._file = DocumentArray() if file_format is FileFormat.JSON else DocumentLines()
        self._readers: dict[str, Callable[[Any], Cells]] = {}
        self._is_first = True

    def begin(self, text: str, *, is_last: bool) -> CheckedRows:
        return self.rows(text, is_last=is_last)

    def rows(self, text: str, *, is_last: bool) -> CheckedRows:
        found = self._file.rows(text, is_last=is_last)
        if found.documents and self._is_first:
            self._is_first = False
            self._require_known(found.documents[0])
        wrong: dict[int, tuple[str, str]] = {}
        names = self._names_of(found, wrong)
        columns = [self._column(field, names[field], found, wrong) for field in names]
        return _with_broken(checked_rows(found.numbers, columns, wrong), found.broken)

    def _require_known(self, document: Mapping[str, Any]) -> None:
        fields = [field for name in document if (field := self._naming.field_of(name)) is not None]
        if len(set(fields)) < len(fields):
            twice = next(name for name in document if fields.count(str(self._naming.field_of(name))) > 1)
            raise ColumnTwice(shown(twice), str(self._naming.field_of(twice)))

    def _names_of(self, found: Documents, wrong: dict[int, tuple[str, str]]) -> dict[str, list[str]]:
        """The names that stand for each field in these objects; an object with an unknown name is wrong."""
        names: dict[str, list[str]] = {}
        unknown: dict[str, str] = {}
        for name in dict.fromkeys(name for document in found.documents for name in document):
            try:
                field = self._naming.field_of(name)
            except UnknownColumn as error:
                unknown[name] = error.reason
            else:
                if field is not None:
                    names.setdefault(field, []).append(name)
        if unknown:
            for place, document in enumerate(found.documents):
                if strange := next((name for name in document if name in unknown), None):
                    wrong[place] = (shown(strange), unknown[strange])
        return names

    def _column(self, field: str, names: list[str], found: Documents, wrong: dict[int, tuple[str, str]]) -> Column:
        raw = [document.get(names[0], MISSING) for document in found.documents]
        for name in names[1:]:
            for place, document in enumerate(found.documents):
                if name in document and raw[place] is not MISSING:
                    wrong.setdefault(place, (shown(name), f"{field} is given by another name already"))
                elif name in document:
                    raw[place] = document[name]
        reader = self._readers.setdefault(field, value_reader(field))
        return Column(names[0], field, raw, reader(raw))


def _with_broken(checked: CheckedRows, broken: list[BrokenRow]) -> CheckedRows:
    refused = [RefusedRow(line, None, None, reason) for line, reason in broken]
    return checked._replace(refused=[*checked.refused, *refused]) if refused else checked
