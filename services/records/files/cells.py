"""What the cells of one column may hold, by the same types as a single write, checked for many rows at once.

Most cells are plain: a pattern says in one step that their type would take them as they are. Only the others go through
the type itself.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from services.records.files.encodings import UNDECODABLE
from services.records.profiles import Email, JsonObject, LongText, Name, Phone, Services, ShortText, invalid_field

# Stands for what a row does not name at all.
MISSING = object()


@dataclass(slots=True)
class Cells:
    """The checked values of one column: None where a row gives none.

    `wrong` says by the row's position why a cell is refused, `cleared` which rows clear the field.
    """

    values: list[Any]
    wrong: dict[int, str] = field(default_factory=dict)
    cleared: list[int] = field(default_factory=list)


class _Wrong(Exception):
    """Why a cell is refused."""


class _Kind(NamedTuple):
    """How values of a field are read.

    `plain` matches texts that are taken as they are; `check` makes what is stored of a value of JSON, `parse` of a
    cell's text. `clearable`: a null clears the field.
    """

    plain: re.Pattern[str]
    check: Callable[[Any], Any]
    parse: Callable[[str], Any]
    clearable: bool = True


def _typed(adapter: TypeAdapter[Any], value: object) -> Any:  # noqa: ANN401  what the type makes of it
    if isinstance(value, str) and UNDECODABLE in value:
        message = "holds bytes that make no character in the file's encoding"
        raise _Wrong(message)
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        raise _Wrong(invalid_field(error).reason) from None


def _identity(value: object) -> str:
    try:
        return str(UUID(value if isinstance(value, str) else ""))
    except ValueError:
        message = "must be a UUID"
        raise _Wrong(message) from None


def _written(adapter: TypeAdapter[Any], value: object) -> str:
    """A list or document as the JSON that PostgreSQL stores."""
    return to_json(_typed(adapter, value)).decode()


def _parsed(adapter: TypeAdapter[Any], text: str) -> str:
    try:
        value = from_json(text, allow_inf_nan=False)
    except ValueError:
        message = "is not JSON"
        raise _Wrong(message) from None
    return _written(adapter, value)


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    message = "must be true or false"
    raise _Wrong(message)


def _parsed_flag(text: str) -> bool:
    found = _FLAGS.get(text.strip().lower())
    if found is None:
        message = "must be true, false, yes, no, 1 or 0"
        raise _Wrong(message)
    return found


def _services(text: str) -> str:
    """Names between semicolons or bars, or a JSON list."""
    if text.lstrip().startswith("["):
        return _parsed(_SERVICES, text)
    return _written(_SERVICES, [name for part in _SEPARATORS.split(text) if (name := part.strip())])


def _adapter(type_: Any) -> TypeAdapter[Any]:  # noqa: ANN401  an annotated type
    return TypeAdapter(type_, config=ConfigDict(strict=True, allow_inf_nan=False))


def _text(plain: re.Pattern[str], type_: Any, *, clearable: bool = True) -> _Kind:  # noqa: ANN401  likewise
    check = partial(_typed, _adapter(type_))
    return _Kind(plain, check, check, clearable)


_SEPARATORS = re.compile("[;|]")
_FLAGS = dict.fromkeys(("true", "yes", "y", "1"), True) | dict.fromkeys(("false", "no", "n", "0"), False)
_SERVICES = _adapter(Services)
_CONTEXT = _adapter(JsonObject)
# Printable ASCII with nothing to trim. An empty cell says nothing.
_WORDS = r"(?:[!-~](?:[ -~]{0,%d}[!-~])?)?"
_SHORT = re.compile(_WORDS % 198)
_LONG = re.compile(_WORDS % 9998)
_EMAIL = re.compile(r"(?:[A-Za-z0-9._%+'-]{1,64}@(?:[A-Za-z0-9-]{1,60}\.){1,3}[A-Za-z0-9-]{1,60})?")
_PHONE = re.compile(r"(?:\+[1-9][0-9]{3,14})?")
_UUID = re.compile(r"(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})?")
_NEVER = re.compile(r"(?!)")

_KINDS: dict[str, _Kind] = {
    "id": _Kind(_UUID, _identity, _identity, clearable=False),
    "external_id": _text(_SHORT, ShortText),
    "business_name": _text(_SHORT, Name, clearable=False),
    "primary_email": _text(_EMAIL, Email),
    "primary_phone": _text(_PHONE, Phone),
    "industry_category": _text(_SHORT, ShortText),
    "business_description": _text(_LONG, LongText),
    "business_context": _Kind(_NEVER, partial(_written, _CONTEXT), partial(_parsed, _CONTEXT), clearable=False),
    "community_id": _Kind(_UUID, _identity, _identity),
    "community_slug": _text(_SHORT, ShortText),
    "service_model": _text(_SHORT, ShortText),
    "services_activated": _Kind(_NEVER, partial(_written, _SERVICES), _services, clearable=False),
} | {
    name: _Kind(_NEVER, _flag, _parsed_flag, clearable=False)
    for name in ("email_opted_in", "sms_opted_in", "rvm_opted_in", "phone_opted_in", "do_not_contact")
}
FIELDS = tuple(_KINDS)
"""What a column may be: the fields of an SMB that others give, and its community by its slug."""


def cell_reader(field_name: str) -> Callable[[Sequence[str]], Cells]:
    """Give what reads the cells of a CSV column; an empty cell gives no value."""
    kind = _KINDS[field_name]

    def read(texts: Sequence[str]) -> Cells:
        if all(map(kind.plain.fullmatch, texts)):
            return Cells([text or None for text in texts])
        parsed: dict[str, Any] = {}
        wrong: dict[str, str] = {}
        for text in set(texts):  # what repeats itself is parsed once
            try:
                parsed[text] = kind.parse(text) if text and not text.isspace() else None
            except _Wrong as error:
                wrong[text] = str(error)
        cells = Cells([parsed.get(text) for text in texts])
        if wrong:
            cells.wrong = {place: wrong[text] for place, text in enumerate(texts) if text in wrong}
        return cells

    return read


def value_reader(field_name: str) -> Callable[[Sequence[Any]], Cells]:
    """Give what reads the values of one name in JSON objects; MISSING gives no value, null clears the field."""
    kind = _KINDS[field_name]

    def read(values: Sequence[Any]) -> Cells:
        if all(isinstance(value, str) and value and kind.plain.fullmatch(value) for value in values):
            return Cells(list(values))
        cells = Cells([None] * len(values))
        for place, value in enumerate(values):
            if value is MISSING or (value is None and field_name == "id"):
                continue
            try:
                checked = None if value is None and kind.clearable else kind.check(value)
            except _Wrong as error:
                cells.wrong[place] = str(error)
            else:
                cells.values[place] = checked
                if checked is None:
                    cells.cleared.append(place)
        return cells

    return read
