"""The limits of what events, commands and triggers carry."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from shared.schemas.bad_message import BadMessage
from shared.schemas.catalog import CAMPAIGN_COMMANDS, SCHEDULE_TRIGGERS
from shared.schemas.envelope import decode, require_not_ahead
from tests.schemas.records import NOW, STRUCTURED_HEADER, GivenRecord, binary, document, refused, structured, without


@pytest.mark.parametrize(
    ("number", "taken"),
    [
        *((number, True) for number in ("0", "23.5", "1e9")),
        *(
            (number, False)
            for number in ("1000000000.1", "-1", "1e400", "NaN", "Infinity", '"12"', "true", "1" + "0" * 400)
        ),
    ],
)
def test_a_duration_is_a_finite_number_within_bounds(number: str, taken: bool) -> None:  # noqa: FBT001
    event = document({"drop_id": "d", "duration_seconds": "NUMBER"}, type="RVMDelivered")
    record = GivenRecord(json.dumps(event).replace('"NUMBER"', number).encode(), (STRUCTURED_HEADER,))

    if taken:
        assert decode(record, frozenset({"RVMDelivered"}), NOW).type == "RVMDelivered"
    else:
        assert str(refused(record, frozenset({"RVMDelivered"}))).startswith("data.duration_seconds: ")


@pytest.mark.parametrize(("length", "taken"), [(2_000, True), (2_001, False)])
def test_a_url_has_at_most_2000_characters(length: int, taken: bool) -> None:  # noqa: FBT001
    record = structured(document({"url": "u" * length}, type="EmailClicked"))

    if taken:
        assert decode(record, frozenset({"EmailClicked"}), NOW).type == "EmailClicked"
    else:
        assert str(refused(record, frozenset({"EmailClicked"}))).startswith("data.url: ")


@pytest.mark.parametrize(("decision", "taken"), [("rejected", True), ("maybe", False), (None, False)])
def test_a_decision_is_approved_or_rejected(decision: str | None, taken: bool) -> None:  # noqa: FBT001
    record = structured(document({"approval_id": "a", "service": "s", "decision": decision}, type="ApprovalSubmitted"))

    if taken:
        decode(record, frozenset({"ApprovalSubmitted"}), NOW)
    else:
        assert str(refused(record, frozenset({"ApprovalSubmitted"}))).startswith("data.decision: ")


def trigger(scheduled_for: str) -> dict[str, Any]:
    """Return a trigger, which names neither a tenant nor an SMB."""
    event = without(without(document(type="AdvanceManifestDestinyDay"), "subject"), "tenantid")
    return event | {"data": {"scheduled_for": scheduled_for}}


@pytest.mark.parametrize("mode", [structured, binary])
def test_a_trigger_needs_no_tenant(mode: Callable[..., GivenRecord]) -> None:
    message = decode(mode(trigger("2026-03-02T00:01:00Z")), frozenset(SCHEDULE_TRIGGERS), NOW)

    assert (message.smb, message.type) == (None, "AdvanceManifestDestinyDay")


@pytest.mark.parametrize(
    ("scheduled_for", "error_class"),
    [
        ("2026-03-02T12:05:01Z", "time_ahead"),
        ("0001-01-01T00:00:00+14:00", "wrong_field"),
        ("2026-03-02", "wrong_field"),
    ],
)
def test_a_trigger_for_no_moment_or_a_later_one_is_bad(scheduled_for: str, error_class: str) -> None:
    complaint = refused(structured(trigger(scheduled_for)), frozenset(SCHEDULE_TRIGGERS))

    assert complaint.error_class == error_class
    assert str(complaint).startswith("data.scheduled_for: ")


@pytest.mark.parametrize("start_date", [None, "2026-3-9", "1700006400", "2026-03-09T00:00:00Z", 20_000])
def test_a_planned_campaign_needs_a_date(start_date: object) -> None:
    event = document({"start_date": start_date}, type="ScheduleCampaign")

    assert str(refused(structured(event), frozenset(CAMPAIGN_COMMANDS))).startswith("data.start_date: ")


def test_a_trigger_that_is_found_to_be_ahead_later_still_tells_whose_it_is() -> None:
    message = decode(structured(trigger("2026-03-02T12:00:00Z")), frozenset(SCHEDULE_TRIGGERS))

    require_not_ahead(message, NOW)
    with pytest.raises(BadMessage) as caught:
        require_not_ahead(message, NOW - timedelta(minutes=6))

    assert (caught.value.error_class, caught.value.claimed_type) == ("time_ahead", "AdvanceManifestDestinyDay")
