"""Requests to change SMBs and communities: checked and normalised as soon as they are made.

What a request does not name stays as it is. `smb_change_from`, `community_change_from` and `context_from` take what
others sent and raise InvalidField.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_core import PydanticCustomError

from services.records.profiles import JsonObject, Name, NewCommunity, Profile, Request, State, invalid_field
from shared.schemas.identity import SmbKey

SLUG_MAX_CHARACTERS = 200
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_IDENTITY = frozenset({"tenant_id", "id", "expected_revision"})


def _trimmed(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


def _slug(value: str) -> str:
    if _SLUG.fullmatch(value) is None:
        raise PydanticCustomError("slug", "must be small letters and digits, with single dashes between them")
    return value


Slug = Annotated[
    str, BeforeValidator(_trimmed), Field(min_length=1, max_length=SLUG_MAX_CHARACTERS), AfterValidator(_slug)
]
Revision = Annotated[int, Field(ge=1)]


class CommunityKey(NamedTuple):
    """A community's identity."""

    tenant_id: UUID
    community_id: UUID


class Change(Request):
    """A change of something that exists; what was not given stays."""

    id: UUID
    expected_revision: Revision | None = Field(default=None, description="The revision that the sender has read.")

    @property
    def given(self) -> dict[str, Any]:
        """The fields to change and their new values; null clears a field."""
        return {name: getattr(self, name) for name in sorted(self.model_fields_set - _IDENTITY)}


class SmbChange(Change, Profile):
    """A change of any part of one SMB's profile. Defaults stand for what was not given, and are never read."""

    business_name: Name = ""
    slug: Slug = ""


class CommunityChange(Change, NewCommunity):
    """A change of any part of one community. Defaults stand for what was not given, and are never read."""

    name: Name = ""
    state: State = ""
    slug: Slug = ""

    @property
    def key(self) -> CommunityKey:
        """The community's identity."""
        return CommunityKey(self.tenant_id, self.id)


class NewContext(Request):
    """The business context that an SMB is to have instead of its present one."""

    id: UUID
    expected_revision: Revision | None = None
    business_context: JsonObject

    @property
    def key(self) -> SmbKey:
        """The SMB's identity."""
        return SmbKey(self.tenant_id, self.id)


def smb_change_from(fields: Mapping[str, Any]) -> SmbChange:
    """Give the request that says `fields`. Raises InvalidField for the first one that is wrong."""
    try:
        return SmbChange(**fields)
    except ValidationError as error:
        raise invalid_field(error) from None


def community_change_from(fields: Mapping[str, Any]) -> CommunityChange:
    """Give the request that says `fields`. Raises InvalidField for the first one that is wrong."""
    try:
        return CommunityChange(**fields)
    except ValidationError as error:
        raise invalid_field(error) from None


def context_from(fields: Mapping[str, Any]) -> NewContext:
    """Give the request that says `fields`. Raises InvalidField for the first one that is wrong."""
    try:
        return NewContext(**fields)
    except ValidationError as error:
        raise invalid_field(error) from None
