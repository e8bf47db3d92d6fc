"""JSON Schemas for other teams."""

import json

from shared.schemas.catalog import TYPES
from shared.schemas.json_schemas import data_schemas, document_schemas


def test_every_type_has_a_schema_of_its_data_and_of_its_document() -> None:
    assert set(data_schemas()) == set(document_schemas()) == set(TYPES)


def test_every_field_of_every_type_is_described() -> None:
    for name, schema in data_schemas().items():
        for field, description in schema["properties"].items():
            assert description.get("description"), f"{name}.{field}"


def test_a_schema_tells_the_limits() -> None:
    url = data_schemas()["EmailClicked"]["properties"]["url"]

    assert (url["minLength"], url["maxLength"], url["pattern"]) == (1, 2_000, "^[^\\x00]*$")
    assert document_schemas()["EmailOpened"]["required"] == [
        "specversion", "id", "source", "time", "tenantid", "type", "data",
    ]  # fmt: skip


def test_schemas_are_plain_json() -> None:
    assert json.loads(json.dumps(document_schemas())) == document_schemas()
