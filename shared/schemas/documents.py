"""The CloudEvents attributes of each type, and the parsers of whole documents (structured mode).

The attributes are typed dicts, not models like the data: each message has them, and a model for them would cost a
sixth of the parsing.
"""

from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, Union
from uuid import UUID

from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict

from shared.schemas.catalog import TYPES
from shared.schemas.fields import SmbData, Text, UtcTime, WireModel

_ATTRIBUTES: dict[str, Any] = {
    "specversion": Annotated[Literal["1.0"], Field(description="Version of CloudEvents.")],
    "id": Annotated[Text, Field(description="With `source` and the SMB the event's identity; a retry repeats it.")],
    "source": Annotated[Text, Field(description="Who sends it, such as `/modules/email`.")],
    "time": Annotated[UtcTime, Field(description="When it happened, with an offset; at most 5 minutes ahead.")],
}
_SMB_ATTRIBUTES: dict[str, Any] = {
    "tenantid": Annotated[UUID, Field(description="The tenant to which the SMB belongs.")],
    "subject": NotRequired[Annotated[UUID | None, Field(description="The SMB; where given, the same as data.smb_id.")]],
}
_typed_dict: Any = TypedDict


Document = dict[str, Any]
"""A parsed document: the attributes of CloudEvents, as far as its type has them, `type` and `data`."""


class Parser(NamedTuple):
    """Parses JSON; `tagged` says that it puts the message's type before the path of an error."""

    parse: Callable[[bytes], Document]
    tagged: bool


def is_about_an_smb(name: str) -> bool:
    """Tell whether messages of this type name a tenant and an SMB."""
    return issubclass(TYPES[name], SmbData)


def document_of(name: str) -> Any:  # noqa: ANN401 -- a typed dict that is made here
    """Return the typed dict of a whole document of this type."""
    return _typed_dict(f"{name}Document", _attributes_of(name) | {"type": Literal[name], "data": TYPES[name]})


@cache
def documents(types: frozenset[str]) -> Parser:
    """Return the parser of whole documents of these types, one or more."""
    models = [document_of(name) for name in sorted(types)]
    if len(models) == 1:
        return Parser(TypeAdapter(models[0]).validator.validate_json, tagged=False)
    any_of_them: Any = Union[tuple(models)]  # noqa: UP007 -- how many, is known at run time only
    adapter: TypeAdapter[Any] = TypeAdapter(Annotated[any_of_them, Field(discriminator="type")])
    return Parser(adapter.validator.validate_json, tagged=True)


@cache
def attributes(name: str) -> Callable[[bytes], Document]:
    """Return the parser of a type's attributes, given as a JSON object of texts."""
    context = _typed_dict(f"{name}Attributes", _attributes_of(name))
    return TypeAdapter(context).validator.validate_json


@cache
def bodies(name: str) -> Callable[[bytes], WireModel]:
    """Return the parser of a type's data."""
    return TypeAdapter(TYPES[name]).validator.validate_json


def _attributes_of(name: str) -> dict[str, Any]:
    return _ATTRIBUTES | _SMB_ATTRIBUTES if is_about_an_smb(name) else _ATTRIBUTES
