"""What decoding takes, and what it makes a dead letter of."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.schemas.bad_message import UnknownType
from shared.schemas.catalog import CAMPAIGN_COMMANDS, ENGAGEMENT_EVENTS
from shared.schemas.engagement import EmailOpened
from shared.schemas.envelope import BODY_MAX_BYTES, decode
from shared.schemas.identity import Place, SmbKey, event_key
from tests.schemas.records import (
    EMAIL_OPENED,
    NOW,
    OTHER_ID,
    SMB_ID,
    STRUCTURED_HEADER,
    TENANT_ID,
    TRACE,
    GivenRecord,
    Headers,
    binary,
    document,
    refused,
    structured,
    without,
)

Mode = Callable[..., GivenRecord]

EVENTS = frozenset(ENGAGEMENT_EVENTS)
BODY = json.dumps(document()).encode()


@pytest.mark.parametrize("types", [EMAIL_OPENED, EVENTS], ids=["one type", "all events"])
@pytest.mark.parametrize("mode", [structured, binary])
def test_an_event_becomes_an_input_in_both_modes(mode: Mode, types: frozenset[str]) -> None:
    message = decode(mode(document(), ("traceparent", TRACE.encode())), types, NOW)

    assert (message.type, message.source, message.id) == ("EmailOpened", "/modules/email", "e-1")
    assert message.time == datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
    assert message.time.tzinfo is UTC
    assert message.smb == SmbKey(UUID(TENANT_ID), UUID(SMB_ID))
    assert message.data == EmailOpened(smb_id=UUID(SMB_ID), message_id="m-1")
    assert message.traceparent == TRACE
    assert message.place == Place("email.opened", 3, 41)
    assert message.event_key == event_key("/modules/email", "e-1")


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(GivenRecord(BODY), id="no header at all"),
        pytest.param(GivenRecord(BODY, (("ce_id", None),)), id="specversion in the body beside a broken ce_id"),
        pytest.param(
            GivenRecord(BODY.replace(b"specversion", b"\\u0073pecversion"), (("ce_id", b"x"),)),
            id="escaped specversion",
        ),
        pytest.param(
            GivenRecord(BODY, (("Content-Type", b"Application/CloudEvents+JSON ; charset=utf-8"),)),
            id="written otherwise",
        ),
        pytest.param(GivenRecord(BODY, (STRUCTURED_HEADER, ("ce_id", b"\xff"))), id="binary headers mean nothing here"),
        pytest.param(structured(document(subject=None)), id="subject null"),
        pytest.param(structured(without(document(), "subject")), id="no subject"),
        pytest.param(structured(document(subject=SMB_ID.upper(), tenantid=TENANT_ID.upper())), id="upper case"),
        pytest.param(
            structured(document(datacontenttype=5, traceparent=[], extension={"a": 1})), id="broken extensions"
        ),
        pytest.param(structured(document(), ("any", None), ("other", b"\xff")), id="broken headers"),
        pytest.param(structured(document({"extra": "\0", "campaign_id": None})), id="NUL in an ignored field"),
        pytest.param(
            GivenRecord(BODY[:-1] + b', "a": NaN, "b": 1e400, "c": 1' + b"0" * 400 + b"}", (STRUCTURED_HEADER,)),
            id="odd numbers in ignored fields",
        ),
        pytest.param(binary(document(), ("ce_extension", None), ("any", None)), id="binary, broken extension"),
        pytest.param(binary(document(), ("ce_id", b"e-1")), id="binary, the same header twice"),
        pytest.param(binary(document(), ("content-type", b"application/json")), id="binary, JSON by its content type"),
    ],
)
def test_what_the_contract_allows_is_taken(record: GivenRecord) -> None:
    message = decode(record, EMAIL_OPENED, NOW)

    assert (message.id, message.smb) == ("e-1", SmbKey(UUID(TENANT_ID), UUID(SMB_ID)))


LONGEST = "x" * 200
BAD_DOCUMENTS = [
    (document(specversion="0.3"), "wrong_field", "specversion"),
    (document(time=1_772_357_400), "wrong_field", "time"),
    (document(time="1772357400"), "wrong_field", "time"),
    (document(time="2026-03-01"), "wrong_field", "time"),
    (document(time="2026-03-01T09:30:00"), "wrong_field", "time"),
    (document(time="2026-03-01_09:30:00Z"), "wrong_field", "time"),
    (document(time="2026-03-01T09:30:00+0100"), "wrong_field", "time"),
    (document(time="2026-02-30T09:30:00Z"), "wrong_field", "time"),
    (document(time="0001-01-01T00:00:00+14:00"), "wrong_field", "time"),
    (document(time="0001-01-01T00:00:00Z"), "wrong_field", "time"),
    (document(time="9999-12-31T23:59:59-14:00"), "wrong_field", "time"),
    (document(time="2026-03-02T12:05:00.000001Z"), "time_ahead", "time"),
    (document(id=""), "wrong_field", "id"),
    (document(id=LONGEST + "x"), "wrong_field", "id"),
    (document(id=7), "wrong_field", "id"),
    (document(source="a\0"), "wrong_field", "source"),
    (document(tenantid=None), "wrong_field", "tenantid"),
    (document(tenantid="nobody"), "wrong_field", "tenantid"),
    (document(subject=OTHER_ID), "subject_differs", "subject"),
    (document(subject="nobody"), "wrong_field", "subject"),
    (document({"smb_id": "12"}), "wrong_field", "data.smb_id"),
    (document({"message_id": 12}), "wrong_field", "data.message_id"),
    (document({"message_id": ""}), "wrong_field", "data.message_id"),
    (document({"message_id": "a\0b"}), "wrong_field", "data.message_id"),
    (document({"campaign_id": LONGEST + "x"}), "wrong_field", "data.campaign_id"),
    (document({"campaign_id": ["spring"]}), "wrong_field", "data.campaign_id"),
    (document() | {"data": None}, "wrong_field", "data"),
    (document() | {"data": {"smb_id": SMB_ID}}, "missing_field", "data.message_id"),
    *(
        (without(document(), name), "missing_field", name)
        for name in ("id", "source", "type", "time", "tenantid", "data")
    ),
]


@pytest.mark.parametrize("types", [EMAIL_OPENED, EVENTS], ids=["one type", "all events"])
@pytest.mark.parametrize(("event", "error_class", "field"), BAD_DOCUMENTS)
def test_a_wrong_field_is_named(event: dict[str, Any], error_class: str, field: str, types: frozenset[str]) -> None:
    complaint = refused(structured(event), types)

    assert complaint.error_class == error_class
    assert str(complaint).startswith(f"{field}: ")
    assert complaint.claimed_type == event.get("type")


@pytest.mark.parametrize(
    ("event", "error_class", "field"),
    [
        (document(time="yesterday"), "wrong_field", "ce_time"),
        (document(tenantid="nobody"), "wrong_field", "ce_tenantid"),
        (document(subject=OTHER_ID), "subject_differs", "subject"),
        (document({"message_id": 12}), "wrong_field", "data.message_id"),
        (document() | {"data": []}, "wrong_field", "data"),
        (document(type=""), "unknown_type", "ce_type"),
        *(
            (without(document(), name), "missing_field", f"ce_{name}")
            for name in ("specversion", "source", "type", "time")
        ),
    ],
)
def test_a_wrong_field_is_named_in_binary_mode(event: dict[str, Any], error_class: str, field: str) -> None:
    complaint = refused(binary(event))

    assert (complaint.error_class, str(complaint).split(": ")[0]) == (error_class, field)


@pytest.mark.parametrize(
    "headers",
    [(("ce_id", None),), (("ce_time", b"\xff\xfe"),), (("ce_id", b"e-2"),), (("ce_dataschema", None),)],
    ids=["no value", "not UTF-8", "a second value", "an attribute that is not used"],
)
def test_a_broken_attribute_makes_a_binary_message_bad(headers: Headers) -> None:
    given = {name for name, _ in headers} if headers[0][1] != b"e-2" else set()
    right = binary(document())
    kept = tuple(header for header in right.headers if header[0] not in given)

    assert refused(GivenRecord(right.value, (*kept, *headers))).error_class == "bad_header"


@pytest.mark.parametrize(
    ("body", "error_class"),
    [
        (None, "no_body"),
        (b"", "no_body"),
        (b" " * BODY_MAX_BYTES + BODY, "too_large"),
        (b"{", "not_json"),
        (b"\xff\xfe", "not_json"),
        (b"\xef\xbb\xbf" + BODY, "not_json"),
        (b"[" * 100_000, "not_json"),
        (BODY.replace(b"m-1", b"\\ud800"), "not_json"),
        (BODY + BODY, "not_json"),
        (BODY.replace(b"m-1", b"a\nb"), "not_json"),
        (b"[]", "wrong_field"),
        (b"null", "wrong_field"),
        (b"12", "wrong_field"),
    ],
)
@pytest.mark.parametrize("headers", [(STRUCTURED_HEADER,), ()], ids=["content type", "no headers"])
def test_a_body_that_is_no_document_is_bad(body: bytes | None, error_class: str, headers: Headers) -> None:
    complaint = refused(GivenRecord(body, headers))

    assert complaint.error_class == error_class
    assert str(complaint).startswith("body: ")


def test_a_body_of_exactly_one_mebibyte_is_taken() -> None:
    assert decode(GivenRecord(BODY.ljust(BODY_MAX_BYTES), (STRUCTURED_HEADER,)), EMAIL_OPENED, NOW).id == "e-1"


@pytest.mark.parametrize("mode", [structured, binary])
@pytest.mark.parametrize("types", [EMAIL_OPENED, frozenset(CAMPAIGN_COMMANDS)], ids=["one type", "several"])
@pytest.mark.parametrize("name", ["ContentViewed", "Nothing", "emailopened"])
def test_a_type_that_is_not_asked_for_is_unknown(mode: Mode, types: frozenset[str], name: str) -> None:
    complaint = refused(mode(document(type=name)), types)

    assert isinstance(complaint, UnknownType)
    assert (complaint.error_class, complaint.claimed_type) == ("unknown_type", name)


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-03-01T23:59:59.9999999Z", datetime(2026, 3, 1, 23, 59, 59, 999999, tzinfo=UTC)),
        ("2026-03-01T00:30:00+01:00", datetime(2026, 2, 28, 23, 30, tzinfo=UTC)),
        ("2026-03-01t09:30:00z", datetime(2026, 3, 1, 9, 30, tzinfo=UTC)),
        ("2026-03-02T12:05:00Z", NOW + timedelta(minutes=5)),
    ],
)
def test_a_time_is_given_in_utc_and_cut_after_six_digits(written: str, moment: datetime) -> None:
    time = decode(structured(document(time=written)), EMAIL_OPENED, NOW).time

    assert (time, time.tzinfo) == (moment, UTC)


@pytest.mark.parametrize(
    "values",
    [
        [None],
        [b"\xff"],
        [TRACE.upper().encode()],
        [TRACE.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32).encode()],
        [b"ff" + TRACE[2:].encode()],
        [TRACE.encode() + b"\n"],
        [TRACE.encode(), TRACE.replace("-01", "-00").encode()],
    ],
)
def test_a_trace_that_is_not_sane_is_ignored(values: list[bytes | None]) -> None:
    record = structured(document(), *(("traceparent", value) for value in values))

    assert decode(record, EMAIL_OPENED, NOW).traceparent is None


def test_a_reason_is_one_short_line_that_quotes_nothing() -> None:
    complaint = str(refused(binary(document(type="secret\n\0" + "x" * 10_000))))

    assert complaint.isprintable()
    assert len(complaint) <= 500
