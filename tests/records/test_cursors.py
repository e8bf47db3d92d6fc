"""Cursors without a list."""

import base64
import json
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as any_of

from services.records.cursors import Cursor, Value
from services.records.errors import InvalidField

ID = uuid.UUID(int=7)


@pytest.mark.parametrize(
    "value", ["", "café 😀", 0, 100, None, datetime(2026, 3, 1, 9, 30, 0, 123456, tzinfo=UTC)], ids=repr
)
def test_a_cursor_comes_back_as_it_was(value: Value) -> None:
    text = Cursor(value, ID).encode("a list")
    assert Cursor.decode(text, "a list", type(value)) == (value, ID)
    with pytest.raises(InvalidField):
        Cursor.decode(text, "another list", type(value))


@given(any_of.text() | any_of.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_what_is_no_cursor_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidField) as refused:
        Cursor.decode(text, "a list", str)
    assert refused.value.field == "cursor"


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("a\0", str),
        ("\ud800", str),
        (1, str),
        ("1", int),
        (True, int),
        (2**40, int),
        (1.5, int),
        ("2026-03-01", datetime),
        ("0001-01-01T00:00:00+14:00", datetime),
        ("9999-12-31T23:59:59-14:00", datetime),
        (["x"], str),
    ],
)
def test_a_forged_value_never_reaches_the_database(value: Any, kind: type) -> None:  # noqa: ANN401  forged
    digest = json.loads(base64.b64decode(Cursor("x", ID).encode("a list") + "=="))[0]
    for document in ([digest, value, str(ID)], [digest, value], [digest, value, "no id"], {"digest": digest}):
        text = base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")
        with pytest.raises(InvalidField):
            Cursor.decode(text, "a list", kind)
