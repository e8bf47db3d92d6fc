"""What `verify` recomputes of a run."""

from dataclasses import replace
from datetime import time

from services.campaign.rules import (
    Position,
    Status,
    position,
)
from tests.campaign.examples import (
    advanced,
    day,
    moment,
    scheduled_run,
    started_run,
)


def test_a_stored_position_that_is_wrong_is_found() -> None:
    run = advanced(started_run(), "2026-01-15 12:00")
    assert position(run, run.refreshed_at) == Position(6, moment("2026-01-16 08:00"))
    for wrong in (
        replace(run, day=7),
        replace(run, next_send=moment("2026-01-16 09:00")),
        replace(run, day_one=day("2026-01-10")),
        replace(run, timezone="America/New_York"),
        replace(run, send_time=time(10)),
        replace(run, refreshed_at=moment("2026-01-16 12:00")),
        replace(run, status=Status.COMPLETED, next_send=None, day=90),
    ):
        assert position(wrong, wrong.refreshed_at) != (wrong.day, wrong.next_send)


def test_a_scheduled_run_has_no_position() -> None:
    assert position(scheduled_run(), moment("2026-03-01 00:00")) == Position(None, None)
