"""Rows on their way from the file to the staging table."""

from collections.abc import Iterator
from itertools import repeat
from typing import Any
from zlib import crc32

from services.records.files.columns import CheckedRows, RefusedRow
from services.records.files.naming import KEYS

# A job's rows lie in so many buckets: part of every new SMB's id, for which twelve bits are free.
BUCKETS = 4096


class Slice:
    """Some thousand rows, column by column, with the bucket of each: rows of one name lie in one."""

    def __init__(self) -> None:
        """Begin empty."""
        self._buckets: list[int] = []
        self._lines: list[int] = []
        self._values: dict[str, list[Any]] = {}
        self._cleared: list[list[str] | None] | None = None
        self.refused: list[RefusedRow] = []
        # The fields by which these rows are told from others: the first one that a row has.
        self.keys: set[str] = set()

    def __len__(self) -> int:
        """Count the rows, also the refused ones."""
        return len(self._lines) + len(self.refused)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to stage."""
        return not self._lines

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the rows have, beside bucket and line."""
        return tuple(self._values) if self._cleared is None else (*self._values, "cleared")

    def add(self, rows: CheckedRows) -> None:
        """Take further rows, whatever columns they have."""
        self.refused += rows.refused
        if not rows.lines:
            return
        before, count = len(self._lines), len(rows.lines)
        for name in rows.values.keys() - self._values.keys():
            self._values[name] = [None] * before
        for name, column in self._values.items():
            column.extend(rows.values.get(name) or repeat(None, count))
        if rows.cleared and self._cleared is None:
            self._cleared = [None] * before
        if self._cleared is not None:
            self._cleared.extend(rows.cleared or repeat(None, count))
        self._lines += rows.lines
        self._buckets += _buckets(rows)
        self.keys |= _keys(rows)

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """The rows, as `columns` says."""
        further = [] if self._cleared is None else [self._cleared]
        return zip(self._buckets, self._lines, *self._values.values(), *further, strict=True)


def _buckets(rows: CheckedRows) -> list[int]:
    """Names that would have the same slug mostly differ in nothing but capital letters; a nameless row has its key."""
    keys = [rows.values[key] for key in ("business_name", *KEYS) if key in rows.values]
    texts = (next(filter(None, values)) for values in zip(*keys, strict=True))
    return [crc32(text.lower().encode()) % BUCKETS for text in texts]


def _keys(rows: CheckedRows) -> set[str]:
    columns = {key: rows.values[key] for key in KEYS if key in rows.values}
    used = set()
    missing = list(range(len(rows.lines)))
    for key, values in columns.items():
        if any(values[place] is not None for place in missing):
            used.add(key)
        if not (missing := [place for place in missing if values[place] is None]):
            break
    return used
