"""What is refused says so by name, and changes nothing."""

from dataclasses import replace
from datetime import time

import pytest

from services.campaign.rules import (
    Action,
    Cancel,
    Circumstances,
    Pause,
    RefusalName,
    Schedule,
    Status,
    decide,
)
from tests.campaign.examples import (
    BERLIN,
    COMMANDS,
    FIRST_RUN,
    NOON,
    SECOND_RUN,
    day,
    in_status,
    moment,
    started_run,
)


@pytest.mark.parametrize("start_date", ["2026-01-10", "2026-01-11", "2027-01-01", "9998-12-31"])
def test_a_start_date_is_ahead_while_its_send_moment_is(start_date: str) -> None:
    decision = decide(None, Schedule(day(start_date)), BERLIN, moment("2026-01-10 07:59"), FIRST_RUN)
    assert decision.refusal is None
    assert decision.status is Status.SCHEDULED


@pytest.mark.parametrize(
    ("start_date", "name"),
    [
        ("0001-01-01", RefusalName.START_DATE_NOT_AHEAD),
        ("2026-01-09", RefusalName.START_DATE_NOT_AHEAD),
        ("9999-01-01", RefusalName.START_DATE_TOO_FAR_AHEAD),
        ("9999-12-31", RefusalName.START_DATE_TOO_FAR_AHEAD),
    ],
)
@pytest.mark.parametrize("zone", ["Europe/Berlin", "Pacific/Kiritimati", "Etc/GMT+12"])
def test_a_date_that_has_passed_or_never_comes_is_refused_by_name(
    start_date: str, name: RefusalName, zone: str
) -> None:
    for send_time in (time(0), time(23, 59)):
        circumstances = Circumstances(send_time, zone)
        decision = decide(None, Schedule(day(start_date)), circumstances, moment("2026-01-11 12:00"), FIRST_RUN)
        assert decision.refusal is not None
        assert decision.refusal.name is name


def test_the_date_of_today_is_no_longer_ahead_at_its_send_moment() -> None:
    today = Schedule(day("2026-01-10"))
    decision = decide(None, today, BERLIN, moment("2026-01-10 08:00"), FIRST_RUN)
    assert decision.refusal is not None
    assert decision.refusal.name is RefusalName.START_DATE_NOT_AHEAD
    assert decision.refusal.reason == (
        "schedule is not possible from draft: the send moment of 2026-01-10 in Europe/Berlin has passed"
    )
    assert decision.campaign is None


def test_a_refused_date_leaves_the_scheduled_run_as_it_is() -> None:
    scheduled = in_status("scheduled")
    decision = decide(scheduled, Schedule(day("2026-01-12")), BERLIN, NOON, SECOND_RUN)
    assert decision.refusal is not None
    assert decision.campaign is scheduled
    assert decision.changed == ()


def test_a_pause_past_day_90_completes_and_is_refused() -> None:
    decision = decide(started_run(), Pause(), BERLIN, moment("2026-04-10 07:00"), SECOND_RUN)
    assert [step.action for step in decision.transitions] == [Action.COMPLETE]
    assert decision.refusal is not None
    assert decision.refusal.reason == "pause is not possible from completed"


@pytest.mark.parametrize(("status", "move"), [("draft", "start"), ("draft", "schedule"), ("paused", "resume")])
def test_nobody_is_contacted_who_does_not_want_it(status: str, move: str) -> None:
    silent = replace(BERLIN, do_not_contact=True)
    decision = decide(in_status(status), COMMANDS[move], silent, NOON, SECOND_RUN)
    assert decision.refusal is not None
    assert decision.refusal.name is RefusalName.DO_NOT_CONTACT
    assert decision.refusal.reason == f"{move} is not possible from {status} while do_not_contact is set"
    assert decision.transitions == ()


def test_a_paused_run_can_be_cancelled_while_do_not_contact_is_set() -> None:
    silent = replace(BERLIN, do_not_contact=True)
    assert decide(in_status("paused"), Cancel(), silent, NOON, SECOND_RUN).status is Status.CANCELLED


@pytest.mark.parametrize("move", COMMANDS)
@pytest.mark.parametrize("status", ["draft", "completed", "cancelled"])
def test_everything_is_refused_for_a_deleted_smb(status: str, move: str) -> None:
    deleted = replace(BERLIN, is_deleted=True)
    decision = decide(in_status(status), COMMANDS[move], deleted, NOON, SECOND_RUN)
    assert decision.refusal is not None
    assert decision.refusal.name is RefusalName.SMB_DELETED
    assert decision.refusal.reason == f"{move} is not possible from {status}: the SMB is deleted"
