"""The line: a hundred failures of our own in a row stop it, one success in between does not."""

import asyncio

import pytest

from shared.runtime.errors import LineStopped
from shared.runtime.line import BUGS, DATABASE_WENT_BACK, FAILURES_IN_A_ROW, Line


def test_the_hundredth_failure_in_a_row_stops_the_line() -> None:
    line = Line("engagement")
    for _ in range(FAILURES_IN_A_ROW - 1):
        line.failed("engagement")
    assert line.stopped_because is None
    with pytest.raises(LineStopped):
        line.failed("engagement")
    assert line.stopped_because == "100 records in a row failed in our own code: is this a bad deploy?"


def test_a_success_begins_the_count_anew() -> None:
    line = Line("engagement")
    for _ in range(3):
        for _ in range(FAILURES_IN_A_ROW - 1):
            line.failed("engagement")
        line.succeeded("engagement")
    assert line.stopped_because is None


def test_a_success_of_one_group_does_not_hide_the_failures_of_another() -> None:
    line = Line("engagement")
    for _ in range(FAILURES_IN_A_ROW - 1):
        line.failed("engagement")
        line.succeeded("engagement-shards")
    with pytest.raises(LineStopped):
        line.failed("engagement")


def test_the_first_reason_stays() -> None:
    line = Line("engagement")
    line.stop(DATABASE_WENT_BACK, "the first")
    line.stop(BUGS, "the second")
    assert line.stopped_because == "the first"


async def test_a_pause_ends_with_the_shutdown() -> None:
    line = Line("engagement")
    pausing = asyncio.create_task(line.pause(3600))
    line.shutting_down.set()
    await asyncio.wait_for(pausing, 30)
