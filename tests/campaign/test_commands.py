"""Which moves are possible from where, and what each does."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.campaign.rules import (
    Action,
    Campaign,
    Cancel,
    Pause,
    RefusalName,
    Resume,
    Schedule,
    Start,
    Status,
    advance,
    decide,
    position,
    refresh,
)
from tests.campaign.examples import (
    BERLIN,
    COMMANDS,
    FIRST_RUN,
    NEW_YORK,
    NINE,
    NOON,
    SECOND_RUN,
    day,
    in_status,
    moment,
    started_run,
)

POSSIBLE = {
    ("draft", "start"): Status.RUNNING,
    ("completed", "start"): Status.RUNNING,
    ("cancelled", "start"): Status.RUNNING,
    ("draft", "schedule"): Status.SCHEDULED,
    ("completed", "schedule"): Status.SCHEDULED,
    ("cancelled", "schedule"): Status.SCHEDULED,
    ("scheduled", "schedule"): Status.SCHEDULED,
    ("running", "pause"): Status.PAUSED,
    ("paused", "resume"): Status.RUNNING,
    ("scheduled", "cancel"): Status.CANCELLED,
    ("running", "cancel"): Status.CANCELLED,
    ("paused", "cancel"): Status.CANCELLED,
}


def at_a_time_after(campaign: Campaign | None) -> str:
    """Give a moment at which the run is up to date."""
    return "2026-06-02 12:00" if campaign and campaign.status is Status.COMPLETED else "2026-01-12 12:00"


@pytest.mark.parametrize("move", COMMANDS)
@pytest.mark.parametrize("status", Status)
def test_each_move_is_possible_from_exactly_the_states_of_the_table(status: str, move: str) -> None:
    campaign = in_status(status)
    command = Schedule(day("2026-08-01")) if move == "schedule" else COMMANDS[move]
    decision = decide(campaign, command, BERLIN, moment(at_a_time_after(campaign)), SECOND_RUN)
    if (status, move) in POSSIBLE:
        assert decision.refusal is None
        assert decision.status is POSSIBLE[status, move]
        assert [(step.action, step.old_status, step.campaign) for step in decision.transitions] == [
            (Action(move), Status(status), decision.campaign)
        ]
        assert decision.changed == (decision.campaign,)
    else:
        assert decision.refusal is not None
        assert decision.refusal.name is RefusalName.WRONG_STATUS
        assert decision.refusal.reason == f"{move} is not possible from {status}"
        assert decision.transitions == ()
        assert decision.status is Status(status)


def test_a_start_makes_day_one_of_the_next_send_moment() -> None:
    before_nine = decide(None, Start(), BERLIN, moment("2026-01-10 07:59"), FIRST_RUN).campaign
    assert before_nine == Campaign(
        id=FIRST_RUN,
        status=Status.RUNNING,
        start_date=day("2026-01-10"),
        day_one=day("2026-01-10"),
        day=1,
        next_send=moment("2026-01-10 08:00"),
        timezone="Europe/Berlin",
        send_time=NINE,
        refreshed_at=moment("2026-01-10 07:59"),
    )
    at_nine = decide(None, Start(), BERLIN, moment("2026-01-10 08:00"), FIRST_RUN).campaign
    assert at_nine is not None
    assert (at_nine.day, at_nine.day_one, at_nine.next_send) == (1, day("2026-01-11"), moment("2026-01-11 08:00"))


def test_a_new_run_has_a_new_id_and_leaves_the_old_one_alone() -> None:
    old = in_status("cancelled")
    decision = decide(old, Start(), BERLIN, NOON, SECOND_RUN)
    assert decision.campaign is not None
    assert decision.campaign.id == SECOND_RUN
    assert [run.id for run in decision.changed] == [SECOND_RUN]


def test_a_start_after_day_90_completes_the_old_run_before_it_opens_the_new_one() -> None:
    decision = decide(started_run(), Start(), BERLIN, moment("2026-06-01 12:00"), SECOND_RUN)
    assert [(step.action, step.old_status, step.campaign.id) for step in decision.transitions] == [
        (Action.COMPLETE, Status.RUNNING, FIRST_RUN),
        (Action.START, Status.COMPLETED, SECOND_RUN),
    ]
    assert [(run.id, run.status) for run in decision.changed] == [
        (FIRST_RUN, Status.COMPLETED),
        (SECOND_RUN, Status.RUNNING),
    ]


def test_a_scheduled_run_has_no_day_and_no_send_yet() -> None:
    scheduled = in_status("scheduled")
    assert scheduled is not None
    assert (scheduled.start_date, scheduled.day_one, scheduled.day, scheduled.next_send) == (
        day("2026-02-01"), None, None, None,
    )  # fmt: skip


def test_scheduling_again_moves_the_date_of_the_same_run() -> None:
    moved = decide(in_status("scheduled"), Schedule(day("2026-02-20"), "holiday"), BERLIN, NOON, SECOND_RUN)
    assert moved.campaign is not None
    assert (moved.campaign.id, moved.campaign.start_date) == (FIRST_RUN, day("2026-02-20"))
    assert [(step.old_status, step.reason) for step in moved.transitions] == [(Status.SCHEDULED, "holiday")]


def test_a_date_may_be_moved_although_the_run_would_start_at_the_next_trigger() -> None:
    tomorrow = decide(None, Schedule(day("2026-01-13")), BERLIN, NOON, FIRST_RUN).campaign
    assert decide(tomorrow, Schedule(day("2026-01-14")), BERLIN, NOON, SECOND_RUN).status is Status.SCHEDULED


def test_a_pause_keeps_the_day_that_was_not_sent_and_its_reason() -> None:
    decision = decide(started_run(), Pause("owner is away"), BERLIN, moment("2026-01-15 07:00"), SECOND_RUN)
    paused = decision.campaign
    assert paused is not None
    assert (paused.day, paused.next_send, paused.start_date) == (5, None, day("2026-01-11"))
    assert decision.transitions[-1].reason == "owner is away"


def test_a_pause_at_ten_knows_that_todays_message_has_gone() -> None:
    paused = decide(started_run(), Pause(), BERLIN, moment("2026-01-15 09:00"), SECOND_RUN).campaign
    assert paused is not None
    assert paused.day == 6


def test_a_resume_goes_on_with_the_unsent_day_and_keeps_the_start_date() -> None:
    paused = decide(started_run(), Pause(), BERLIN, moment("2026-01-15 07:00"), SECOND_RUN).campaign
    resumed = decide(paused, Resume(), BERLIN, moment("2026-02-20 12:00"), SECOND_RUN).campaign
    assert resumed is not None
    assert (resumed.day, resumed.next_send) == (5, moment("2026-02-21 08:00"))
    assert (resumed.day_one, resumed.start_date) == (day("2026-02-17"), day("2026-01-11"))
    next_day = refresh(resumed, BERLIN, moment("2026-02-21 08:00")).campaign
    assert next_day is not None
    assert next_day.day == 6


def test_a_resume_within_the_day_of_the_pause_loses_nothing() -> None:
    running = started_run()
    paused = decide(running, Pause(), BERLIN, moment("2026-01-11 07:00"), SECOND_RUN).campaign
    resumed = decide(paused, Resume(), BERLIN, moment("2026-01-11 07:30"), SECOND_RUN).campaign
    assert resumed == replace(running, refreshed_at=moment("2026-01-11 07:30"))


def test_a_resume_before_the_start_date_does_not_send_earlier() -> None:
    scheduled = decide(None, Schedule(day("2026-01-20")), BERLIN, NOON, FIRST_RUN).campaign
    started = advance(scheduled, BERLIN, moment("2026-01-19 07:30")).campaign
    paused = decide(started, Pause(), BERLIN, moment("2026-01-19 07:31"), SECOND_RUN).campaign
    resumed = decide(paused, Resume(), BERLIN, moment("2026-01-19 07:32"), SECOND_RUN).campaign
    assert resumed is not None
    assert (resumed.day, resumed.next_send) == (1, moment("2026-01-20 08:00"))


def test_a_cancelled_run_keeps_its_day_and_start_date_readable() -> None:
    for status in ("running", "paused"):
        cancelled = decide(in_status(status), Cancel(), BERLIN, NOON, SECOND_RUN).campaign
        assert cancelled is not None
        assert cancelled.day is not None
        assert (cancelled.start_date, cancelled.next_send) == (day("2026-01-11"), None)
        assert position(cancelled, cancelled.refreshed_at) == (cancelled.day, None)


def test_a_command_first_takes_over_a_changed_zone() -> None:
    decision = decide(started_run(), Pause(), NEW_YORK, moment("2026-01-13 12:00"), SECOND_RUN)
    assert [step.action for step in decision.transitions] == [Action.CHANGE_TIMEZONE, Action.PAUSE]
    assert decision.campaign is not None
    assert decision.campaign.timezone == "America/New_York"


def test_the_clock_of_a_command_never_goes_back_behind_the_last_refresh() -> None:
    running = refresh(started_run(), BERLIN, moment("2026-01-20 12:00")).campaign
    assert running is not None
    decision = decide(running, Pause(), BERLIN, moment("2026-01-20 12:00") - timedelta(days=3), SECOND_RUN)
    assert decision.campaign is not None
    assert decision.campaign.day == running.day
    assert decision.campaign.refreshed_at == running.refreshed_at
