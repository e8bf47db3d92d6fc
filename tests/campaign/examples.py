"""Runs and moments that the examples of campaigns begin with."""

from datetime import UTC, date, datetime, time
from uuid import UUID

from services.campaign.rules import (
    Campaign,
    Cancel,
    Circumstances,
    Command,
    Pause,
    Resume,
    Schedule,
    Start,
    advance,
    decide,
    refresh,
)

NINE = time(9)
FIRST_RUN = UUID(int=1)
SECOND_RUN = UUID(int=2)
BERLIN = Circumstances(send_time=NINE, timezone="Europe/Berlin")
NEW_YORK = Circumstances(send_time=NINE, timezone="America/New_York")


def moment(text: str) -> datetime:
    """Read '2026-03-01 09:30' as UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def started_run(at: str = "2026-01-10 12:00", circumstances: Circumstances = BERLIN) -> Campaign:
    """Give a run that was started at that moment; by default its day 1 is 2026-01-11, 08:00 UTC."""
    run = decide(None, Start(), circumstances, moment(at), FIRST_RUN).campaign
    assert run is not None
    return run


def day(text: str) -> date:
    """Read a date."""
    return date.fromisoformat(text)


NOON = moment("2026-01-12 12:00")
COMMANDS: dict[str, Command] = {
    "start": Start(),
    "schedule": Schedule(day("2026-03-01")),
    "pause": Pause(),
    "resume": Resume(),
    "cancel": Cancel(),
}


def in_status(status: str) -> Campaign | None:
    """Give an SMB's newest run in that status."""
    running = started_run()
    paused = decide(running, Pause(), BERLIN, moment("2026-01-11 12:00"), SECOND_RUN).campaign
    return {
        "draft": None,
        "scheduled": decide(None, Schedule(day("2026-02-01")), BERLIN, NOON, FIRST_RUN).campaign,
        "running": running,
        "paused": paused,
        "completed": refresh(running, BERLIN, moment("2026-06-01 00:00")).campaign,
        "cancelled": decide(paused, Cancel(), BERLIN, NOON, SECOND_RUN).campaign,
    }[status]


def scheduled_run(start_date: str = "2026-02-01", circumstances: Circumstances = BERLIN) -> Campaign:
    """Give a run that waits for that date."""
    run = decide(None, Schedule(day(start_date)), circumstances, moment("2026-01-10 12:00"), FIRST_RUN).campaign
    assert run is not None
    return run


def advanced(campaign: Campaign | None, at: str, circumstances: Circumstances = BERLIN) -> Campaign:
    """Give the run after a trigger at that moment."""
    run = advance(campaign, circumstances, moment(at)).campaign
    assert run is not None
    return run
