"""Whatever is commanded, changed, triggered late, twice or never: the rules of campaigns hold.

A simulated sender does what a real one may do: it looks at the stored next send, and when the clock passes that moment
it sends the stored day. Everything else comes in any order, with the clock put near changes of the wall clock.
"""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from services.campaign.rules import (
    Cancel,
    Circumstances,
    Command,
    Pause,
    Resume,
    Schedule,
    Start,
    Status,
    advance,
    decide,
    next_send,
    position,
    refresh,
    send_moment,
)
from tests.campaign.watched_campaign import ONE_DAY, WatchedCampaign

ZONES = [
    "UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kolkata",
    "Pacific/Apia", "America/Santiago", "Africa/Cairo", "America/Nuuk", "Pacific/Kiritimati", "Pacific/Pago_Pago",
]  # fmt: skip

# A few days before clocks change somewhere; Samoa left out 2011-12-30.
BEGINNINGS = [
    datetime(2026, 2, 12, tzinfo=UTC), datetime(2026, 3, 5, tzinfo=UTC), datetime(2026, 3, 26, tzinfo=UTC),
    datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 4, 21, tzinfo=UTC), datetime(2026, 9, 2, tzinfo=UTC),
    datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 10, 22, tzinfo=UTC), datetime(2026, 10, 29, tzinfo=UTC),
    datetime(2011, 12, 27, tzinfo=UTC),
]  # fmt: skip

SEND_TIMES = st.sampled_from([
    time(9), time(0), time(0, 30), time(1, 30), time(2), time(2, 15), time(2, 30), time(3), time(12), time(23, 30),
    time(23, 59, 59),
])  # fmt: skip

CLOCK_STEPS = st.one_of(
    st.timedeltas(timedelta(0), timedelta(minutes=90)),
    st.timedeltas(timedelta(hours=20), timedelta(hours=28)),
    st.timedeltas(timedelta(0), timedelta(days=4)),
)


class AnySequence(WatchedCampaign):
    """All that can happen to it."""

    @initialize(beginning=st.sampled_from(BEGINNINGS), zone=st.sampled_from(ZONES), send_time=SEND_TIMES)
    def an_smb_somewhere(self, beginning: datetime, zone: str, send_time: time) -> None:
        self.now = beginning
        self.circumstances = Circumstances(send_time=send_time, timezone=zone)

    # What happens.

    @rule(step=CLOCK_STEPS)
    def the_clock_goes_on(self, step: timedelta) -> None:
        self.pass_time_until(self.now + step)

    @precondition(lambda self: self.campaign is not None and self.campaign.next_send is not None)
    @rule(microseconds=st.sampled_from([-1, 0, 1]))
    def the_clock_comes_to_the_send_moment(self, microseconds: int) -> None:
        assert self.campaign is not None
        assert self.campaign.next_send is not None
        self.pass_time_until(max(self.now, self.campaign.next_send + timedelta(microseconds=microseconds)))

    @precondition(lambda self: self.campaign is not None and self.campaign.status is Status.SCHEDULED)
    @rule(hours_ahead=st.sampled_from([25, 24.99, 24, 1, 0, -1, -50]))
    def the_clock_comes_near_the_start_date(self, hours_ahead: float) -> None:
        assert self.campaign is not None
        start = send_moment(self.campaign.start_date, self.campaign.timezone, self.campaign.send_time)
        self.pass_time_until(max(self.now, start - timedelta(hours=hours_ahead)))

    @rule(times=st.integers(1, 3))
    def a_trigger_comes(self, times: int) -> None:
        for _ in range(times):
            self.take(advance(self.campaign, self.circumstances, self.now), None)

    @rule(behind=st.timedeltas(timedelta(0), timedelta(days=3)))
    def a_trigger_comes_with_a_clock_that_is_behind(self, behind: timedelta) -> None:
        """It takes nothing back behind the last refresh. Nor is it behind a moment at which the sender has sent."""
        run = self.campaign
        clock = self.now - behind
        if run is not None and (sent := self.sent.get(run.id)):
            clock = max(clock, sent[-1].at)
        as_of = clock if run is None else max(clock, run.refreshed_at)
        self.take_as_of(as_of, advance(run, self.circumstances, clock))

    @rule(days=st.integers(1, 100), lateness=st.floats(0, 1, exclude_max=True))
    def days_pass_and_each_is_looked_at(self, days: int, lateness: float) -> None:
        """Let a trigger come after each send and before the next one's moment: so no day is lost."""
        for _ in range(days):
            run = self.campaign
            if run is None or run.next_send is None or run.day is None:
                return
            self.pass_time_until(max(self.now, run.next_send))
            following = next_send(self.now, date.min, run.timezone, run.send_time).at
            self.pass_time_until(self.now + lateness * (following - self.now))
            was_looked_at_in_time = self.days_passed(run) == 1
            self.take(advance(run, self.circumstances, self.now), None)
            if was_looked_at_in_time:
                assert self.runs[run.id].day == min(run.day + 1, 90)

    @rule(zone=st.sampled_from(ZONES))
    def the_community_moves(self, zone: str) -> None:
        self.circumstances = replace(self.circumstances, timezone=zone)

    @rule(send_time=SEND_TIMES)
    def the_policy_changes_the_send_time(self, send_time: time) -> None:
        self.circumstances = replace(self.circumstances, send_time=send_time)

    @precondition(lambda self: self.campaign is not None)
    @rule(do_not_contact=st.sampled_from([False, False, True]))
    def do_not_contact_is_set_or_taken_back(self, do_not_contact: bool) -> None:  # noqa: FBT001
        self.circumstances = replace(self.circumstances, do_not_contact=do_not_contact)
        self.take(refresh(self.campaign, self.circumstances, self.now), None)

    @precondition(lambda self: self.campaign is not None)
    @rule(is_deleted=st.sampled_from([False, False, False, True]))
    def the_smb_is_deleted_or_restored(self, is_deleted: bool) -> None:  # noqa: FBT001
        self.circumstances = replace(self.circumstances, is_deleted=is_deleted)
        self.take(refresh(self.campaign, self.circumstances, self.now), None)

    @rule(command=st.sampled_from([Start(), Pause(), Resume(), Cancel(), Start(), Resume()]))
    def a_command_comes(self, command: Command) -> None:
        self.take(decide(self.campaign, command, self.circumstances, self.now, UUID(int=len(self.runs) + 1)), command)

    @rule(days_ahead=st.integers(-2, 40))
    def a_schedule_comes(self, days_ahead: int) -> None:
        command = Schedule(self.local_date() + days_ahead * ONE_DAY)
        self.take(decide(self.campaign, command, self.circumstances, self.now, UUID(int=len(self.runs) + 1)), command)

    # What must be so.

    @invariant()
    def what_is_stored_fits_the_status(self) -> None:
        for run in self.runs.values():
            assert run.status is not Status.DRAFT
            assert (run.next_send is not None) == (run.status is Status.RUNNING)
            assert (run.day is None) == (run.day_one is None)
            assert run.day is None or 1 <= run.day <= 90
            assert (run.day is None) <= (run.status in {Status.SCHEDULED, Status.CANCELLED})
            assert (run.status is Status.SCHEDULED) <= (run.day is None)
            assert (run.status is Status.COMPLETED) <= (run.day == 90)
        assert sum(run.is_open for run in self.runs.values()) <= 1
        if self.campaign is not None:
            assert not (self.circumstances.is_deleted and self.campaign.is_open)
            silent = self.circumstances.do_not_contact
            assert not (silent and self.campaign.status in {Status.SCHEDULED, Status.RUNNING})

    @invariant()
    def verification_finds_nothing(self) -> None:
        for run in self.runs.values():
            assert position(run, run.refreshed_at) == (run.day, run.next_send)

    @invariant()
    def each_day_was_sent_once_and_in_order(self) -> None:
        for campaign_id, sent in self.sent.items():
            for earlier, later in pairwise(sent):
                assert earlier.day < later.day
                assert earlier.at < later.at
            if campaign_id not in self.runs_that_missed_days:
                assert [message.day for message in sent] == list(range(1, len(sent) + 1))
            run = self.runs[campaign_id]
            if run.status is Status.COMPLETED and campaign_id not in self.runs_that_missed_days:
                assert len(sent) == 90


AnySequence.TestCase.settings = settings(
    max_examples=400, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestAnySequence = AnySequence.TestCase
