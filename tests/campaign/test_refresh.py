"""What time, triggers and circumstances do to a run."""

from dataclasses import replace
from datetime import time, timedelta

import pytest

from services.campaign.rules import (
    Action,
    Circumstances,
    Pause,
    Reason,
    Resume,
    Status,
    UnknownTimeZoneError,
    advance,
    decide,
    refresh,
)
from tests.campaign.examples import (
    BERLIN,
    FIRST_RUN,
    NEW_YORK,
    NINE,
    SECOND_RUN,
    advanced,
    day,
    moment,
    scheduled_run,
    started_run,
)

MOMENT = timedelta(microseconds=1)


def test_an_smb_without_a_campaign_stays_without() -> None:
    decision = advance(None, BERLIN, moment("2026-01-10 12:00"))
    assert (decision.campaign, decision.changed, decision.transitions) == (None, (), ())


def test_the_day_follows_the_next_send() -> None:
    running = started_run()
    for number in range(90):
        before_send = moment("2026-01-11 06:59") + timedelta(days=number)
        run = refresh(running, BERLIN, before_send).campaign
        assert run is not None
        assert run.day == number + 1


def test_the_ordinary_new_day_is_no_transition() -> None:
    decision = advance(started_run(), BERLIN, moment("2026-01-12 00:01"))
    assert decision.transitions == ()
    assert [(run.day, run.next_send) for run in decision.changed] == [(2, moment("2026-01-12 08:00"))]


def test_a_trigger_that_comes_twice_changes_nothing() -> None:
    once = advance(started_run(), BERLIN, moment("2026-01-12 00:01"))
    again = advance(once.campaign, BERLIN, moment("2026-01-12 00:02"))
    assert again.campaign is once.campaign
    assert again.changed == ()


def test_a_late_trigger_takes_nothing_back() -> None:
    run = advanced(started_run(), "2026-01-15 12:00")
    assert advance(run, BERLIN, moment("2026-01-13 00:01")).campaign is run


def test_triggers_that_never_came_are_made_good_by_the_next() -> None:
    daily = started_run()
    for number in range(2, 20):
        daily = advanced(daily, f"2026-01-{10 + number} 00:01")
    once = advanced(started_run(), "2026-01-29 00:01")
    assert once == daily


def test_after_day_90_the_run_completes_and_stays_readable() -> None:
    last = moment("2026-04-10 07:00")  # summer time has begun: 09:00 is 07:00 UTC
    before = refresh(started_run(), BERLIN, last - MOMENT).campaign
    assert before is not None
    assert (before.day, before.next_send) == (90, last)
    decision = refresh(before, BERLIN, last)
    completed = decision.campaign
    assert completed is not None
    assert (completed.status, completed.day, completed.next_send) == (Status.COMPLETED, 90, None)
    assert completed.start_date == day("2026-01-11")
    assert [(step.action, step.old_status, step.reason) for step in decision.transitions] == [
        (Action.COMPLETE, Status.RUNNING, Reason.LAST_DAY_PASSED)
    ]
    assert refresh(completed, BERLIN, moment("2027-01-01 00:00")).campaign is completed


def test_a_run_that_nobody_looked_at_for_a_year_completes_at_day_90() -> None:
    completed = advanced(started_run(), "2027-01-10 00:01")
    assert (completed.status, completed.day) == (Status.COMPLETED, 90)


def test_a_scheduled_run_starts_less_than_25_hours_before_its_send_moment() -> None:
    start = moment("2026-02-01 08:00")
    scheduled = scheduled_run()
    assert advance(scheduled, BERLIN, start - timedelta(hours=25)).campaign is scheduled
    decision = advance(scheduled, BERLIN, start - timedelta(hours=25) + MOMENT)
    run = decision.campaign
    assert run is not None
    assert (run.id, run.status, run.day, run.day_one, run.next_send) == (
        FIRST_RUN, Status.RUNNING, 1, day("2026-02-01"), start,
    )  # fmt: skip
    assert [(step.action, step.old_status, step.reason) for step in decision.transitions] == [
        (Action.START, Status.SCHEDULED, Reason.START_DATE_REACHED)
    ]


@pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Apia", "Pacific/Kiritimati", "Etc/GMT+12", "UTC"])
def test_daily_triggers_start_every_run_on_its_date(zone: str) -> None:
    run = scheduled_run("2026-03-08", Circumstances(NINE, zone))
    for number in range(1, 11):
        run = advanced(run, f"2026-03-{number:02} 00:01", Circumstances(NINE, zone))
    assert (run.status, run.start_date, run.day_one) == (Status.RUNNING, day("2026-03-08"), day("2026-03-08"))


def test_a_missed_start_date_begins_at_the_first_possible_moment() -> None:
    decision = advance(scheduled_run(), BERLIN, moment("2026-02-05 08:00"))
    run = decision.campaign
    assert run is not None
    assert (run.day, run.day_one, run.start_date) == (1, day("2026-02-06"), day("2026-02-06"))
    assert run.next_send == moment("2026-02-06 08:00")
    assert decision.transitions[-1].reason == Reason.START_DATE_MISSED


def test_commands_do_not_start_a_scheduled_run() -> None:
    scheduled = scheduled_run()
    decision = decide(scheduled, Pause(), BERLIN, moment("2026-02-05 12:00"), SECOND_RUN)
    assert decision.campaign is scheduled


def test_a_changed_zone_neither_repeats_nor_skips_a_day() -> None:
    run = advanced(started_run(), "2026-01-15 12:00")  # day 5 has gone at 08:00 UTC
    decision = refresh(run, NEW_YORK, moment("2026-01-15 12:30"))
    moved = decision.campaign
    assert moved is not None
    assert (moved.day, moved.next_send, moved.timezone) == (6, moment("2026-01-15 14:00"), "America/New_York")
    assert (moved.day_one, moved.start_date) == (day("2026-01-10"), day("2026-01-11"))
    assert [(step.action, step.old_status, step.reason) for step in decision.transitions] == [
        (Action.CHANGE_TIMEZONE, Status.RUNNING, Reason.TIMEZONE_CHANGED)
    ]
    assert advanced(moved, "2026-01-15 14:00", NEW_YORK).day == 7


def test_the_old_zone_holds_until_the_change_is_seen() -> None:
    moved = refresh(started_run(), NEW_YORK, moment("2026-01-13 08:00")).campaign
    assert moved is not None
    assert (moved.day, moved.next_send) == (4, moment("2026-01-13 14:00"))


def test_a_changed_send_time_holds_for_the_unsent_day() -> None:
    run = advanced(started_run(), "2026-01-15 12:00")
    evening = replace(BERLIN, send_time=time(18))
    decision = advance(run, evening, moment("2026-01-15 12:30"))
    moved = decision.campaign
    assert moved is not None
    assert (moved.day, moved.next_send) == (6, moment("2026-01-15 17:00"))
    assert [(step.action, step.reason) for step in decision.transitions] == [
        (Action.CHANGE_SEND_TIME, Reason.SEND_TIME_CHANGED)
    ]


def test_a_changed_zone_never_sends_before_the_start_date() -> None:
    samoa = Circumstances(NINE, "Pacific/Apia")
    run = advanced(scheduled_run("2026-02-01", samoa), "2026-01-31 19:00", samoa)
    assert run.next_send == moment("2026-01-31 20:00")
    moved = advanced(run, "2026-01-31 19:30", Circumstances(NINE, "Pacific/Honolulu"))
    assert (moved.day, moved.next_send) == (1, moment("2026-02-01 19:00"))


def test_a_scheduled_run_keeps_its_date_in_the_new_zone() -> None:
    decision = refresh(scheduled_run(), NEW_YORK, moment("2026-01-12 12:00"))
    assert decision.campaign is not None
    assert (decision.campaign.start_date, decision.campaign.day) == (day("2026-02-01"), None)
    assert [step.action for step in decision.transitions] == [Action.CHANGE_TIMEZONE]
    assert advanced(decision.campaign, "2026-01-31 13:30", NEW_YORK).next_send == moment("2026-02-01 14:00")


def test_a_send_time_that_changes_while_nothing_is_sent_is_taken_over_in_silence() -> None:
    noon = replace(BERLIN, send_time=time(12))
    paused = decide(started_run(), Pause(), BERLIN, moment("2026-01-13 12:00"), SECOND_RUN).campaign
    for run in (paused, scheduled_run()):
        decision = refresh(run, noon, moment("2026-01-14 12:00"))
        assert decision.transitions == ()
        assert [changed.send_time for changed in decision.changed] == [time(12)]


def test_do_not_contact_pauses_a_running_run_and_it_stays_paused() -> None:
    silent = replace(BERLIN, do_not_contact=True)
    decision = refresh(started_run(), silent, moment("2026-01-13 09:00"))
    paused = decision.campaign
    assert paused is not None
    assert (paused.status, paused.day, paused.next_send) == (Status.PAUSED, 4, None)
    assert [(step.action, step.reason) for step in decision.transitions] == [(Action.PAUSE, "do_not_contact")]
    assert advance(paused, BERLIN, moment("2026-01-20 00:01")).campaign is paused
    assert decide(paused, Resume(), BERLIN, moment("2026-01-20 00:01"), SECOND_RUN).status is Status.RUNNING


def test_do_not_contact_cancels_a_scheduled_run_even_when_its_time_has_come() -> None:
    silent = replace(BERLIN, do_not_contact=True)
    decision = advance(scheduled_run(), silent, moment("2026-02-01 00:01"))
    assert [(step.action, step.old_status, step.reason) for step in decision.transitions] == [
        (Action.CANCEL, Status.SCHEDULED, "do_not_contact")
    ]
    assert decision.status is Status.CANCELLED


def test_a_deletion_cancels_whatever_is_open_and_a_restoration_brings_nothing_back() -> None:
    deleted = replace(BERLIN, is_deleted=True)
    paused = decide(started_run(), Pause(), BERLIN, moment("2026-01-13 12:00"), SECOND_RUN).campaign
    for run in (started_run(), scheduled_run(), paused):
        decision = refresh(run, deleted, moment("2026-01-14 12:00"))
        assert [(step.action, step.reason) for step in decision.transitions] == [(Action.CANCEL, Reason.DELETED)]
        assert advance(decision.campaign, BERLIN, moment("2026-01-20 00:01")).campaign is decision.campaign


def test_a_zone_that_no_longer_exists_is_named() -> None:
    with pytest.raises(UnknownTimeZoneError, match="Europe/Atlantis"):
        refresh(started_run(), Circumstances(NINE, "Europe/Atlantis"), moment("2026-01-13 12:00"))


def test_a_date_that_the_zone_leaves_out_is_still_a_day_of_its_own() -> None:
    samoa = Circumstances(NINE, "Pacific/Apia")
    run = started_run("2011-12-28 20:00", samoa)
    days = []
    for _ in range(4):
        assert run.next_send is not None
        days.append((run.day, run.next_send))
        next_day = refresh(run, samoa, run.next_send).campaign
        assert next_day is not None
        run = next_day
    assert days == [
        (1, moment("2011-12-29 19:00")), (2, moment("2011-12-30 10:00")),
        (3, moment("2011-12-30 19:00")), (4, moment("2011-12-31 19:00")),
    ]  # fmt: skip
