"""Rows whose cells are all checked, column by column."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic_core import to_json

from services.records.files.cells import MISSING, Cells
from services.records.files.naming import KEYS, shown
from shared.schemas.bad_message import printable

# One more for the mark that something is cut.
VALUE_MAX_CHARACTERS = 199
REASON_MAX_CHARACTERS = 499
# Who names no community by its slug names none at all.
_CLEARED_BY = {"community_slug": "community_id"}
KEYLESS = "has no id, external_id or primary_email, by which the SMB could be recognised when the file comes again"


class RefusedRow(NamedTuple):
    """A row that is not taken, and why; the last three say whom it is about, as far as that can be read."""

    line: int
    column: str | None
    value: str | None
    reason: str
    smb_id: str | None = None
    external_id: str | None = None
    email: str | None = None


class CheckedRows(NamedTuple):
    """Rows with typed values, column by column, and the refused ones.

    `cleared` has for each row the fields that it clears, or None; it is empty where no row clears any.
    """

    lines: list[int]
    values: dict[str, list[Any]]
    cleared: list[list[str] | None]
    refused: list[RefusedRow]


class Column(NamedTuple):
    """One column of some rows: its name in the file, its field, what stands there, and what was read of it."""

    name: str
    field: str
    raw: Sequence[Any]
    cells: Cells


def checked_rows(lines: Sequence[int], columns: Sequence[Column], wrong: dict[int, tuple[str, str]]) -> CheckedRows:
    """Part rows from those that have something wrong; of each the first wrong cell is told.

    `wrong` says by position which rows were found wrong before, with column and reason. A row that says nothing at all
    is a blank one, and is passed over.
    """
    found: dict[int, tuple[str | None, str | None, str]] = {}
    for column in reversed(columns):
        for place, reason in column.cells.wrong.items():
            found[place] = (shown(column.name), shown_value(column.raw[place]), reason)
    for place, (name, reason) in wrong.items():
        found[place] = (name, None, reason)
    values = {column.field: column.cells.values for column in columns}
    cleared = _cleared(len(lines), columns)
    keyed = list(map(any, zip(*(values[key] for key in KEYS if key in values), strict=True)))
    blank = set()
    if not all(keyed):
        for place, has_key in enumerate(keyed or [False] * len(lines)):
            if not has_key and place not in found:
                if any(one[place] is not None for one in values.values()):
                    found[place] = (None, None, KEYLESS)
                else:
                    blank.add(place)
    if not found and not blank:
        return CheckedRows(list(lines), values, cleared, [])
    refused = [
        RefusedRow(lines[place], *found[place], *(_key(values, key, place) for key in KEYS)) for place in sorted(found)
    ]
    kept = [place for place in range(len(lines)) if place not in found and place not in blank]
    return CheckedRows(
        [lines[place] for place in kept],
        {name: [column[place] for place in kept] for name, column in values.items()},
        [cleared[place] for place in kept] if cleared else [],
        refused,
    )


def shown_value(value: object) -> str | None:
    """A value as it is told in a refusal: short, in one line."""
    if value is MISSING:
        return None
    try:
        text = value if isinstance(value, str) else to_json(value).decode()
    except ValueError:
        text = ""
    return printable(text, VALUE_MAX_CHARACTERS)


def _cleared(rows: int, columns: Sequence[Column]) -> list[list[str] | None]:
    cleared: list[list[str] | None] = []
    for column in columns:
        if column.cells.cleared and not cleared:
            cleared = [None] * rows
        for place in column.cells.cleared:
            cleared[place] = [*(cleared[place] or ()), _CLEARED_BY.get(column.field, column.field)]
    return cleared


def _key(values: dict[str, list[Any]], key: str, place: int) -> str | None:
    return values[key][place] if key in values else None
