"""JSON Schemas of all message types, for other teams' tools; made on demand, from the same definitions."""

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
