"""Whatever bytes come, decoding gives an input or a bad message, and one service parks what is bad."""

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from shared.schemas.bad_message import BadMessage
from shared.schemas.catalog import SCHEDULE_TRIGGERS, TYPES
from shared.schemas.claims import claimed_identity, claimed_position, claimed_type
from shared.schemas.envelope import decode
from shared.schemas.topics import JOB_SHARDS_TOPIC, SCHEDULE_TOPIC, SERVICES, TOPICS, accepted_types, parks
from tests.schemas.records import NOW, OTHER_ID, SMB_ID, STRUCTURED_HEADER, TENANT_ID, GivenRecord, document

ALL_TYPES = frozenset(TYPES)
NAMES = st.sampled_from(
    [
        "content-type",
        "traceparent",
        *(f"ce_{name}" for name in ("specversion", "id", "source", "type", "time", "subject")),
    ]
)
VALUES = st.none() | st.binary(max_size=30) | st.sampled_from([b"1.0", b"EmailOpened", b"2026-03-01T00:00:00Z", b"a"])
HEADERS = st.lists(st.tuples(NAMES | st.text(max_size=12), VALUES), max_size=9).map(tuple)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from([SMB_ID, OTHER_ID, TENANT_ID, "1.0", "2026-03-01T00:00:00Z", "0001-01-01T00:00:00+14:00", *TYPES])
)  # fmt: skip
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=9,
)


@st.composite
def nearly_right(draw: st.DrawFn) -> bytes:
    """Return a right document in which some values have been replaced by anything."""
    event: dict[str, Any] = document(type=draw(st.sampled_from(sorted(TYPES))))
    for name in draw(st.sets(st.sampled_from(sorted(event)), max_size=2)):
        event[name] = draw(JSON)
    if isinstance(event["data"], dict):
        event["data"] |= draw(
            st.dictionaries(st.sampled_from(["smb_id", "message_id", "scheduled_for"]), JSON, max_size=2)
        )
    return json.dumps(event).encode()


BODIES = st.none() | st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()) | nearly_right()


@given(BODIES, HEADERS)
@example(b"[" * 100_000, (STRUCTURED_HEADER,))
@example(b'{"a":' * 100_000, (("ce_id", b"x"), ("ce_type", b"EmailOpened")))
@example(b'{"specversion": ' + b"9" * 5_000 + b"}", (("ce_id", b"x"),))
@example(b'{"type": "EmailOpened", "type": {"type": []}}', ())
@example(b'{"type": "\\ud800\\udc00", "id": "\\ud800"}', ())
def test_decoding_and_claims_never_fail_otherwise(
    body: bytes | None, headers: tuple[tuple[str, bytes | None], ...]
) -> None:
    record = GivenRecord(body, headers)

    claimed_position(record)
    tenant_id, smb_id, event_id = claimed_identity(record)
    try:
        message = decode(record, ALL_TYPES, NOW)
    except BadMessage as caught:
        bad: BadMessage | None = caught
    else:
        bad = None
        assert message.type == claimed_type(record)
        assert message.id == event_id
        assert message.smb is None or message.smb == (tenant_id, smb_id)
    if bad:
        assert str(bad).isprintable()
        assert 0 < len(str(bad)) <= 500
        assert bad.claimed_type == claimed_type(record)


@given(BODIES, HEADERS, st.sampled_from(sorted(TOPICS)))
@example(json.dumps(document(type="Nothing")).encode(), (STRUCTURED_HEADER,), SCHEDULE_TOPIC)
@example(json.dumps(document(type="EvaluateTierTransitions")).encode(), (STRUCTURED_HEADER,), SCHEDULE_TOPIC)
@example(json.dumps(document(type="CleanupDeletedSMBsShard")).encode(), (STRUCTURED_HEADER,), JOB_SHARDS_TOPIC)
def test_each_record_is_taken_by_a_service_or_parked_by_exactly_one(
    body: bytes | None, headers: tuple[tuple[str, bytes | None], ...], topic: str
) -> None:
    record = GivenRecord(body, headers, topic)
    takers, parkers = set(), set()
    for service in SERVICES:
        if not (types := accepted_types(service, topic)):
            continue
        try:
            decode(record, types, NOW)
            takers.add(service)
        except BadMessage as bad:
            if parks(service, topic, bad):
                parkers.add(service)

    assert len(parkers) == (0 if takers else 1)


@given(st.sampled_from(sorted(SCHEDULE_TRIGGERS)), st.integers(min_value=1))
def test_half_a_message_still_tells_whose_it_was(name: str, length: int) -> None:
    whole = json.dumps(document(type=name)).encode()
    record = GivenRecord(whole[: whole.index(b'"data"') + length % 30], (STRUCTURED_HEADER,))

    assert claimed_type(record) == name
