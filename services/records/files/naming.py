"""Which column of a file is which field of an SMB."""

from collections.abc import Mapping, Sequence

from services.records.files.cells import FIELDS
from services.records.files.errors import ColumnTwice, KeylessFile, UnknownColumn, WrongMapping
from shared.schemas.bad_message import printable

NAME_MAX_CHARACTERS = 100
# What a row is recognised by when the file comes again, in this order.
KEYS = ("id", "external_id", "primary_email")
# Two ways of naming the community.
_COMMUNITY = ("community_id", "community_slug")


class Naming:
    """Columns are fields by their own names, others by the sender's mapping, in which null stands for "ignore"."""

    def __init__(self, mapping: Mapping[str, str | None]) -> None:
        """Take the mapping of columns to fields. Raises WrongMapping.

        `columns` has the name of each field that was asked for so far.
        """
        self._mapping = {_plain(name): field for name, field in mapping.items()}
        for name, field in mapping.items():
            if field is not None and field not in FIELDS:
                raise WrongMapping(shown(name), f"{shown(field)} is no field of an SMB")
        self._known: dict[str, str | None] = {}
        self.columns: dict[str, str] = {}

    def names(self) -> set[str]:
        """All names that stand for something, in small letters."""
        return {*FIELDS, *self._mapping}

    def field_of(self, name: str) -> str | None:
        """The field of a column; None is to be ignored. Raises UnknownColumn."""
        if name not in self._known:
            plain = _plain(name)
            if plain not in self._mapping and plain not in FIELDS:
                raise UnknownColumn(shown(name), ", ".join(FIELDS))
            self._known[name] = field = self._mapping.get(plain, plain)
            if field is not None:
                self.columns.setdefault(field, shown(name))
        return self._known[name]

    def fields_of(self, header: Sequence[str]) -> list[str | None]:
        """The fields of a header. Raises UnknownColumn, ColumnTwice, WrongMapping or KeylessFile."""
        fields = [self.field_of(name) for name in header]
        for place, (name, field) in enumerate(zip(header, fields, strict=True)):
            if field is not None and _same(field) & set(fields[:place]):
                raise ColumnTwice(shown(name), field)
        if unused := sorted(self._mapping.keys() - {_plain(name) for name in header}):
            raise WrongMapping(shown(unused[0]), "the file has no such column")
        if not set(KEYS) & set(fields):
            raise KeylessFile
        return fields


def shown(name: str) -> str:
    """A name of somebody else's as it may be told."""
    return printable(name.strip(), NAME_MAX_CHARACTERS) or "(a column without a name)"


def _same(field: str) -> set[str]:
    return set(_COMMUNITY) if field in _COMMUNITY else {field}


def _plain(name: str) -> str:
    return name.strip().lower()
