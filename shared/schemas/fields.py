"""The kinds of field that messages are made of, with the limits that hold for all of them."""

from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError, core_schema

WITHOUT_NUL = r"^[^\x00]*$"
"""PostgreSQL stores no NUL in a text."""

RFC_3339 = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
"""An offset is required; what the pattern lets through, the parser still checks (month 13, hour 25)."""

FULL_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"


class WireModel(BaseModel):
    """Data of one message type: strict types, unknown fields ignored, never changed once made."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)


Model = TypeVar("Model", bound=BaseModel)


def of_checked(model: type[Model], values: dict[str, Any], given: AbstractSet[str] | None = None) -> Model:
    """Make a model of values that its types have checked before: nothing is checked again, and nothing copied.

    `values` has every field; `given` names those that count as given, else all. For thousands at once, where pydantic's
    own `model_construct` takes longer than everything else.
    """
    made = model.__new__(model)
    object.__setattr__(made, "__dict__", values)
    object.__setattr__(made, "__pydantic_fields_set__", set(values) if given is None else set(given))
    object.__setattr__(made, "__pydantic_extra__", None)
    object.__setattr__(made, "__pydantic_private__", None)
    return made


class SmbData(WireModel):
    """Data of a message about one SMB."""

    smb_id: UUID = Field(description="The SMB's id within the message's tenant; the message's `subject` says the same.")


# The database's driver takes the very first and the very last moment for minus and plus infinity.
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def _in_utc(moment: datetime) -> datetime:
    try:
        in_utc = moment.astimezone(UTC)
    except OverflowError:
        in_utc = _FIRST
    if not _FIRST < in_utc < _LAST:
        raise PydanticCustomError("time_out_of_range", "Input should be a time that exists in UTC")
    return in_utc


class _Rfc3339:
    """A moment: RFC 3339 text with an offset on the wire, an aware datetime in UTC in Python.

    Fractions of a second beyond six digits are cut.
    """

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        text = core_schema.str_schema(pattern=RFC_3339, strict=True)
        parsed = core_schema.datetime_schema(strict=False, microseconds_precision="truncate")
        given = core_schema.datetime_schema(strict=True, tz_constraint="aware")
        return core_schema.no_info_after_validator_function(
            _in_utc,
            core_schema.json_or_python_schema(core_schema.chain_schema([text, parsed]), given),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "format": "date-time"}


class _FullDate:
    """A calendar date: YYYY-MM-DD on the wire, never a number that happens to be one."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        text = core_schema.str_schema(pattern=FULL_DATE, strict=True)
        return core_schema.json_or_python_schema(
            core_schema.chain_schema([text, core_schema.date_schema(strict=False)]),
            core_schema.date_schema(strict=True),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "format": "date"}


UtcTime = Annotated[datetime, _Rfc3339]
FullDate = Annotated[date, _FullDate]
Text = Annotated[str, Field(min_length=1, max_length=200, pattern=WITHOUT_NUL)]
Url = Annotated[str, Field(min_length=1, max_length=2_000, pattern=WITHOUT_NUL)]
Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Score = Annotated[int, Field(ge=0, le=100)]
Tier = Annotated[int, Field(ge=1, le=4)]
CampaignDay = Annotated[int, Field(ge=1, le=90)]
