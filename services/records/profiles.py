"""Requests to create SMBs and communities: checked and normalised as soon as they are made.

Texts are trimmed, an optional text that is blank is none. Building a request from values of our own raises pydantic's
ValidationError; `smb_from` and `community_from` take what others sent and raise InvalidField.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID, uuid4

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError
from pydantic_core import PydanticCustomError

from services.campaign.rules import is_known_zone
from services.records import rules
from services.records.errors import InvalidField
from shared.schemas.bad_message import bad_field
from shared.schemas.fields import WITHOUT_NUL
from shared.schemas.identity import SmbKey

# Each list is told whole whenever it changes.
SERVICES_MOST = 200
POPULATION_MAX = 2**31 - 1


def _trimmed(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


def _trimmed_or_none(value: object) -> object:
    return _trimmed(value) or None if isinstance(value, str) else value


def _email(value: str | None) -> str | None:
    if value is not None and not rules.is_email(value):
        raise PydanticCustomError("email", "must have one @ and a domain with a dot")
    return value


def _phone(value: str | None) -> str | None:
    if value is not None and not rules.is_phone(value):
        raise PydanticCustomError("phone", "must be an international number such as +1 212 555 0100")
    return value


def _state(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


def _zone(value: str | None) -> str | None:
    if value is not None and not is_known_zone(value):
        raise PydanticCustomError("time_zone", "must be an IANA time zone such as America/New_York")
    return value


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise PydanticCustomError("named_twice", "must not name a service twice")
    return names


def _storable(document: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """PostgreSQL's jsonb holds no NUL, no half of a surrogate pair and no NaN."""
    try:
        written = json.dumps(document, allow_nan=False, ensure_ascii=False)
        written.encode()
    except (ValueError, RecursionError):
        raise PydanticCustomError("json", "must be JSON of finite numbers and valid texts") from None
    # In JSON, NUL is the only thing that \u0000 stands for, unless its backslash is itself escaped.
    if "\\u0000" in written.replace("\\\\", ""):
        raise PydanticCustomError("json", "must not contain NUL")
    return document


Name = Annotated[str, BeforeValidator(_trimmed), Field(min_length=1, max_length=200, pattern=WITHOUT_NUL)]
ShortText = Annotated[
    Annotated[str, Field(max_length=200, pattern=WITHOUT_NUL)] | None, BeforeValidator(_trimmed_or_none)
]
LongText = Annotated[
    Annotated[str, Field(max_length=10_000, pattern=WITHOUT_NUL)] | None, BeforeValidator(_trimmed_or_none)
]
Email = Annotated[
    Annotated[str, Field(max_length=320, pattern=WITHOUT_NUL)] | None,
    BeforeValidator(_trimmed_or_none),
    AfterValidator(_email),
]
Phone = Annotated[
    Annotated[str, Field(max_length=40, pattern=WITHOUT_NUL)] | None,
    BeforeValidator(_trimmed_or_none),
    AfterValidator(_phone),
]
State = Annotated[str, BeforeValidator(_state), Field(pattern="^[A-Z]{2}$")]
Zone = Annotated[str | None, BeforeValidator(_trimmed_or_none), AfterValidator(_zone)]
Services = Annotated[tuple[Name, ...], Field(strict=False, max_length=SERVICES_MOST), AfterValidator(_distinct)]
JsonObject = Annotated[dict[str, JsonValue], AfterValidator(_storable)]


class Request(BaseModel):
    """What all requests share: strict types, no field that nobody knows, never changed once made."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    tenant_id: UUID
    id: UUID = Field(default_factory=uuid4, description="Made here unless the creator gives one.")


class NewCommunity(Request):
    """A community to create; its slug is made from its name."""

    name: Name
    state: State = Field(description="Two letters.")
    county: ShortText = None
    population: Annotated[int, Field(ge=0, le=POPULATION_MAX)] | None = None
    timezone: Zone = Field(default=None, description="IANA name; the campaigns of its SMBs follow it, else UTC.")
    settings: JsonObject = Field(default_factory=dict)


class Profile(Request):
    """What is known of an SMB. The phone is stored as it is written."""

    business_name: Name
    external_id: ShortText = None
    primary_email: Email = None
    primary_phone: Phone = None
    industry_category: ShortText = None
    business_description: LongText = None
    community_id: UUID | None = None
    service_model: ShortText = None
    services_activated: Services = ()
    email_opted_in: bool = True
    sms_opted_in: bool = False
    rvm_opted_in: bool = False
    phone_opted_in: bool = False
    do_not_contact: bool = False

    @property
    def key(self) -> SmbKey:
        """The SMB's identity."""
        return SmbKey(self.tenant_id, self.id)


class NewSmb(Profile):
    """An SMB to create; its slug is made from the business name."""

    business_context: JsonObject = Field(default_factory=dict)


def smb_from(fields: Mapping[str, Any]) -> NewSmb:
    """Give the request that says `fields`. Raises InvalidField for the first one that is wrong."""
    try:
        return NewSmb(**fields)
    except ValidationError as error:
        raise invalid_field(error) from None


def community_from(fields: Mapping[str, Any]) -> NewCommunity:
    """Give the request that says `fields`. Raises InvalidField for the first one that is wrong."""
    try:
        return NewCommunity(**fields)
    except ValidationError as error:
        raise invalid_field(error) from None


def invalid_field(error: ValidationError) -> InvalidField:
    """Name the field and say why; never quote what was sent, which may be private."""
    field, _, reason = str(bad_field(error)).partition(": ")
    return InvalidField(field.partition(".")[0], reason)
