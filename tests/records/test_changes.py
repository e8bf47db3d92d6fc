"""Requests to change SMBs, without any database."""

import uuid
from typing import Any

import pytest

from services.records.changes import context_from, smb_change_from
from services.records.errors import InvalidField

IDENTITY = {"tenant_id": uuid.UUID(int=1), "id": uuid.UUID(int=2)}


def test_only_what_is_given_is_changed() -> None:
    change = smb_change_from(
        IDENTITY | {"business_name": "  Alma ", "primary_email": " ", "sms_opted_in": True, "expected_revision": 3}
    )
    assert change.given == {"business_name": "Alma", "primary_email": None, "sms_opted_in": True}
    assert smb_change_from(IDENTITY).given == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("business_name", None),
        ("business_name", " "),
        ("email_opted_in", None),
        ("do_not_contact", "yes"),
        ("services_activated", None),
        ("services_activated", ("Website", "Website")),
        ("primary_email", "alma"),
        ("primary_phone", "555"),
        ("slug", None),
        ("slug", ""),
        ("slug", "Café"),
        ("slug", "a--b"),
        ("slug", "a\nb"),
        ("slug", "a" * 201),
        ("expected_revision", 0),
        # Only approvals fill this list, and only activations empty it.
        ("services_approved_pending", ()),
        ("engagement_score", 100),
        ("business_context", {}),
    ],
)
def test_a_wrong_field_is_named(field: str, value: Any) -> None:  # noqa: ANN401  that is what is tested
    with pytest.raises(InvalidField) as refused:
        smb_change_from(IDENTITY | {field: value})
    assert refused.value.field == field


def test_a_change_names_its_smb() -> None:
    with pytest.raises(InvalidField) as refused:
        smb_change_from({"tenant_id": uuid.UUID(int=1), "business_name": "Alma"})
    assert refused.value.field == "id"


def test_a_context_is_a_json_object() -> None:
    assert context_from(IDENTITY | {"business_context": {"a": [1]}}).business_context == {"a": [1]}
    for wrong in ({}, {"business_context": None}, {"business_context": {"a": "\0"}}):
        with pytest.raises(InvalidField) as refused:
            context_from(IDENTITY | wrong)
        assert refused.value.field == "business_context"
