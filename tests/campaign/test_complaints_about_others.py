"""What users of other campaign tools complain about does not happen here."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.campaign.rules import Circumstances, Pause, Resume, Start, Status, advance, decide, next_send, refresh
from tests.campaign.examples import BERLIN, FIRST_RUN, NINE, SECOND_RUN, day, moment, started_run


def test_jobs_that_run_at_once_or_on_an_old_copy_send_no_day_twice() -> None:
    run = started_run()
    trigger = moment("2026-01-12 00:01")
    outcomes = {advance(run, BERLIN, trigger + timedelta(seconds=seconds)).campaign for seconds in (0, 1, 600)}
    assert {(outcome.day, outcome.next_send) for outcome in outcomes if outcome} == {(2, moment("2026-01-12 08:00"))}


def test_a_resume_after_months_sends_one_message_and_not_all_that_were_missed() -> None:
    paused = decide(started_run(), Pause(), BERLIN, moment("2026-01-20 12:00"), SECOND_RUN).campaign
    assert paused is not None
    resumed = decide(paused, Resume(), BERLIN, moment("2026-06-01 12:00"), SECOND_RUN).campaign
    assert resumed is not None
    assert (resumed.day, resumed.next_send) == (paused.day, moment("2026-06-02 07:00"))
    following = refresh(resumed, BERLIN, moment("2026-06-02 07:00")).campaign
    assert following is not None
    assert following.next_send == moment("2026-06-03 07:00")


def test_a_resume_does_something() -> None:
    paused = decide(started_run(), Pause(), BERLIN, moment("2026-01-20 12:00"), SECOND_RUN).campaign
    decision = decide(paused, Resume(), BERLIN, moment("2026-01-20 12:00"), SECOND_RUN)
    assert decision.campaign is not None
    assert decision.campaign.next_send is not None
    assert len(decision.transitions) == 1


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("America/New_York", "2026-01-11 14:00"), ("Europe/Berlin", "2026-01-11 08:00"),
        ("Asia/Kolkata", "2026-01-11 03:30"), ("Pacific/Kiritimati", "2026-01-10 19:00"), ("UTC", "2026-01-11 09:00"),
    ],
)  # fmt: skip
def test_messages_go_out_in_local_time_and_on_the_local_date(zone: str, expected: str) -> None:
    send = next_send(moment("2026-01-10 18:59"), day("2026-01-11"), zone, NINE)
    assert (send.on, send.at) == (day("2026-01-11"), moment(expected))


@pytest.mark.parametrize(
    ("zone", "at", "first_date"),
    [
        ("America/Los_Angeles", "2026-01-11 03:00", "2026-01-11"),
        ("America/Los_Angeles", "2026-01-11 16:00", "2026-01-11"),
        ("Pacific/Auckland", "2026-01-10 19:00", "2026-01-11"),
        ("Pacific/Auckland", "2026-01-10 21:00", "2026-01-12"),
    ],
)
def test_day_one_is_not_off_by_one_where_the_local_date_is_not_that_of_utc(zone: str, at: str, first_date: str) -> None:
    run = started_run(at, Circumstances(NINE, zone))
    assert (run.day, run.day_one, run.start_date) == (1, day(first_date), day(first_date))


def test_do_not_contact_is_an_answer_and_not_an_error_to_retry() -> None:
    silent = replace(BERLIN, do_not_contact=True)
    answers = [decide(None, Start(), silent, moment("2026-01-10 12:00"), FIRST_RUN) for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0].refusal is not None
    assert answers[0].changed == ()


def test_a_contact_who_says_no_gets_nothing_more_from_that_moment() -> None:
    silent = replace(BERLIN, do_not_contact=True)
    stopped = refresh(started_run(), silent, moment("2026-01-12 07:59")).campaign
    assert stopped is not None
    assert (stopped.status, stopped.next_send) == (Status.PAUSED, None)
