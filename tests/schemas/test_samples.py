"""Golden samples decode for ever, and what we write today are the same bytes."""

import pytest

from shared.schemas.announcements import Announcement
from shared.schemas.catalog import ANNOUNCEMENTS, JOB_SHARDS, TYPES
from shared.schemas.claims import claimed_position
from shared.schemas.encoding import EncodedMessage, encode, encode_announcement, encode_document
from shared.schemas.envelope import Input, decode
from tests.schemas.golden import Sample, read_samples
from tests.schemas.records import NOW

ALL_TYPES = frozenset(TYPES)


@pytest.mark.parametrize("sample", read_samples(), ids=lambda sample: sample.name)
def test_a_sample_decodes_and_encodes_to_the_same_bytes(sample: Sample) -> None:
    message = decode(sample, ALL_TYPES, NOW)

    assert message.type == sample.type
    again = _encoded_again(message, sample)
    assert again.value == sample.value
    assert tuple(again.headers) == sample.headers


@pytest.mark.parametrize("sample", read_samples(), ids=lambda sample: sample.name)
def test_a_sample_decodes_alike_among_all_types_and_alone(sample: Sample) -> None:
    assert decode(sample, frozenset({sample.type}), NOW) == decode(sample, ALL_TYPES, NOW)


def test_there_is_a_sample_of_every_type_and_of_both_modes_where_others_send_it() -> None:
    ours = {f"{name}.binary" for name in ANNOUNCEMENTS | JOB_SHARDS}
    theirs = {
        f"{name}.{mode}"
        for name in TYPES.keys() - ANNOUNCEMENTS.keys() - JOB_SHARDS.keys()
        for mode in ("binary", "structured")
    }

    assert {sample.name for sample in read_samples()} == ours | theirs


def _encoded_again(message: Input, sample: Sample) -> EncodedMessage:
    if isinstance(message.data, Announcement):
        assert message.smb
        headers = dict(sample.headers)
        position = claimed_position(sample)
        assert position
        cause = headers.get("ce_causationid")
        return encode_announcement(
            message.data,
            tenant_id=message.smb.tenant_id,
            epoch=position[0],
            sequence=position[1],
            time=message.time,
            causation_id=cause.decode() if cause else None,
            traceparent=message.traceparent,
        )
    encoder = encode_document if sample.mode == "structured" else encode
    return encoder(
        message.data,
        id=message.id,
        time=message.time,
        source=message.source,
        smb=message.smb,
        traceparent=message.traceparent,
    )
