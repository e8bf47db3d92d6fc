"""A campaign under watch: each change is held against what was there before and what has passed since."""

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from hypothesis.stateful import RuleBasedStateMachine

from services.campaign.rules import (
    Action,
    Campaign,
    Circumstances,
    Command,
    Decision,
    Schedule,
    Status,
    next_send,
    refresh,
    send_moment,
    time_zone,
)

ONE_DAY = timedelta(days=1)

NOT_OPEN = {Status.DRAFT, Status.COMPLETED, Status.CANCELLED}
MAY_MOVE_FROM = {
    Action.START: NOT_OPEN,
    Action.SCHEDULE: NOT_OPEN | {Status.SCHEDULED},
    Action.PAUSE: {Status.RUNNING},
    Action.RESUME: {Status.PAUSED},
    Action.CANCEL: {Status.SCHEDULED, Status.RUNNING, Status.PAUSED},
}
MAY_BECOME = {
    Action.START: (NOT_OPEN | {Status.SCHEDULED}, Status.RUNNING),
    Action.SCHEDULE: (NOT_OPEN | {Status.SCHEDULED}, Status.SCHEDULED),
    Action.PAUSE: ({Status.RUNNING}, Status.PAUSED),
    Action.RESUME: ({Status.PAUSED}, Status.RUNNING),
    Action.CANCEL: ({Status.SCHEDULED, Status.RUNNING, Status.PAUSED}, Status.CANCELLED),
    Action.COMPLETE: ({Status.RUNNING}, Status.COMPLETED),
}


@dataclass(frozen=True)
class Sent:
    """A message that the simulated sender has sent."""

    day: int
    at: datetime


class WatchedCampaign(RuleBasedStateMachine):
    """One SMB, its newest run, its simulated sender and the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.circumstances = Circumstances(send_time=time(9))
        self.campaign: Campaign | None = None
        self.sent: dict[UUID, list[Sent]] = defaultdict(list)
        self.runs: dict[UUID, Campaign] = {}
        self.first_dates: dict[UUID, date] = {}
        self.runs_that_missed_days: set[UUID] = set()

    def local_date(self) -> date:
        return self.now.astimezone(time_zone(self.circumstances.timezone)).date()

    def pass_time_until(self, then: datetime) -> None:
        """Move the clock; the sender sends the stored day when the clock passes the stored moment."""
        run = self.campaign
        if run is not None and run.next_send is not None and run.day is not None and self.now < run.next_send <= then:
            self.sent[run.id].append(Sent(run.day, run.next_send))
        self.now = then

    def take(self, decision: Decision, command: Command | None) -> None:
        """Store a decision as a service would, and hold it against what was there before."""
        before = self.campaign
        self.check_the_command(decision, command)
        self.check_the_transitions(decision)
        assert (decision.campaign is not before) == (decision.changed != ())
        for run in decision.changed:
            assert run.id not in self.runs or run.refreshed_at >= self.runs[run.id].refreshed_at
            self.check_the_days(self.runs.get(run.id), run)
            self.runs[run.id] = run
        self.campaign = decision.campaign
        again = refresh(self.campaign, self.circumstances, self.now)
        assert again.campaign is self.campaign
        assert not again.changed
        assert not again.transitions

    def take_as_of(self, as_of: datetime, decision: Decision) -> None:
        """Store what was decided by a clock that is behind; what it starts may have missed its first moment by now."""
        now, self.now = self.now, as_of
        self.take(decision, None)
        self.now = now
        for run in decision.changed:
            if run.next_send is not None and run.next_send <= now:
                self.runs_that_missed_days.add(run.id)

    def check_the_command(self, decision: Decision, command: Command | None) -> None:
        if command is None:
            assert decision.refusal is None
            return
        refreshed = refresh(self.campaign, self.circumstances, self.now)
        possible = refreshed.status in MAY_MOVE_FROM[command.action] and not self.circumstances.is_deleted
        if command.action in {Action.START, Action.SCHEDULE, Action.RESUME}:
            possible = possible and not self.circumstances.do_not_contact
        if isinstance(command, Schedule):
            moment = send_moment(command.start_date, self.circumstances.timezone, self.circumstances.send_time)
            possible = possible and moment > self.now
        if possible:
            assert decision.refusal is None
            assert decision.transitions[-1].action is command.action
            assert decision.transitions[:-1] == refreshed.transitions
        else:
            assert decision.refusal is not None
            assert command.action in decision.refusal.reason
            assert refreshed.status in decision.refusal.reason
            assert replace(decision, refusal=None) == refreshed

    def check_the_transitions(self, decision: Decision) -> None:
        status = Status.DRAFT if self.campaign is None else self.campaign.status
        for step in decision.transitions:
            assert step.old_status is status
            status = step.campaign.status
            if step.action in MAY_BECOME:
                old, new = MAY_BECOME[step.action]
                assert step.old_status in old
                assert status is new
            else:
                assert step.old_status is status
        assert decision.status is status

    def check_the_days(self, before: Campaign | None, after: Campaign) -> None:
        """Hold a changed run against the days whose moments have passed since it was stored."""
        if after.next_send is not None:
            self.check_the_next_send(after, after.next_send)
        if after.day is None or (before is not None and before.day is None):
            assert after.day in {None, 1}
        elif before is None:
            assert after.day == 1
        elif before.day is not None:
            passed = self.days_passed(before)
            assert after.day == min(before.day + passed, 90)
            assert (after.status is Status.COMPLETED) == (before.day + passed > 90)
            if passed > 1:
                self.runs_that_missed_days.add(after.id)
        if after.day is not None:
            first = self.first_dates.setdefault(after.id, after.start_date)
            assert after.start_date == first

    def check_the_next_send(self, run: Campaign, at: datetime) -> None:
        assert at > self.now
        wall = at.astimezone(time_zone(run.timezone)).replace(tzinfo=None)
        dates = [wall.date() - number * ONE_DAY for number in range(2)]
        moments = {on: send_moment(on, run.timezone, run.send_time) for on in dates}
        (on,) = [on for on, moment in moments.items() if moment == at]
        assert on >= run.start_date
        assert wall >= datetime.combine(on, run.send_time)
        yesterday = on - ONE_DAY
        assert yesterday < run.start_date or send_moment(yesterday, run.timezone, run.send_time) <= self.now
        assert (run.timezone, run.send_time) == (self.circumstances.timezone, self.circumstances.send_time)

    def days_passed(self, run: Campaign) -> int:
        """Count the send moments, by the run's own zone and send time, from its stored next send until now."""
        passed, moment = 0, run.next_send
        while moment is not None and moment <= self.now:
            following = next_send(moment, date.min, run.timezone, run.send_time).at
            assert following > moment
            passed, moment = passed + 1, following
        return passed
