"""JSON Schemas of all message types, for other teams' tools; made on demand, from the same definitions."""

from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter

from shared.schemas.catalog import TYPES
from shared.schemas.documents import document_of

JsonSchema = dict[str, Any]


def data_schemas() -> dict[str, JsonSchema]:
    """Return the JSON Schema of each type's data (the body in binary mode), by type."""
    return {name: model.model_json_schema() for name, model in TYPES.items()}


def document_schemas() -> dict[str, JsonSchema]:
    """Return the JSON Schema of each type's whole document (the body in structured mode), by type."""
    return {name: TypeAdapter(document_of(name)).json_schema() for name in TYPES}


def schema_of_documents(names: Iterable[str]) -> JsonSchema:
    """Return one schema, without references, of a list of whole documents of these types, for AsyncAPI."""
    documents = [TypeAdapter(document_of(name)).json_schema() for name in sorted(names)]
    return {"type": "array", "items": {"oneOf": [_inlined(one, one.get("$defs", {})) for one in documents]}}


def _inlined(part: Any, definitions: JsonSchema) -> Any:  # noqa: ANN401  any part of a JSON Schema
    if isinstance(part, list):
        return [_inlined(one, definitions) for one in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _inlined(definitions[part["$ref"].rpartition("/")[2]], definitions)
    return {name: _inlined(one, definitions) for name, one in part.items() if name != "$defs"}
