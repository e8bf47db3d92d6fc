"""Dates and moments in requests: written as RFC 3339 says, never a number that happens to be one."""

import re
from datetime import UTC, date, datetime
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError

from shared.schemas.fields import FULL_DATE, RFC_3339


def _written_as_moment(value: object) -> object:
    if not isinstance(value, str) or re.fullmatch(RFC_3339, value) is None:
        raise PydanticCustomError("moment", "must be an RFC 3339 time with an offset, such as 2026-03-01T09:30:00Z")
    return value


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("moment", "must lie within the calendar") from None


def _written_as_date(value: object) -> object:
    if not isinstance(value, str) or re.fullmatch(FULL_DATE, value) is None:
        raise PydanticCustomError("date", "must be a date, written YYYY-MM-DD")
    return value


Moment = Annotated[datetime, BeforeValidator(_written_as_moment), AfterValidator(_in_utc)]
Day = Annotated[date, BeforeValidator(_written_as_date)]
